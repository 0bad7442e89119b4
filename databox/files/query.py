"""`read_query`: the rows of a SQL query, streamed, through SQLAlchemy."""

import contextlib
import hashlib
import importlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from types import TracebackType
from typing import Any, NoReturn, Self

from databox.display import visible
from databox.errors import ConfigurationError, DataboxError, InvalidRecordError
from databox.files.column import Column, Reading
from databox.files.conversion import columns_of
from databox.files.source import missing
from databox.files.typed import DURATIONS, TIMES, kind_of, long_columns, without_long

__all__ = ["QueryRecords", "read_query"]

_AT_ONCE = 1000
"""Rows that are fetched at a time."""
_PREVIEWED = 100
_CANNOT = {
    "nested": "nested values, such as JSON or arrays. Select their parts, payload->>'name', or cast it to text",
    "bytes": "bytes. Make them text in the query, encode(…, 'hex') or hex(…), or leave it out",
    "time": f"{TIMES}. Cast it to text in the query",
    "duration": f"{DURATIONS}. Make it seconds in the query, extract(epoch from …)",
}


def read_query(database: Any, sql: str, *, params: Mapping[str, Any] | None = None) -> "QueryRecords":
    """Return an iterator of the rows of a SQL query, as `ingest` takes them; at flat memory, however many there are.

    The query runs at once, on a connection that streams (a cursor on the server, where the database has one), and is
    rolled back at the end. Values have the types of the database. A number with more digits than a JSON number holds
    exactly becomes text, with its whole column if the first rows tell. A journal belongs to the query: to its text and
    its parameters.

    Args:
        database: a URL such as `postgresql+psycopg://user@host/name`, or an engine or a connection of SQLAlchemy; a
            connection stays open.
        sql: the query. With `params` its parameters are written `:name`; without, it is sent as it is.
        params: the values of the parameters.

    Raises:
        ConfigurationError: the URL cannot be used, the database not reached, or the query not run. The password never
            shows.
        InvalidRecordError: a column has no name, or that of another, or holds what cannot be sent.
        DataboxError: while iterating, the database failed.
        ImportError: the extra is missing, `databox-sdk[sql]`, or the database's driver.
        TypeError: an argument is of a wrong type.
    """
    if not isinstance(sql, str) or not sql.strip():
        raise TypeError("sql must be the text of a query.")
    if params is not None and not isinstance(params, Mapping):
        raise TypeError("params must be a mapping from names to values.")
    return QueryRecords(database, sql, dict(params) if params else None)


