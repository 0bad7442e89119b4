"""The sandbox, as a program starts and asks it."""

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
    """A Databox API of your own on a free loopback port, for as long as the `with` block lasts.

    Args:
        rate_limit: requests a second to allow, or a pair for a second and an hour; None for any number.
        processing_delay: seconds until an accepted ingestion takes effect; `math.inf` for not before `process()`.
        state: a file that keeps the world between runs; without one it is forgotten.
        port: the port; 0 takes a free one.
        api_key: the key to accept; made up without. One that looks real (`pak_…`) is refused.
        seed: for the chances of faults.
        max_body_bytes: a larger body is answered with 413.
        processing_polls: how often an accepted ingestion is asked about before it takes effect.
        retry_after: whether a 429 says how long to wait.
        host: the address to listen on; one that is not of this machine's loopback is refused.
        allow_remote: listen on `host` whatever it is. Anyone who reaches it can see and change all that is there.

    Raises:
        ValueError: the key looks like a real one, a number is out of bounds, the host is not loopback, or (on
            starting) the state file cannot be used.
        OSError: (on starting) the port is in use.
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
        del api_key  # it may be a real one, and would show in the locals of a traceback
        if not processing_delay >= 0:  # nan neither
            raise ValueError(f"processing_delay must be seconds, 0 or more, not {processing_delay}.")
        if isinstance(processing_polls, bool) or not 0 <= processing_polls <= _MOST_POLLS:
            raise ValueError(f"processing_polls must be a whole number from 0 to {_MOST_POLLS:,}.")
        if not allow_remote and not _is_loopback(host):
            raise ValueError(f"The sandbox listens on loopback addresses, not on {host!r}, unless allow_remote is set.")
        self.api_key = _usable(given) or f"sandbox-{secrets.token_hex(16)}"
        """The key that it accepts."""
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
        """Start serving; the `with` statement does it for you."""
        if self._world is not None:
            raise RuntimeError("This sandbox is running already.")
        world = World(self._state, *self._processing)
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listener = socket.create_server((self._host, self._port), family=family, backlog=512)
        except BaseException:
            world.close()
            raise
        self._world = world
        self._port = listener.getsockname()[1]
        self._server = Server(listener)
        api = Api(
            world,
            key=self.api_key,
            faults=self._faults,
            recorder=self._recorder,
            limit=self._limit,
            retry_after=self._retry_after,
            max_body_bytes=self._max_body_bytes,
            drop=self._server.drop,
        )
        try:
            self._server.start(Admin(self, api, world, self._faults, self._recorder, any_host=self._allow_remote))
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Stop serving, at once; requests under way lose their connection."""
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
        """The latest 100,000 requests, or 256 MiB of them, in the order in which they came."""
        return self._recorder.all()

    def rows(self, dataset: Any) -> list[dict[str, Any]]:
        """Return the rows of a dataset, given by its id or an object that has one, as they are stored.

        Raises:
            LookupError: there is no such dataset.
        """
        dataset_id = dataset if isinstance(dataset, str) else dataset.id
        try:
            return self._running().rows(dataset_id)
        except Refusal:
            raise LookupError(f"The sandbox has no dataset {dataset_id!r}.") from None

    def inject(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Let everything go well from now on."""
        self._faults.clear()

    def process(self) -> int:
        """Let all ingestions that wait take effect now, in their order; return how many."""
        return self._running().process()

    def advance(self, seconds: float) -> datetime:
        """Let the sandbox's clock go forward, and with it delays and rate limits; return what it says.

        Raises:
            ValueError: backward, no number, or beyond the year 9999.
        """
        if not 0 <= seconds <= 1e9:
            raise ValueError(f"The clock goes forward, by 0 to 1e9 seconds, not by {seconds}.")
        self._running().advance(seconds)
        if self._limit:
            self._limit.advance(seconds)
        return self._running().now

    def reset(self) -> None:
        """Forget rows, datasets, data sources, faults and requests; rate limits begin anew."""
        self._running().reset()
        self._faults.clear()
        self._recorder.clear()
        if self._limit:
            self._limit.renew()

    def export_state(self) -> dict[str, Any]:
        """Return the world as a JSON document, to be kept, compared, or imported."""
        return self._running().with_database(exported)

    def import_state(self, document: Mapping[str, Any]) -> None:
        """Let the world be what a document says, and nothing else.

        Raises:
            ValueError: it is none that can be imported; the world stays as it is.
        """
        self._running().with_database(lambda db: imported(db, document))

    def __repr__(self) -> str:
        return f"<Sandbox at {self.url}>" if hasattr(self, "_port") else "<Sandbox, not made>"

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
    """Return a caller's key if it may be used here and can stand in a header."""
    if given is None:
        return None
    if given.reveal().startswith("pak_"):
        raise ValueError("This api_key looks like a real one. The sandbox takes any other, or makes one up.")
    if not given.reveal() or not all("!" <= character <= "~" for character in given.reveal()):
        raise ValueError("An api_key for the sandbox is made of printable ASCII characters, without blanks.")
    return str(given.reveal())
