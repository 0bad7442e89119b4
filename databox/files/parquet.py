"""Reads Parquet into rows, several at a time."""

import importlib
from collections.abc import Iterator
from typing import Any

from databox.errors import InvalidRecordError
from databox.files.column import MOST_COLUMNS, Column, too_many
from databox.files.source import Source, missing

__all__ = ["Parquet"]

_AT_ONCE = 1000
_UNSENDABLE = {
    "is_nested": "nested values. Write its parts as columns of their own or as text",
    "is_binary": "bytes. Decode them to text first",
    "is_large_binary": "bytes. Decode it to text first",
    "is_fixed_size_binary": "bytes. Decode it to text first",
    "is_binary_view": "bytes. Decode it to text first",
    "is_time": "times of day, for which the API has no type. Make it text, or seconds",
    "is_duration": "durations, for which the API has no type. Make it seconds",
}
_TYPES = {
    "is_boolean": "boolean",
    "is_integer": "number",
    "is_floating": "number",
    "is_decimal": "number",
    "is_date": "date",
    "is_timestamp": "datetime",
}


class Parquet:
    """The rows of a Parquet file.

    Raises:
        InvalidRecordError: it is not a Parquet file, or a column cannot be sent.
        ImportError: PyArrow is not installed.
    """

    def __init__(self, source: Source) -> None:
        try:
            self._pyarrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise missing("PyArrow", "parquet", "Parquet files") from None
        self._name = source.name
        stream = source.seekable()
        try:
            # INT96, the timestamps of old writers, can have years that do not fit into nanoseconds.
            self._file: Any = parquet.ParquetFile(stream, coerce_int96_timestamp_unit="us")
        except (self._pyarrow.ArrowException, OSError) as error:
            raise InvalidRecordError(f"{source.name} is not a Parquet file: {_first_line(error)}.") from None
        self.total_rows = int(self._file.metadata.num_rows)
        self.columns = tuple(self._column(field) for field in self._file.schema_arrow)
        if len(self.columns) > MOST_COLUMNS:
            raise too_many(source.name, len(self.columns))
        seen: dict[str, int] = {}
        for place, column in enumerate(self.columns):
            name = column.name
            if seen.setdefault(name, place) != place:
                raise InvalidRecordError(
                    f"{source.name}: columns {seen[name] + 1} and {place + 1} are both named {name!r}. Rename "
                    "one where the file is created.",
                    column=name,
                )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield row by row.

        Raises:
            InvalidRecordError: the file is damaged, or a value is of a year that Python does not have.
        """
        pa = self._pyarrow
        schema = pa.schema(
            [pa.field(field.name, self._in_microseconds(field.type)) for field in self._file.schema_arrow]
        )
        for group in range(self._file.num_row_groups):
            try:
                for batch in self._file.iter_batches(batch_size=_AT_ONCE, row_groups=[group]):
                    table = pa.Table.from_batches([batch]).cast(schema, safe=False)
                    yield from self._plain(table, group)
            except (pa.ArrowException, OSError) as error:
                raise InvalidRecordError(f"{self._name}, row group {group} is damaged: {_first_line(error)}.") from None

    def _plain(self, table: Any, group: int) -> list[dict[str, Any]]:
        columns: list[list[Any]] = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                columns.append(column.to_pylist())
            except (OverflowError, ValueError) as problem:
                zone = getattr(column.type, "tz", None)
                what = "a value is beyond the years 1 to 9999"
                if zone is not None and _is_no_zone(self._pyarrow, zone):
                    what = f"there is no time zone {zone!r} on this machine"
                raise InvalidRecordError(
                    f"{self._name}, row group {group}, column {name!r} ({column.type}): {what} ({problem}). "
                    "Correct it where the file is created.",
                    column=name,
                ) from None
        return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _column(self, field: Any) -> Column:
        kind = field.type.value_type if self._pyarrow.types.is_dictionary(field.type) else field.type
        for test, problem in _UNSENDABLE.items():
            if getattr(self._pyarrow.types, test, _is_never)(kind):  # older versions lack some
                raise InvalidRecordError(
                    f"{self._name}: column {field.name!r} ({field.type}) holds {problem}, or leave it out.",
                    column=field.name,
                )
        types = self._pyarrow.types
        name = next((name for test, name in _TYPES.items() if getattr(types, test)(kind)), "text")
        return Column(name=field.name, type="empty" if types.is_null(kind) else name)

    def _in_microseconds(self, kind: Any) -> Any:
        """Python's datetimes have microsecond precision."""
        if self._pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
            return self._pyarrow.timestamp("us", tz=kind.tz)
        return kind


def _is_never(_: Any) -> bool:
    return False  # pragma: no cover - only an older PyArrow lacks a test


def _is_no_zone(pyarrow: Any, zone: str) -> bool:
    try:
        pyarrow.scalar(0, pyarrow.timestamp("us", tz=zone)).as_py()
    except (ValueError, LookupError):
        return True
    return False


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