class QueryRecords(Iterator[dict[str, Any]]):
    """The rows of a query, and how it is read. Made by `read_query`; closed at the end of the rows, or by `with`."""

    total_rows: int | None = None
    fraction: float | None = None
    """How much has been read: a query does not tell."""
    encoding: str | None = None
    blank = repeated = 0
    format = "sql"
    is_guess = False

    def __init__(self, database: Any, sql: str, params: dict[str, Any] | None) -> None:
        try:
            self._sqlalchemy: Any = importlib.import_module("sqlalchemy")
        except ImportError:
            raise missing("SQLAlchemy", "sql", "databases") from None
        self._open = contextlib.ExitStack()
        self._secret: str | None = None
        self.misfits: Counter[str] = Counter()
        self.notes: list[str] = []
        self.identity = _identity(sql, params)
        """What tells this query, with these parameters, from others; a journal keeps it."""
        try:
            connection = self._connection(database)
            url = connection.engine.url
            self._secret = url.password or self._secret
            self.name = url.render_as_string(hide_password=True)
            self.description = f"SQL, {connection.dialect.name}"
            result = self._executed(connection, sql, params)
            names = self._names(list(result.keys()))
            rows = self._rows_of(result, names)
            first = list(islice(rows, _PREVIEWED))
            long = long_columns(first)
            self.columns: tuple[Column, ...] = tuple(self._columns(first, names, long))
            self._rows = without_long(self.name, chain(first, rows), long, remedy="Cast it to text in the query")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the query, and of the connection if it was opened here."""
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

    def _connection(self, database: Any) -> Any:
        sqlalchemy = self._sqlalchemy
        if isinstance(database, sqlalchemy.Connection):
            return database
        if isinstance(database, sqlalchemy.Engine):
            engine = database
        elif isinstance(database, str | sqlalchemy.URL):
            engine = self._engine(database)
            self._open.callback(engine.dispose)
        else:
            raise TypeError(
                "database must be a URL, or an engine or connection of SQLAlchemy that is not asynchronous, not "
                f"{type(database).__name__}."
            )
        self._secret = engine.url.password
        try:
            return self._open.enter_context(engine.connect())
        except sqlalchemy.exc.SQLAlchemyError as error:
            shown = engine.url.render_as_string(hide_password=True)
            raise ConfigurationError(f"The database {shown} cannot be reached: {self._words(error)}.") from None

    def _engine(self, url: Any) -> Any:
        sqlalchemy = self._sqlalchemy
        parsed: Any = None
        with contextlib.suppress(sqlalchemy.exc.ArgumentError, ValueError):
            parsed = sqlalchemy.make_url(url)
        if parsed is None:  # not within the other error, which shows the text, and the password in it
            raise ConfigurationError(
                "The database is no URL as SQLAlchemy has them, such as postgresql+psycopg://user:password@host/name "
                "or sqlite:///file.db. Special characters in a password are written as %40 and the like."
            )
        self._secret = parsed.password
        try:
            return sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.pool.NullPool)
        except sqlalchemy.exc.NoSuchModuleError:
            hint = " Write postgresql://." if parsed.drivername == "postgres" else ""
            raise ConfigurationError(
                f"SQLAlchemy knows no database {parsed.drivername!r}.{hint} If it has a dialect of its own, install it."
            ) from None
        except ImportError as error:
            raise ImportError(
                f"{visible(parsed.drivername)}:// needs the driver {error.name}: pip install {error.name}; or name "
                "another, as in postgresql+psycopg://.",
                name=error.name,
            ) from None

    def _executed(self, connection: Any, sql: str, params: dict[str, Any] | None) -> Any:
        options = {"stream_results": True, "yield_per": _AT_ONCE}
        try:
            if params is None:
                options["no_parameters"] = True  # else a driver would look for some behind every %
                result = connection.exec_driver_sql(sql, execution_options=options)
            else:
                result = connection.execute(self._sqlalchemy.text(sql), params, execution_options=options)
        except self._sqlalchemy.exc.SQLAlchemyError as error:
            raise ConfigurationError(f"The query cannot be run by {self.name}: {self._words(error)}.") from None
        self._open.callback(result.close)
        if not result.returns_rows:
            raise ConfigurationError("The SQL is no query: it gives no rows. Nothing was committed.")
        return result

    def _rows_of(self, result: Any, names: list[str]) -> Iterator[dict[str, Any]]:
        try:
            for rows in result.partitions(_AT_ONCE):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
        except self._sqlalchemy.exc.SQLAlchemyError as error:
            raise DataboxError(f"Reading from {self.name} failed: {self._words(error)}.") from None
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
                    raise InvalidRecordError(f"Column {name!r} of the query holds {problem}.", column=name)
        found = {column.name: column for column in columns_of(rows, Reading(), long)}
        for name in names:
            column = found.get(name, Column(name=name, type="empty"))
            if column.type == "datetime" and any(row[name] is not None and row[name].tzinfo is None for row in rows):
                self.notes.append(f"Times of column {name!r} have no zone, and are taken as UTC.")
            yield column

    def _words(self, error: Exception) -> str:
        """What went wrong, in the database's words, without the password."""
        original = getattr(error, "orig", None) or error
        said = " ".join(str(original).split()).rstrip(".")
        if self._secret:
            said = said.replace(self._secret, "***")
        return said


def _identity(sql: str, params: Mapping[str, Any] | None) -> str:
    # A digest, since parameters may be secrets.
    text = json.dumps([sql.strip(), {name: repr(value) for name, value in sorted((params or {}).items())}])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
