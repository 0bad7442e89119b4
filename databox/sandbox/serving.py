"""An ASGI application served by a thread of this process."""

import asyncio
import contextlib
import socket
import threading

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Server"]


class Server:
    """Serves on a socket, and closes it at the end."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        self._server: uvicorn.Server
        self._thread: threading.Thread

    def start(self, app: ASGIApp) -> None:
        """Start serving an application, and return when it is ready; to be called before everything else.

        Raises:
            RuntimeError: the start failed.
        """
        server = self._server = uvicorn.Server(self._configured(app))
        settled = threading.Event()
        self._thread = threading.Thread(
            target=_serve, args=(server, self._listener, settled), name="databox-sandbox", daemon=True
        )
        self._thread.start()
        settled.wait()
        if not server.started:
            self._thread.join()
            raise RuntimeError("The sandbox could not start; the error of its thread says why.")

    def close(self) -> None:
        """Stop immediately; requests in flight lose their connection."""
        self._server.should_exit = True
        self._thread.join()

    def drop(self, scope: Scope) -> None:
        """Close the connection of a request, for which ASGI has no means."""
        with contextlib.suppress(KeyError):  # the client may have closed it in the meantime
            self._connections[tuple(scope["client"])].abort()

    def _configured(self, app: ASGIApp) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            http=self._protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,  # they would hide the connection to drop
            timeout_keep_alive=60,
            timeout_graceful_shutdown=0,
        )

    def _protocol(self) -> type[H11Protocol]:
        """The HTTP protocol, which also keeps track of its connections."""
        connections = self._connections

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.peer = transport.get_extra_info("peername")
                connections[self.peer] = transport
                # asyncio omits this for sockets that do not name their protocol, such as those of create_server.
                # Without it, each answer waits about 40 ms for the client's acknowledgement.
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.peer, None)
                super().connection_lost(exc)

        return Protocol


def _serve(server: uvicorn.Server, listener: socket.socket, settled: threading.Event) -> None:
    """Serve until told to stop; `settled` is set once serving has begun, or failed."""

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
