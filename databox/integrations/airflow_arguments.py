"""What an operator is given when the DAG is parsed: refused there if it cannot work, and understood when it runs."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from typing import Any

import attrs
from airflow.sdk import BaseOperator, Context, XComArg
from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

from databox.api.arguments import dataset_id_of, keys_of, text_of
from databox.ingest.settings import Settings
from databox.misuse import ArgumentTypeError, ArgumentValueError

__all__ = [
    "FunctionOfContext",
    "Rows",
    "check_options",
    "check_rows",
    "check_text",
    "is_known_later",
    "number_of",
    "rows_of",
]

Rows = Iterable[Any] | Callable[[Context], Iterable[Any]] | XComArg | str

_LATER = (
    "The DAG is parsed long before the task runs, and often. Give the rows as the output of a task, rows=extract(), or "
    "as a function that the task calls with its context."
)


@attrs.frozen
class FunctionOfContext:
    """A function that the task calls when it runs, and not while Airflow renders its templates."""

    function: Callable[[Context], Any]

    def serialize(self) -> str:
        """Return what stands for it in the serialized DAG, the same each time the file is parsed."""
        function = self.function
        return f"<callable {getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function))}>"


def is_known_later(value: object) -> bool:
    """Whether a value is known only when the task runs: the output of a task, a template, a function."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, list | tuple):
        return any(is_known_later(item) for item in value)
    return _is_output(value) or callable(value)


def check_options(
    *, dataset_id: Any, primary_keys: Any, journal: Any, databox_conn_id: Any, deferrable: bool, **settings: Any
) -> None:
    """Refuse what `datasets.ingest` would refuse, as far as it is known when the DAG is parsed.

    Raises:
        TypeError, ValueError: an argument cannot work.
    """
    if not is_known_later(dataset_id):
        dataset_id_of(dataset_id)
    if not is_known_later(primary_keys):
        keys_of(primary_keys)
    if not is_known_later(databox_conn_id):
        text_of("databox_conn_id", databox_conn_id)
    known = {name: value for name, value in {**settings, "journal": journal}.items() if not is_known_later(value)}
    Settings(**known)
    if not isinstance(deferrable, bool):
        raise ArgumentTypeError(f"deferrable must be a bool, not {type(deferrable).__name__}.")
    if deferrable and known.get("verify", "counts") != "counts":
        raise ArgumentValueError(
            f'deferrable=True waits for the counts of each batch, so verify must be "counts", not {known["verify"]!r}.'
        )


def check_text(name: str, value: Any) -> None:
    """Refuse what can be no text, and what is no text that is known later."""
    if not is_known_later(value):
        text_of(name, value)


def check_rows(rows: Any) -> Any:
    """Return rows as the operator keeps them.

    Raises:
        TypeError: no task could send them.
    """
    if _is_output(rows) or (isinstance(rows, str) and is_known_later(rows)):
        return rows
    if isinstance(rows, BaseOperator):
        raise ArgumentTypeError(f"rows is the operator {rows.task_id!r}. Give its output: rows=….output.")
    if hasattr(rows, "override") and callable(rows):
        raise ArgumentTypeError("rows is a task that was not called. Give its output: rows=extract().")
    if inspect.iscoroutinefunction(rows) or inspect.isasyncgenfunction(rows) or hasattr(rows, "__aiter__"):
        raise ArgumentTypeError("rows is asynchronous, and the operator is not. Give a function that is not `async`.")
    if isinstance(rows, Iterator) or hasattr(rows, "fetchmany"):
        raise ArgumentTypeError(f"rows is a {type(rows).__name__}, which can be read once. {_LATER}")
    if callable(rows):
        return FunctionOfContext(_with_one_argument(rows))
    return _rows(rows)


def rows_of(rows: Any, context: Context) -> Any:
    """Return the rows themselves, when the task runs.

    Raises:
        TypeError: a task gave what are no rows.
    """
    if isinstance(rows, LazyXComSequence):
        return _of_all(rows)
    if isinstance(rows, FunctionOfContext):
        return _rows(rows.function(context))
    if rows is None:
        raise ArgumentTypeError("rows came as None. Return the rows from the task whose output they are.")
    if isinstance(rows, str):
        raise ArgumentTypeError(
            "rows came as text, which a template gives. Give the output itself, rows=extract() or rows=….output, or "
            "make the DAG with render_template_as_native_obj=True."
        )
    return _rows(rows)


def number_of(name: str, value: Any) -> Any:
    """Return a number that a template may have made text of."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        raise ArgumentValueError(f"{name} must be seconds, and the template gave {value!r}.") from None


def _rows(rows: Any) -> Any:
    """Return rows, which may turn out to be none that can be sent, or refuse what are no rows at all."""
    if isinstance(rows, str | bytes | bytearray | Mapping):
        raise ArgumentTypeError(f"rows must be rows, not one {type(rows).__name__}. Put a single row in a list.")
    if not any(hasattr(rows, name) for name in ("__iter__", "__arrow_c_stream__", "fetchmany")):
        raise ArgumentTypeError(f"rows must be rows, not {type(rows).__name__}.")
    return rows


def _is_output(value: object) -> bool:
    """Whether Airflow resolves a value before the task runs: the output of another task, or a `literal`."""
    return hasattr(value, "resolve") and not isinstance(value, PathLike)


def _of_all(outputs: Iterable[Any]) -> Iterator[Any]:
    """The rows of a mapped task, of which each instance returned some, or one."""
    for output in outputs:
        if isinstance(output, list | tuple):
            yield from output
        else:
            yield output


def _with_one_argument(function: Callable[..., Any]) -> Callable[[Context], Any]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of something built in
        return function
    try:
        signature.bind({})
    except TypeError:
        raise ArgumentTypeError(
            f"rows is a function that does not take one argument, {signature}. It is called with the task's context: "
            "def rows(context): …"
        ) from None
    return function
