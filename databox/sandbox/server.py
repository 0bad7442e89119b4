"""The sandbox as a Python object."""

import ipaddress
import secrets
import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from databox.sandbox.admin import Admin
from databox.sandbox.asgi import Api
from databox.sandbox.faults import Fault, FaultBook
from databox.sandbox.recording import RecordedRequest, Recorder
from databox.sandbox.refusal import Refusal
from databox.sandbox.serving import Server
from databox.sandbox.snapshot import exported, imported
from databox.sandbox.throttle import Limit
from databox.sandbox.world import World
from databox.secret import Secret, secret_of

__all__ = ["Sandbox"]

_MOST_POLLS = 10**9


class Sandbox:
    """A local Databox API on a free loopback port, for the duration of a `with` block.

    Args:
        rate_limit: allowed requests per second, or a pair (per second, per hour); None for no limit.
        processing_delay: seconds until an accepted ingestion takes effect; `math.inf` to wait for `process()`.
        state: a file that stores all data between runs; without one, the data is lost.
        port: the port; 0 chooses a free one.
        api_key: the key to accept; generated if omitted. One that looks real (`pak_…`) is refused.
        seed: the seed for the probabilities of faults.
        max_body_bytes: a larger body is answered with 413.
        processing_polls: how often an accepted ingestion must be requested before it takes effect.
        retry_after: whether a 429 has a `Retry-After` header.
        host: the address to listen on; it must be a loopback address unless `allow_remote` is set.
        allow_remote: listen on any `host`. Anyone who can reach it can see and change everything.

    Raises:
        ValueError: the key looks like a real one, a number is out of range, the host is not loopback, or (on
            start) the state file cannot be used.
        OSError: (on start) the port is in use.
    """

    def __init__(
        self,
        rate_limit: float | tuple[float, float] | None = None,
        processing_delay: float = 0.0,
        state: str | Path | None = None,
        port: int = 0,
        api_key: str | None = None,
        seed: int = 0,
        max_body_bytes: int = 1_000_000,
        *,
        processing_polls: int = 0,
        retry_after: bool = True,
        host: str = "127.0.0.1",
        allow_remote: bool = False,
    ) -> None:
        given = secret_of(api_key)
        del api_key  # it may be a real one, which a traceback with locals would show
        if not processing_delay >= 0:  # refuses NaN, too
            raise ValueError(f"processing_delay must be a number of seconds, 0 or more, not {processing_delay}.")
        if isinstance(processing_polls, bool) or not 0 <= processing_polls <= _MOST_POLLS:
            raise ValueError(f"processing_polls must be a whole number from 0 to {_MOST_POLLS:,}.")
        if not allow_remote and not _is_loopback(host):
            raise ValueError(f"The sandbox listens on loopback addresses, not on {host!r}, unless allow_remote is set.")
        self.api_key = _usable(given) or f"sandbox-{secrets.token_hex(16)}"
        """The accepted API key."""
        self._host = host
        self._port = port
        self._allow_remote = allow_remote
        self._faults = FaultBook(seed)
        self._recorder = Recorder()
        self._limit = None if rate_limit is None else Limit(rate_limit)
        self._retry_after = retry_after
        self._processing = (processing_delay, processing_polls)
        self._state = state
        self._max_body_bytes = max_body_bytes
        self._world: World | None = None
        self._server: Server | None = None

    def start(self) -> Self:
        """Start serving; a `with` statement does it for you."""
        if self._world is not None:
            raise RuntimeError("This sandbox is running already.")
        world = World(self._state, *self._processing)
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listener = socket.create_server((self._host, self._port), family=family, backlog=512)
            server = Server(listener)
            api = Api(
                world,
                key=self.api_key,
                faults=self._faults,
                recorder=self._recorder,
                limit=self._limit,
                retry_after=self._retry_after,
                max_body_bytes=self._max_body_bytes,
                drop=server.drop,
            )
            self._world, self._port = world, listener.getsockname()[1]
            server.start(Admin(self, api, world, self._faults, self._recorder, any_host=self._allow_remote))
        except BaseException:
            self._world = None
            world.close()
            raise
        self._server = server
        return self

    def close(self) -> None:
        """Stop serving immediately; requests in flight lose their connection."""
        if self._world is None or self._server is None:
            return
        self._server.close()
        self._world.close()
        self._world = self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address to use as `base_url`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """The latest 100,000 requests, or 256 MiB of them, in order of arrival."""
        return self._recorder.all()

    def rows(self, dataset: Any) -> list[dict[str, Any]]:
        """Return the stored rows of a dataset, given by its id or an object that has one.

        Raises:
            LookupError: there is no such dataset.
        """
        dataset_id = dataset if isinstance(dataset, str) else dataset.id
        try:
            return self._running().rows(dataset_id)
        except Refusal:
            raise LookupError(f"The sandbox has no dataset {dataset_id!r}.") from None

    def inject(self, fault: Fault) -> None:
        """Inject a fault."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def process(self) -> int:
        """Process all pending ingestions now, in order; return how many there were."""
        return self._running().process()

    def advance(self, seconds: float) -> datetime:
        """Advance the sandbox's clock, and with it delays and rate limits; return its new time.

        Raises:
            ValueError: the number is negative or not a number, or the clock would pass the year 9999.
        """
        if not 0 <= seconds <= 1e9:
            raise ValueError(f"The clock can be advanced by 0 to 1e9 seconds, not by {seconds}.")
        self._running().advance(seconds)
        if self._limit:
            self._limit.advance(seconds)
        return self._running().now

    def reset(self) -> None:
        """Delete all rows, datasets, data sources, faults and requests, and reset rate limits."""
        self._running().reset()
        self._faults.clear()
        self._recorder.clear()
        if self._limit:
            self._limit.renew()

    def export_state(self) -> dict[str, Any]:
        """Return all data as a JSON document, which can be stored, compared, or imported."""
        return self._running().with_database(exported)

    def import_state(self, document: Mapping[str, Any]) -> None:
        """Replace all data with the contents of a document.

        Raises:
            ValueError: the document cannot be imported; the data is unchanged.
        """
        self._running().with_database(lambda db: imported(db, document))

    def __repr__(self) -> str:
        return f"<Sandbox at {self.url}>" if hasattr(self, "_port") else "<Sandbox, not initialised>"

    def _running(self) -> World:
        if self._world is None:
            raise RuntimeError("This sandbox is not running.")
        return self._world


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _usable(given: Secret[str] | None) -> str | None:
    """Return a caller's key if it is allowed here and valid in a header."""
    if given is None:
        return None
    if given.reveal().startswith("pak_"):
        raise ValueError("This api_key looks like a real one. Use any other key, or omit it.")
    if not given.reveal() or not all("!" <= character <= "~" for character in given.reveal()):
        raise ValueError("An api_key for the sandbox must consist of printable ASCII characters without spaces.")
    return str(given.reveal())
