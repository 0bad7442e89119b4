# Derived from databox/_async/page.py by tools/unasync.py; edit that one.
"""A list that may span several requests."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from databox.api.answers import Listing
from databox.errors import InvalidResponseError

__all__ = ["Page"]

T = TypeVar("T")


class Fetch(Protocol[T]):
    """Fetches a page by its number, starting at 1."""

    def __call__(self, number: int) -> Listing[T]: ...


class Page(Generic[T]):
    """One page of a list. Iterating yields the items of this and all later pages, which are fetched as needed."""

    def __init__(
        self,
        listing: Listing[T],
        fetch: Fetch[T] | None = None,
        *,
        path: str = "",
        asked_size: int | None = None,
        number: int = 1,
        seen: int = 0,
    ) -> None:
        self.items: tuple[T, ...] = listing.items
        """The items of this page only."""
        self.total: int | None = listing.total
        """The number of items on all pages, or None if the API does not say."""
        if fetch is None and self.total is None:
            self.total = len(self.items)
        self.request_id: str | None = listing.request_id
        self._listing = listing
        self._fetch = fetch
        self._path = path
        self._asked_size = asked_size
        self._number = number
        self._seen = seen + len(self.items)

    def by_page(self) -> Iterator["Page[T]"]:
        """Iterate over this page and all later ones, one request each.

        Raises:
            InvalidResponseError: the API promised more items, but sent earlier ones again.
        """
        page = self
        earlier: set[int] = set()  # hashes, because there may be many pages
        while True:
            yield page
            ids = page._ids()
            earlier.add(hash(ids))
            following = page._next()
            if following is None:
                return
            found = following._ids()
            if found and (found <= ids or hash(found) in earlier):
                if page.total is None:
                    return  # a server without pagination sends everything each time
                raise following._repetition()
            page = following

    def __iter__(self) -> Iterator[T]:
        for page in self.by_page():
            yield from page.items

    def _next(self) -> "Page[T] | None":
        if self._fetch is None or not self._listing.more_after(self._seen, self._asked_size):
            return None
        number = self._number + 1
        listing = self._fetch(number)
        return Page(
            listing,
            self._fetch,
            path=self._path,
            asked_size=self._asked_size,
            number=number,
            seen=self._seen,
        )

    def _ids(self) -> frozenset[object]:
        return frozenset(getattr(item, "id", item) for item in self.items)

    def _repetition(self) -> InvalidResponseError:
        return InvalidResponseError(
            f"GET {self._path} returned the same page again for page {self._number}, "
            f"although the API promised {self.total} items.",
            method="GET",
            path=self._path,
            status_code=200,
            request_id=self.request_id,
        )

    def __repr__(self) -> str:
        total = "" if self.total is None else f" of {self.total}"
        return f"<{type(self).__name__} {self._number}: {len(self.items)}{total} items>"
