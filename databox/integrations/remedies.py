"""What to do before rows without keys are sent again."""

__all__ = ["before_sending_again"]


def before_sending_again(what: str) -> str:
    """Return what to do where nobody knows which rows an earlier attempt stored.

    Args:
        what: what is to happen again, such as "the task runs".
    """
    return (
        f" Before {what} again, do one of these. Look at the dataset, or purge it: if it has none of these rows, set "
        'on_ambiguous="resend", which sends all of them; those that it has would be stored twice. Or make a dataset '
        "with primary keys and name both here: its rows are stored once, however often they are sent. For runs to come "
        "a journal does as well: a further try then goes on where the last one stopped."
    )
