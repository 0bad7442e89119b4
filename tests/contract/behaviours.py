"""What the API does, as claims about the outcomes of a walk's steps, wherever the outcomes come from."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tests.contract.calls import Outcome

__all__ = ["BEHAVIOURS", "Behaviour", "Taken"]


@attrs.frozen
class Taken:
    """A step that was taken."""

    body: Any
    outcome: Outcome

    @property
    def result(self) -> Any:
        """What the facade returned; it must not have raised."""
        assert self.outcome.error is None, self.outcome
        return self.outcome.result

    @property
    def refusal(self) -> tuple[str | None, str | None]:
        """The error's class, and the API's code."""
        return self.outcome.error, self.outcome.errors[0].code if self.outcome.errors else None


@attrs.frozen
class Behaviour:
    """One claim about some steps."""

    says: str
    steps: tuple[str, ...]
    holds: Callable[..., bool]

    def check(self, taken: Mapping[str, Taken]) -> bool:
        """Whether it holds for the steps that it is about."""
        return self.holds(*(taken[step] for step in self.steps))


def _refused(error: str, code: str) -> Callable[[Taken], bool]:
    return lambda step: step.refusal == (error, code)


def _ended(appended: int, overwritten: int, rejected: int) -> Callable[[Taken], bool]:
    def holds(step: Taken) -> bool:
        found = step.result
        received = appended + overwritten + rejected
        counts = (found.received, found.appended, found.overwritten, found.rejected)
        return counts == (received, appended, overwritten, rejected)

    return holds


_NOT_FOUND = _refused("NotFoundError", "not_found")

_DOCUMENTED_TYPES = ("organization", "agency", "client")

BEHAVIOURS = (
    Behaviour("a good key is valid", ("validate-key",), lambda key: key.result is None),
    Behaviour("a wrong key is refused", ("validate-key-wrong",), _refused("AuthenticationError", "invalid_api_key")),
    Behaviour(
        "accounts have a type that is documented, or that the vendor speaks of",
        ("list-accounts",),
        lambda accounts: {each.account_type for each in accounts.result} <= {*_DOCUMENTED_TYPES, "standard"},
    ),
    Behaviour(
        "time zones are the IANA's",
        ("list-timezones",),
        lambda zones: "Europe/Berlin" in {zone.name for zone in zones.result},
    ),
    Behaviour(
        "a data source is made as it was asked for",
        ("create-data-source",),
        lambda made: (made.result.title, made.result.timezone) == (made.body["title"], made.body["timezone"]),
    ),
    Behaviour(
        "a data source made by the API takes rows",
        ("create-data-source",),
        lambda made: made.result.key == "ingestion" and made.result.ingestion_supported is not False,
    ),
    Behaviour(
        "a new data source is listed as it was answered",
        ("create-data-source", "list-data-sources"),
        lambda made, listed: made.result in listed.result,
    ),
    Behaviour(
        "a new dataset is listed as it was answered",
        ("create-dataset", "list-datasets"),
        lambda made, listed: (
            (made.result.id, made.result.title, made.result.created)
            in [(item.id, item.title, item.created) for item in listed.result]
        ),
    ),
    Behaviour(
        "an accepted ingestion can be retrieved",
        ("create-ingestion", "get-ingestion"),
        lambda made, got: made.result.ingestion_id == got.result.id,
    ),
    Behaviour(
        "an accepted ingestion is listed",
        ("create-ingestion", "list-ingestions"),
        lambda made, listed: made.result.ingestion_id in [item.id for item in listed.result],
    ),
    Behaviour(
        "an ingestion is listed with the time and status that it has",
        ("get-ingestion", "list-ingestions"),
        lambda got, listed: (
            (got.result.id, got.result.timestamp, got.result.status)
            in [(item.id, item.timestamp, item.status) for item in listed.result]
        ),
    ),
    Behaviour(
        "every record is appended, overwritten or rejected",
        ("get-ingestion",),
        lambda got: got.result.received == got.result.appended + got.result.overwritten + got.result.rejected,
    ),
    Behaviour(
        "new rows are appended, and counted in the dataset",
        ("create-ingestion", "get-ingestion"),
        lambda made, got: got.result.dataset_metrics.total_records_count >= got.result.appended > 0,
    ),
    Behaviour("a row of a known key replaces the old one", ("get-ingestion-again",), _ended(1, 1, 0)),
    Behaviour("a row without its key is rejected", ("get-ingestion-keyless",), _ended(1, 0, 1)),
    Behaviour(
        "a rejected row has a reason",
        ("get-ingestion-keyless",),
        lambda got: len(got.result.errors) == got.result.rejected,
    ),
    Behaviour(
        "101 records are too many", ("create-ingestion-101",), _refused("BadRequestError", "invalid_field_value")
    ),
    Behaviour("a bare list is no body", ("create-ingestion-bare",), _refused("BadRequestError", "invalid_input")),
    Behaviour("records are objects", ("create-ingestion-not-objects",), _refused("BadRequestError", "schema_mismatch")),
    Behaviour(
        "an account is a number",
        ("create-data-source-text-id",),
        _refused("BadRequestError", "invalid_field_value"),
    ),
    Behaviour(
        "a data source is a number", ("create-dataset-text-id",), _refused("BadRequestError", "invalid_field_value")
    ),
    Behaviour(
        "a dataset has a title", ("create-dataset-untitled",), _refused("BadRequestError", "missing_required_field")
    ),
    Behaviour(
        "pages are counted from 1", ("list-ingestions-page-zero",), _refused("BadRequestError", "invalid_field_value")
    ),
    Behaviour(
        "a page holds what was asked for, and tells how many there are",
        ("list-ingestions-second-page",),
        lambda page: (
            len(page.result["ingestions"]) == 1
            and page.result["pagination"] == {"page": 2, "pageSize": 1, "totalItems": 3}
        ),
    ),
    Behaviour("a dataset is purged", ("purge-dataset",), lambda done: done.result is None),
    Behaviour("a dataset is deleted", ("delete-dataset",), lambda done: done.result is None),
    Behaviour("a data source is deleted", ("delete-data-source",), lambda done: done.result is None),
    Behaviour("an unknown account is not found", ("list-data-sources-unknown",), _NOT_FOUND),
    Behaviour("an unknown ingestion is not found", ("get-ingestion-unknown",), _NOT_FOUND),
    Behaviour("a deleted dataset cannot be deleted", ("delete-dataset-unknown",), _NOT_FOUND),
    Behaviour("a deleted dataset cannot be purged", ("purge-dataset-unknown",), _NOT_FOUND),
    Behaviour("a deleted dataset takes no rows", ("create-ingestion-unknown",), _NOT_FOUND),
    Behaviour("a deleted dataset lists no ingestions", ("list-ingestions-unknown",), _NOT_FOUND),
    Behaviour("a deleted data source cannot be deleted", ("delete-data-source-unknown",), _NOT_FOUND),
    Behaviour("a deleted data source lists no datasets", ("list-datasets-unknown",), _NOT_FOUND),
    Behaviour("a deleted data source takes no datasets", ("create-dataset-unknown",), _NOT_FOUND),
)
