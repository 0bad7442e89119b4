"""How a report shows errors: each once, and the one that ended the run."""

import attrs
import pytest

from databox.errors import DataboxError, ServerError
from databox.report import BatchOutcome, IngestReport


def report_of(*messages: str, complete: bool = True) -> str:
    """Return the report on batches of ten rows, each of which failed with a message, as text."""
    batches = [
        BatchOutcome(index=place, first_row=10 * place, rows=10, outcome="failed", error=DataboxError(message))
        for place, message in enumerate(messages)
    ]
    return str(IngestReport.of(batches, verify=None, requests=0, seconds=0, complete=complete))


def errors_of(*messages: str, complete: bool = True) -> list[str]:
    return [
        line
        for line in report_of(*messages, complete=complete).splitlines()
        if line.startswith(("From row", "Other errors"))
    ]


def test_an_error_is_told_once_with_how_often_it_came() -> None:
    assert errors_of("Gone.", "Odd.", "Gone.", "Gone.") == [
        "From row 0: Gone. The same in 2 more batches.",
        "From row 10: Odd.",
    ]


def test_three_errors_are_told_and_how_many_batches_had_others() -> None:
    assert errors_of("A.", "B.", "C.", "D.", "E.", "D.") == [
        "From row 0: A.",
        "From row 10: B.",
        "From row 20: C.",
        "Other errors in 3 more batches; `batches` has all of them.",
    ]


def test_the_error_that_ended_a_run_is_among_them() -> None:
    assert errors_of("A.", "B.", "C.", "D.", complete=False) == [
        "From row 0: A.",
        "From row 10: B.",
        "From row 30: D.",
        "Other errors in 1 more batch; `batches` has all of them.",
    ]


def test_request_ids_do_not_tell_errors_apart() -> None:
    batches = [
        BatchOutcome(
            index=place,
            first_row=place,
            rows=1,
            outcome="failed",
            error=ServerError(
                f"It failed. (request id r-{place})",
                method="POST",
                path="/v1/x",
                status_code=500,
                request_id=f"r-{place}",
            ),
        )
        for place in range(3)
    ]
    text = str(IngestReport.of(batches, verify=None, requests=3, seconds=0, complete=True))
    assert "From row 0: It failed. (request id r-0) The same in 2 more batches." in text


def test_a_report_that_does_not_add_up_is_none() -> None:
    accepted = BatchOutcome(index=0, first_row=0, rows=2, outcome="accepted", appended=1, unverified=1)
    with pytest.raises(ValueError, match="2 rows are accepted, and 1 of them are shared out"):
        attrs.evolve(accepted, unverified=0)
    with pytest.raises(ValueError, match="2 rows are failed, and 2 of them are shared out"):
        attrs.evolve(accepted, outcome="failed")
    report = IngestReport.of([accepted], verify=None, requests=1, seconds=0)
    with pytest.raises(ValueError, match="does not add up"):
        attrs.evolve(report, rows=7)
    with pytest.raises(ValueError, match="does not add up"):
        attrs.evolve(report, appended=7)
