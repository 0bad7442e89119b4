"""`read_query`: the rows of a SQL query, streamed, through SQLAlchemy."""

import contextlib
import hashlib
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from types import TracebackType
from typing import Any, NoReturn, Self

from databox.display import visible
from databox.errors import ConfigurationError, DataboxError, InvalidRecordError
from databox.files.column import Column, Reading
from databox.files.conversion import columns_of
from databox.files.database import Database
from databox.files.places import Place
from databox.files.source import missing
from databox.files.typed import DURATIONS, TIMES, kind_of, long_columns, without_long
from databox.misuse import ArgumentTypeError
from databox.wording import Message, message

__all__ = ["QueryRecords", "read_query"]

_AT_ONCE = 1000
"""The number of rows that are fetched at a time."""
_PREVIEWED = 100
_PARAMETER = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)")
_CANNOT = {
    "nested": "nested values, such as JSON or arrays. Select their parts, payload->>'name', or cast it to text",
    "bytes": "bytes. Make them text in the query, encode(…, 'hex') or hex(…), or leave it out",
    "time": f"{TIMES}. Cast it to text in the query",
    "duration": f"{DURATIONS}. Make it seconds in the query, extract(epoch from …)",
}


def read_query(database: Any, sql: str, *, params: Mapping[str, Any] | None = None) -> "QueryRecords":
    """Return an iterator over the rows of a SQL query, ready for `ingest`; memory use is constant.

    The query runs immediately, on a connection that streams (with a server-side cursor, if the database has one) and is
    rolled back at the end. Values keep the types of the database. A number with more digits than a JSON number holds
    exactly becomes text, together with its whole column if it is among the first rows. A journal belongs to the query:
    to its text and its parameters.

    Args:
        database: a URL such as `postgresql+psycopg://user@host/name`, or a SQLAlchemy engine or connection; a
            connection stays open.
        sql: the query. With `params`, write its parameters as `:name`; without, it is sent unchanged.
        params: the values of the parameters.

    Raises:
        ConfigurationError: the URL cannot be used, the database cannot be reached, or the query fails. The password
            never shows.
        InvalidRecordError: a column has no name or a duplicate name, or contains something that cannot be sent.
        DataboxError: the database failed during iteration.
        ImportError: the extra `databox-sdk[sql]` or the database's driver is missing.
        TypeError: an argument has the wrong type.
    """
    if not isinstance(sql, str) or not sql.strip():
        raise ArgumentTypeError("sql must be the text of a query.")
    if params is not None and not isinstance(params, Mapping):
        raise ArgumentTypeError("params must be a mapping from names to values.")
    return QueryRecords(database, sql, dict(params) if params else None)


