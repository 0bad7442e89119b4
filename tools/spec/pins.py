"""The 13 operations: the place on the wire, the name in the generated code, and the client's method for each.

The names of the generated code come from here and from the wire's own names, whatever the description calls things.
"""

import re
from typing import Any

import attrs

from tools.spec.document import operations

__all__ = ["PINS", "Pin", "blank", "missing", "of_ours"]


@attrs.frozen
class Pin:
    """One operation that the client relies on."""

    method: str
    path: str
    name: str
    """Of the generated module."""
    tag: str
    """Of the generated package that the module is in."""
    facade: str
    """The client's method."""

    @property
    def key(self) -> str:
        """The identity of the operation: method and path, without the names in its template."""
        return f"{self.method.upper()} {blank(self.path)}"

    @property
    def title(self) -> str:
        """The operation in the form for people."""
        return f"{self.method.upper()} {self.path}"


def _pin(method: str, path: str, module: str, facade: str) -> Pin:
    tag, _, name = module.partition(".")
    return Pin(method, path, name, tag, facade)


PINS = (
    _pin("get", "/v1/accounts", "accounts.list_accounts", "accounts.list"),
    _pin("get", "/v1/accounts/{accountId}/data-sources", "accounts.list_data_sources", "accounts.list_data_sources"),
    _pin("get", "/v1/accounts/timezones", "accounts.list_timezones", "accounts.list_timezones"),
    _pin("get", "/v1/auth/validate-key", "auth.validate_key", "auth.validate_key"),
    _pin("post", "/v1/data-sources", "data_sources.create_data_source", "data_sources.create"),
    _pin("delete", "/v1/data-sources/{dataSourceId}", "data_sources.delete_data_source", "data_sources.delete"),
    _pin(
        "get",
        "/v1/data-sources/{dataSourceId}/datasets",
        "data_sources.list_datasets",
        "data_sources.list_datasets",
    ),
    _pin("post", "/v1/datasets", "datasets.create_dataset", "datasets.create"),
    _pin("delete", "/v1/datasets/{datasetId}", "datasets.delete_dataset", "datasets.delete"),
    _pin("post", "/v1/datasets/{datasetId}/purge", "datasets.purge_dataset", "datasets.purge"),
    _pin("post", "/v1/datasets/{datasetId}/data", "datasets.create_ingestion", "datasets.create_ingestion"),
    _pin("get", "/v1/datasets/{datasetId}/ingestions", "datasets.list_ingestions", "datasets.list_ingestions"),
    _pin(
        "get",
        "/v1/datasets/{datasetId}/ingestions/{ingestionId}",
        "datasets.get_ingestion",
        "datasets.get_ingestion",
    ),
)
"""In the order of the reference."""


def blank(path: str) -> str:
    """Return a path template without the names in it."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def of_ours(path: str, method: str) -> Pin | None:
    """Return our operation at a path, whatever the names in its template are."""
    return next((pin for pin in PINS if (pin.method, blank(pin.path)) == (method, blank(path))), None)


def missing(document: dict[str, Any]) -> list[Pin]:
    """Return our operations that a description lacks; its paths must be those of the wire."""
    present = {(method, blank(path)) for path, method, _ in operations(document)}
    return [pin for pin in PINS if (pin.method, blank(pin.path)) not in present]
