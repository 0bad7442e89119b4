"""A database connection by address: without secrets in its display, and protected from writes."""

import contextlib
import os
import re
from typing import Any

from databox.display import visible
from databox.errors import ConfigurationError
from databox.misuse import ArgumentTypeError

__all__ = ["Database"]

_SECRET = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
"""Names of URL options that are secret."""
_WITHIN = re.compile(r"(?:pwd|password)=([^;]*)", re.IGNORECASE)
"""A password within an option, as in ODBC."""
_BACKGROUND = re.compile(r" *\(Background on this error at: \S+\)")
_PACKAGES = {"MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary"}
"""Drivers that pip knows by another name, or that it installs without a compiler by another name."""
_NO_URL = (
    "The database is no URL as SQLAlchemy has them, such as postgresql+psycopg://user:password@host/name "
    "or sqlite:///file.db. Special characters in a password are written as %40 and the like."
)


class Database:
    """A connection.

    Args:
        sqlalchemy: the library.
        database: a URL, an engine or a connection.

    Raises:
        ConfigurationError: the URL cannot be used, or the database cannot be reached. No password shows.
        ImportError: the database's driver is missing.
        TypeError: it is none of these.
    """

    def __init__(self, sqlalchemy: Any, database: Any) -> None:
        self._sqlalchemy = sqlalchemy
        self._open = contextlib.ExitStack()
        self._secrets: list[str] = []
        try:
            self.connection: Any = self._connected(database)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if it was opened here."""
        self._open.close()

    def words(self, error: Exception) -> str:
        """Return the database's error message, without secrets."""
        original = getattr(error, "orig", None) or error
        said = _BACKGROUND.sub("", " ".join(str(original).split())).rstrip(".")
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return said

    def _connected(self, database: Any) -> Any:
        sqlalchemy = self._sqlalchemy
        own = isinstance(database, str | sqlalchemy.URL)
        if own:
            engine = self._engine(database)
            self._open.callback(engine.dispose)
        elif isinstance(database, sqlalchemy.Engine | sqlalchemy.Connection):
            engine = database.engine
        else:
            raise ArgumentTypeError(
                "database must be a URL, or an engine or connection of SQLAlchemy that is not asynchronous, not "
                f"{type(database).__name__}."
            )
        self._look_at(engine.url)
        if isinstance(database, sqlalchemy.Connection):
            return database
        try:
            connection = self._open.enter_context(engine.connect())
            if own and connection.dialect.name == "sqlite":
                # It begins no transaction for `drop table` and similar statements, so nothing could be rolled back.
                connection.exec_driver_sql("PRAGMA query_only = ON")
        except (sqlalchemy.exc.SQLAlchemyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"The database {self.name} cannot be reached: {self.words(error)}.") from None
        return connection

    def _look_at(self, url: Any) -> None:
        self.name: str = url.set(query={}).render_as_string(hide_password=True)
        """The address without anything that is, or may be, secret."""
        found = [url.password or ""]
        for option, value in url.normalized_query.items():
            if _SECRET.search(option):
                found += value
            found += [secret for each in value for secret in _WITHIN.findall(each)]
        self._secrets = sorted(filter(None, found), key=len, reverse=True)

    def _engine(self, url: Any) -> Any:
        sqlalchemy = self._sqlalchemy
        parsed: Any = None
        with contextlib.suppress(sqlalchemy.exc.ArgumentError, ValueError):
            parsed = sqlalchemy.make_url(url)
        is_file = parsed is not None and parsed.drivername.partition("+")[0] == "sqlite"
        if parsed is None or (not is_file and "@" in f"{parsed.host}{parsed.database}"):
            # Not chained to the other error, which shows the text with the password. If an @ was not written as
            # %40, the rest of the password is taken for the host.
            raise ConfigurationError(_NO_URL)
        self._look_at(parsed)
        path = parsed.database or ":memory:"
        if is_file and not path.startswith((":memory:", "file:")) and not os.path.exists(path):
            raise ConfigurationError(f"There is no file {path}, so the database {self.name} cannot be reached.")
        try:
            return sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.pool.NullPool)
        except sqlalchemy.exc.NoSuchModuleError:
            hint = " Write postgresql://." if parsed.drivername == "postgres" else ""
            raise ConfigurationError(
                f"SQLAlchemy knows no database {parsed.drivername!r}.{hint} If it has a dialect of its own, install it."
            ) from None
        except ImportError as error:
            package = _PACKAGES.get(error.name or "", error.name or "")
            other = "mysql+pymysql" if parsed.get_backend_name() == "mysql" else "postgresql+psycopg"
            raise ImportError(
                f"{visible(parsed.drivername)}:// needs the driver {error.name}: pip install {visible(package)}; or "
                f"name another, as in {visible(other)}://.",
                name=error.name,
            ) from None
        except (sqlalchemy.exc.SQLAlchemyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"The database {self.name} cannot be used: {self.words(error)}.") from None