class QueryRecords(Iterator[dict[str, Any]]):
    """The rows of a query, and how it is read. Returned by `read_query`; closed after the last row, or by `with`.

    Args:
        database: a URL, an engine or a connection.
        sql: the query.
        params: the values of its parameters.
        by_driver: whether the parameters, a mapping or a tuple, are written as the database's driver has them:
            `%(name)s`, `?`.
    """

    total_rows: int | None = None
    fraction: float | None = None
    """How much has been read: unknown for a query."""
    encoding: str | None = None
    blank = repeated = 0
    format = "sql"
    is_guess = False

    def __init__(self, database: Any, sql: str, params: Any, *, by_driver: bool = False) -> None:
        try:
            self._sqlalchemy: Any = importlib.import_module("sqlalchemy")
        except ImportError:
            raise missing("SQLAlchemy", "sql", "databases") from None
        # A driver's own too, at text that is none or numbers that the database does not have.
        self._failures = (self._sqlalchemy.exc.SQLAlchemyError, ValueError, OverflowError)
        self._open = contextlib.ExitStack()
        self.misfits: Counter[str] = Counter()
        self.notes: list[str] = []
        self.identity = _identity(sql, params)
        """The identity of this query with these parameters, which a journal stores."""
        try:
            self._database = Database(self._sqlalchemy, database)
            self._open.callback(self._database.close)
            self.name = self._database.name
            """The database's address, without anything secret."""
            self.description = f"SQL, {self._database.connection.dialect.name}"
            result = self._executed(sql, params, by_driver=by_driver)
            names = self._names(list(result.keys()))
            rows = self._rows_of(result, names)
            first = list(islice(rows, _PREVIEWED))
            long = long_columns(first)
            self.columns: tuple[Column, ...] = tuple(self._columns(first, names, long))
            self._rows = without_long(self.name, chain(first, rows), long, remedy="Cast it to text in the query")
        except BaseException:
            self.close()
            raise

    def place(self, row: int) -> Place:
        """Return which row of the query one is.

        Args:
            row: its place among the rows, from 0.
        """
        return Place("the query", "row", row + 1)

    def close(self) -> None:
        """Close the query, and the connection if it was opened here."""
        self._open.close()

    def __next__(self) -> dict[str, Any]:
        try:
            return next(self._rows)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<QueryRecords of {visible(self.name)}: {len(self.columns)} columns>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("The rows of an open query cannot be pickled. Call read_query where they are needed.")

    def _executed(self, sql: str, params: Any, *, by_driver: bool) -> Any:
        connection = self._database.connection
        options = {"stream_results": True, "yield_per": _AT_ONCE}
        try:
            if params is None or by_driver:
                options["no_parameters"] = not params  # otherwise a driver would look for parameters after every %
                result = connection.exec_driver_sql(sql, params or None, execution_options=options)
            else:
                statement = self._sqlalchemy.text(sql)
                _check_parameters(sql, statement.compile().params.keys(), params)
                result = connection.execute(statement, params, execution_options=options)
        except self._failures as error:
            forgotten = _PARAMETER.search(sql) if params is None and not by_driver else None
            hint = [f" If :{forgotten[1]} is a parameter, ", *_value_of(forgotten[1]), "."] if forgotten else ()
            said = self._database.words(error)
            raise ConfigurationError(message(f"The query cannot be run by {self.name}: {said}.", *hint)) from None
        self._open.callback(result.close)
        if not result.returns_rows:
            raise ConfigurationError("The SQL is not a query: it returns no rows.")
        return result

    def _rows_of(self, result: Any, names: list[str]) -> Iterator[dict[str, Any]]:
        try:
            for rows in result.partitions(_AT_ONCE):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
        except self._failures as error:
            raise DataboxError(f"Reading from {self.name} failed: {self._database.words(error)}.") from None
        self.close()

    def _names(self, names: list[str]) -> list[str]:
        seen: dict[str, int] = {}
        for place, name in enumerate(names):
            if not name:
                raise InvalidRecordError(f"Column {place + 1} of the query has no name. Give it one: select … as name.")
            if seen.setdefault(name, place) != place:
                raise InvalidRecordError(
                    f"Columns {seen[name] + 1} and {place + 1} of the query are both named {name!r}. Name them "
                    "apart: select … as name.",
                    column=name,
                )
        return names

    def _columns(self, rows: Sequence[Any], names: list[str], long: set[str]) -> Iterator[Column]:
        for row in rows:
            for name, value in row.items():
                problem = None if value is None else _CANNOT.get(kind_of(value))
                if problem:
                    if not isinstance(value, dict | list | tuple) and kind_of(value) == "nested":
                        problem = f"values of type {type(value).__name__}. Cast it to text in the query"
                    raise InvalidRecordError(f"Column {name!r} of the query holds {problem}.", column=name)
        found = {column.name: column for column in columns_of(rows, Reading(), long, remedy="cast it in the query")}
        for name in names:
            column = found.get(name, Column(name=name, type="empty"))
            if column.type == "datetime" and any(row[name] is not None and row[name].tzinfo is None for row in rows):
                self.notes.append(f"Times in column {name!r} have no time zone, and are taken as UTC.")
            yield column


def _check_parameters(sql: str, expected: Iterable[str], params: Mapping[str, Any]) -> None:
    """Refuse parameters that the query lacks, or that lack a value."""
    unknown = next((name for name in params if name not in expected), None)
    if unknown is not None:
        cast = f" Write cast(:{unknown} as …) for :{unknown}::…." if f":{unknown}::" in sql else ""
        raise ConfigurationError(f"The query has no parameter :{unknown}.{cast}")
    missing = next((name for name in expected if name not in params), None)
    if missing is not None:
        raise ConfigurationError(
            message(
                f"The query's bind parameter {missing!r} has no value; ",
                *_value_of(missing),
                r". Write a colon that does not begin a parameter as \:.",
            )
        )


def _value_of(name: str) -> tuple[str, str]:
    return "give its value with ", Message(f"params={{{name!r}: …}}", f"--param {name}=…")


def _identity(sql: str, params: Mapping[str, Any] | Sequence[Any] | None) -> str:
    # A digest, because parameters may be secret.
    named = params if isinstance(params, Mapping) else dict(enumerate(params or ()))
    text = json.dumps([sql.strip(), {name: repr(value) for name, value in sorted(named.items())}])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
