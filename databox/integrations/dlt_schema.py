"""What a dlt schema asks of a destination, and whether the API can do it: decided before a row is sent.

Nothing here needs dlt. What a hint asks for is done, or of no consequence for rows, or refused; so a hint that is newer
than this module is refused, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["lasting_keys", "newest_first", "primary_keys", "refusals", "shown"]

Table = Mapping[str, Any]
"""A table as dlt prepares it for loading."""

_TYPES = {"text", "double", "bool", "timestamp", "date", "time", "bigint", "decimal", "wei"}
_REMEDIES = {
    "json": (
        "is nested, and a row must be flat. Take its parts out with add_map, make it text there (json.dumps), or give "
        "it a table of its own with max_table_nesting=1"
    ),
    "binary": "is binary. Drop it or make it text with add_map",
}
_DONE = {"name", "data_type", "primary_key", "merge_key", "row_key", "parent_key", "root_key", "dedup_sort"}
_OF_NO_CONSEQUENCE = {
    "nullable",
    "precision",
    "scale",
    "timezone",
    "variant",
    "description",
    "incremental",  # of extraction; the next four are of storage
    "partition",
    "cluster",
    "sort",
    "unique",
    "x-normalizer",
    "x-nested-type",
    "x-original-name",
}
_OF_TABLES = {
    "name",
    "columns",
    "parent",
    "write_disposition",
    "resource",
    "description",
    "schema_contract",
    "table_sealed",
    "filters",
    "file_format",
    "variant_name",
    "references",
    "x-normalizer",
    "x-loader",
    "x-extractor",
    "x-merge-strategy",
    "x-replace-strategy",  # however it is done, the rows are replaced
    "x-stage-data-deduplicated",
    "x-merge-skip-unchanged-rows",
    "x-row-version",
}
_STRATEGIES = {None, "upsert", "delete-insert"}
_SEPARATOR = "▶"


def shown(name: str) -> str:
    """Return a table's name as people know it: of a nested one the field, and whose it is."""
    parts = [part for part in name.split(_SEPARATOR) if part]
    return " in ".join(repr(part) for part in reversed(parts)) or repr(name)


def primary_keys(table: Table) -> tuple[str, ...]:
    """Return the columns that tell rows apart: by the schema's hints, or dlt's own row id where it is loaded too."""
    for hint in ("primary_key", "merge_key", "row_key"):
        if keys := tuple(name for name, column in table["columns"].items() if column.get(hint)):
            return keys
    return ()


def lasting_keys(table: Table) -> bool:
    """Return whether a row that is extracted again has the key that it had; dlt's own row ids are new each time."""
    columns = table["columns"].values()
    return any(column.get("primary_key") or column.get("merge_key") for column in columns)


def newest_first(table: Table) -> tuple[str, bool] | None:
    """Return the column that tells which of several rows of a key is the newest, and whether its largest value does."""
    for name, column in table["columns"].items():
        if column.get("dedup_sort"):
            return name, column["dedup_sort"] == "desc"
    return None


def refusals(tables: Iterable[Table]) -> Iterator[str]:
    """Walk what the API cannot do of what the tables ask for, each a sentence or two with what to do instead."""
    for table in tables:
        for reason in _of_table(table):
            yield f"Table {shown(table['name'])}: {reason}"
        for name, column in table["columns"].items():
            for reason in _of_column(column):
                yield f"Table {shown(table['name'])}: column {name!r} {reason}."


def _of_table(table: Table) -> Iterator[str]:
    keys = primary_keys(table)
    merged = table.get("write_disposition") == "merge"
    if table.get("parent") and merged:
        yield (
            "it is nested in a table that is merged, and the API cannot delete the rows of an old version. Keep "
            "max_table_nesting at 0, or load the parent with append or replace."
        )
    elif table.get("parent") and not keys:
        yield (
            "it is nested, and its link to the parent is in dlt's own columns. Load them as well: "
            "skip_dlt_columns_and_tables=False."
        )
    elif merged and not keys:
        yield "it is to be merged, and has no primary_key. Name one in the resource."
    strategy = table.get("x-merge-strategy")
    if merged and strategy not in _STRATEGIES:
        yield f"the merge strategy {strategy!r} is more than the API can do. Use upsert."
    if newest_first(table) and not keys:
        yield "dedup_sort says which row of a key is the newest, and there is no primary_key. Name one in the resource."
    for hint in _unknown(table, _OF_TABLES, none={"table_format": ("native",)}):
        yield f"it has the hint {hint}={table[hint]!r}, which the API has nothing for. Take it out of the resource."


def _of_column(column: Mapping[str, Any]) -> Iterator[str]:
    kind = column.get("data_type")
    if kind in _REMEDIES:
        yield _REMEDIES[kind]
    elif kind not in _TYPES:
        yield f"is of the type {kind!r}, which the API has not. Make it text with add_map"
    if column.get("hard_delete"):
        yield "marks rows to delete, which the API cannot do. Filter them out with add_filter, and the hint away"
    for hint in _unknown(column, _DONE | _OF_NO_CONSEQUENCE | {"hard_delete"}, none={}):
        yield f"has the hint {hint}={column[hint]!r}, which the API has nothing for. Take it out of the resource"


def _unknown(hints: Mapping[str, Any], known: set[str], *, none: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The hints that are set and not known. What describes things for people or tools changes no row."""
    return [
        hint
        for hint, value in hints.items()
        if value not in (None, False, *none.get(hint, ())) and hint not in known and not hint.startswith("x-annotation")
    ]
