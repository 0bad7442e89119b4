# Derived from databox/_async/resources.py by tools/unasync.py; edit that one.
"""Accounts, the key, and data sources: one short method for each operation."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from databox._sync.page import Page
from databox._sync.transport import Transport
from databox.api import operations
from databox.api.answers import Listing
from databox.api.arguments import account_id_of, data_source_id_of, text_of
from databox.api.operations import Operation
from databox.display import logger
from databox.errors import APIError, DataboxError
from databox.models import Account, Dataset, DataSource, TimeZone
from databox.sending.retry import Effect, effect_of

__all__ = ["Accounts", "Auth", "DataSources", "Resource", "pick"]

T = TypeVar("T")
D = TypeVar("D", DataSource, Dataset)

log = logger("databox")


class Resource:
    """A group of operations on one transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _list(self, operation: Operation[Listing[T]]) -> Page[T]:
        return Page(self._transport.send(operation), path=operation.path)


class Accounts(Resource):
    """The accounts that the key's user can access."""

    def list(self) -> Page[Account]:
        """Return all accounts that the key's user can access (API: List accounts).

        Raises:
            APIError: the request failed.
        """
        return self._list(operations.accounts_list())

    def list_data_sources(self, account_id: int) -> Page[DataSource]:
        """Return an account's data sources (API: List data sources).

        Args:
            account_id: the account's number.

        Raises:
            TypeError, ValueError: the id is not valid; nothing was sent.
            APIError: the request failed.
        """
        return self._list(operations.accounts_list_data_sources(account_id_of(account_id)))

    def list_timezones(self) -> Page[TimeZone]:
        """Return the time zones that a data source can have (API: List time zones).

        Raises:
            APIError: the request failed.
        """
        return self._list(operations.accounts_list_timezones())


class Auth(Resource):
    """The key itself."""

    def validate_key(self) -> None:
        """Check the key, and return None if it is valid (API: Validate an API key).

        Raises:
            AuthenticationError: the key is not valid.
            APIError: the request failed for another reason, which says nothing about the key.
        """
        self._transport.send(operations.auth_validate_key())


class DataSources(Resource):
    """Containers of datasets."""

    def create(self, title: str, *, account_id: int | None = None, timezone: str | None = None) -> DataSource:
        """Return a new data source (API: Create a data source).

        It is retried only if the first request certainly had no effect, because titles are not unique.

        Args:
            title: a name for people; any number of data sources may share one.
            account_id: the account to create it in; defaults to the key's own account.
            timezone: an IANA name such as `Europe/Berlin`; defaults to the API's default.

        Raises:
            TypeError, ValueError: an argument cannot be sent; nothing was sent.
            APIError: the request failed. After a lost answer or a 5xx, check whether it exists before you try again,
                or use `ensure`.
        """
        return self._transport.send(
            operations.data_sources_create(
                text_of("title", title),
                account_id=None if account_id is None else account_id_of(account_id),
                timezone=None if timezone is None else text_of("timezone", timezone),
            )
        )

    def ensure(self, title: str, *, account_id: int, timezone: str | None = None) -> DataSource:
        """Return the account's data source with this title, and create it if there is none.

        Args:
            title: compared exactly.
            account_id: the account to search, and to create it in.
            timezone: for a new one; a warning is logged if the existing one has another.

        Raises:
            DataboxError: several have this title; the message lists their ids.
            APIError: a request failed.
        """

        def found() -> DataSource | None:
            page = Accounts(self._transport).list_data_sources(account_id)
            source = pick("data source", title, page.items)
            if source and timezone and source.timezone and timezone != source.timezone:
                log.warning("Data source %s has the time zone %s, not %s.", source.id, source.timezone, timezone)
            return source

        return found_or_made(found, lambda: self.create(title, account_id=account_id, timezone=timezone))

    def delete(self, data_source: int | DataSource) -> None:
        """Delete a data source with all its datasets and their rows, permanently (API: Delete a data source).

        Args:
            data_source: the id or the object.

        Raises:
            TypeError, ValueError: the id is not valid; nothing was sent.
            APIError: the request failed.
        """
        self._transport.send(operations.data_sources_delete(data_source_id_of(data_source)))

    def list_datasets(self, data_source: int | DataSource) -> Page[Dataset]:
        """Return a data source's datasets (API: List datasets). v1 does not report their primary keys.

        Args:
            data_source: the id or the object.

        Raises:
            TypeError, ValueError: the id is not valid; nothing was sent.
            APIError: the request failed.
        """
        return self._list(operations.data_sources_list_datasets(data_source_id_of(data_source)))


def found_or_made(find: Callable[[], D | None], make: Callable[[], D]) -> D:
    """Return the existing object, or a new one, even if the answer to its creation was lost.

    Raises:
        APIError: a request failed, and no new object can be found.
    """
    found = find()
    if found is not None:
        return found
    try:
        return make()
    except APIError as error:
        failure = error
    found = find() if effect_of(failure) is Effect.OPEN else None
    if found is None:
        raise failure
    return found


def pick(what: str, title: str, candidates: Sequence[D]) -> D | None:
    """Return the candidate with this title, or None; raise an error that lists the ids if there are several."""
    text_of("title", title)
    matches = [candidate for candidate in candidates if candidate.title == title]
    if len(matches) > 1:
        ids = ", ".join(str(match.id) for match in matches)
        raise DataboxError(f"There are {len(matches)} {what}s titled {title!r}: {ids}. Use the id of the one you mean.")
    return matches[0] if matches else None
