"""The sandbox as a server in a thread of this process."""

import asyncio
import contextlib
import secrets
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from databox.sandbox.app import Api
from databox.sandbox.faults import Fault, FaultBook
from databox.sandbox.limit import Limit
from databox.sandbox.recording import RecordedRequest, Recorder
from databox.sandbox.refusal import Refusal
from databox.sandbox.world import World

__all__ = ["Sandbox"]

HOST = "127.0.0.1"


class Sandbox:
    """A Databox API of your own on a free loopback port, for as long as the `with` block lasts.

    Args:
        rate_limit: requests a second to allow, or a pair for a second and an hour; None for any number.
        processing_delay: seconds until an accepted ingestion takes effect; `math.inf` for never.
        state: a file that keeps the world between runs; without one it is forgotten.
        port: the port; 0 takes a free one.
        api_key: the key to accept; made up without. One that looks real (`pak_…`) is refused.
        seed: for the chances of faults.
        max_body_bytes: a larger body is answered with 413.

    Raises:
        ValueError: the key looks like a real one, the limit or the delay is none, or (on starting) the state
            file cannot be used.
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
    ) -> None:
        if not processing_delay >= 0:  # nan neither
            raise ValueError(f"processing_delay must be seconds, 0 or more, not {processing_delay}.")
        self.api_key = _usable(api_key) or f"sandbox-{secrets.token_hex(16)}"
        """The key that it accepts."""
        self._port = port
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        self._faults = FaultBook(seed)
        self._recorder = Recorder()
        self._limit = None if rate_limit is None else Limit(rate_limit)
        self._processing_delay = processing_delay
        self._state = state
        self._max_body_bytes = max_body_bytes
        self._world: World | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Start serving; the `with` statement does it for you."""
        if self._world is not None:
            raise RuntimeError("This sandbox is running already.")
        world = World(self._state, self._processing_delay)
        try:
            listener = socket.create_server((HOST, self._port), backlog=512)
        except BaseException:
            world.close()
            raise
        self._world = world
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(self._configured(world))
        settled = threading.Event()
        self._thread = threading.Thread(
            target=_serve, args=(self._server, listener, settled), name="databox-sandbox", daemon=True
        )
        self._thread.start()
        settled.wait()
        if not self._server.started:
            self.close()
            raise RuntimeError("The sandbox could not start; its thread has said why.")
        return self

    def close(self) -> None:
        """Stop serving, at once; requests under way lose their connection."""
        if self._world is None or self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._world.close()
        self._world = self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address to use as `base_url`."""
        return f"http://{HOST}:{self._port}"

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """The requests so far, in the order in which they came."""
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

    def reset(self) -> None:
        """Forget rows, datasets, data sources, faults and requests."""
        self._running().reset()
        self._faults.clear()
        self._recorder.clear()

    def __repr__(self) -> str:
        return f"<Sandbox at {self.url}>"

    def _running(self) -> World:
        if self._world is None:
            raise RuntimeError("This sandbox is not running.")
        return self._world

    def _configured(self, world: World) -> uvicorn.Config:
        api = Api(
            world,
            key=self.api_key,
            faults=self._faults,
            recorder=self._recorder,
            limit=self._limit,
            max_body_bytes=self._max_body_bytes,
            drop=self._drop,
        )
        return uvicorn.Config(
            api,
            http=self._protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,  # they would hide which connection to drop
            timeout_keep_alive=60,
            timeout_graceful_shutdown=0,
        )

    def _protocol(self) -> type[H11Protocol]:
        """The HTTP protocol, which also remembers connections, since ASGI knows no way to cut one."""
        connections = self._connections

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.peer = transport.get_extra_info("peername")
                connections[self.peer] = transport
                # asyncio leaves this out for sockets that do not name their protocol, as those of create_server.
                # Without it each answer waits some 40 ms for the client's acknowledgement.
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.peer, None)
                super().connection_lost(exc)

        return Protocol

    def _drop(self, scope: Scope) -> None:
        connection = self._connections.get(tuple(scope["client"]))
        if connection:
            connection.abort()


def _serve(server: uvicorn.Server, listener: socket.socket, settled: threading.Event) -> None:
    """Serve until told to stop; `settled` is set once that has begun, or failed."""

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.002)
        settled.set()
        await serving

    try:
        with contextlib.closing(listener):
            asyncio.run(run())
    finally:
        settled.set()


def _usable(api_key: str | None) -> str | None:
    """Return a caller's key if it may be used here and can stand in a header."""
    if api_key is None:
        return None
    if api_key.startswith("pak_"):
        raise ValueError("This api_key looks like a real one. The sandbox takes any other, or makes one up.")
    if not api_key or not all("!" <= character <= "~" for character in api_key):
        raise ValueError("An api_key for the sandbox is made of printable ASCII characters, without blanks.")
    return api_key
