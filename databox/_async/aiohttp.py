"""Sends through an aiohttp session of the caller's, which takes half the time of httpx for each request.

aiohttp is an extra and is not imported here before a session shows that it is there. It has no synchronous twin.
"""

import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import httpx

from databox.config import KEY_HEADER, Config
from databox.exchange import Exchange
from databox.pooling import Origin, headers_of

if TYPE_CHECKING:
    from aiohttp import ClientError, ClientHandlerType, ClientRequest, ClientResponse, ClientSession

__all__ = ["AiohttpConnections"]


class AiohttpConnections:
    """The connections of an aiohttp session that belongs to the caller.

    Args:
        config: the key and the address.
        session: the session to send through; middlewares of its own are not called.
    """

    def __init__(self, config: Config, session: "ClientSession") -> None:
        from yarl import URL

        self._key = config.key
        self._origin = Origin(config.base_url)
        self._session = session
        self._base = URL(config.base_url).origin()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._session.closed

    async def aclose(self) -> None:
        """Nothing: the session is the caller's to close."""

    async def run(self, exchange: Exchange) -> None:
        """Send a request and fill in its answer.

        Raises:
            httpx.RequestError: something kept the answer from arriving whole.
            TimeoutError: it did not arrive in time.
        """
        from aiohttp import ClientError

        # A request without a body cannot tell when it is sent; whether it was matters for none of these.
        exchange.sent = exchange.body is None
        try:
            with anyio.fail_after(exchange.timeout):
                await self._talk(exchange)
        except ClientError as error:
            problem = _as_httpx_error(error, exchange)
        except _Failed as failed:
            problem = _as_httpx_error(failed.error, exchange)
        else:
            return
        # Outside of the block, since some of aiohttp's errors carry the request and with it the key.
        raise problem

    async def _talk(self, exchange: Exchange) -> None:
        from aiohttp import ClientTimeout
        from yarl import URL

        headers = exchange.request_headers() | {"accept-encoding": "identity", KEY_HEADER: self._key.reveal()}
        if exchange.body is not None:
            headers["content-length"] = str(len(exchange.body))
        url = self._base.join(URL(self._origin.target(exchange.target), encoded=True))
        async with self._session.request(
            exchange.method,
            url,
            data=None if exchange.body is None else _noted(exchange, exchange.body),
            headers=headers,
            allow_redirects=False,
            raise_for_status=False,
            middlewares=(_once,),
            timeout=ClientTimeout(),  # the time for the whole is kept above
        ) as response:
            exchange.status, exchange.headers = response.status, headers_of(response.raw_headers)
            answer = bytearray()
            async for part in response.content.iter_any():
                answer += part
                exchange.check_size(len(answer))
            exchange.answer = bytes(answer)


class _Failed(Exception):
    """An error of aiohttp's in a form that it does not know."""

    def __init__(self, error: "ClientError") -> None:
        self.error = error


async def _once(request: "ClientRequest", send: "ClientHandlerType") -> "ClientResponse":
    """Keep aiohttp from sending a GET or DELETE a second time by itself, which nobody would count or know of."""
    from aiohttp import ClientError

    try:
        return await send(request)
    except ClientError as error:
        raise _Failed(error) from None


async def _noted(exchange: Exchange, body: bytes) -> AsyncIterator[bytes]:
    exchange.leaves()
    yield body


def _as_httpx_error(error: "ClientError", exchange: Exchange) -> httpx.RequestError:
    """The error as the transport knows it, without a reference to the request."""
    from aiohttp import (
        ClientConnectionError,
        ClientConnectorCertificateError,
        ClientConnectorError,
        ClientResponseError,
    )
    from aiohttp.http_exceptions import ContentEncodingError

    if isinstance(error, ClientConnectorError | ClientConnectorCertificateError):
        exchange.sent = False
        problem = httpx.ConnectError(str(error))
        cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        problem.__cause__ = cause if isinstance(cause, ssl.SSLError | OSError) else None
        return problem
    if isinstance(error, ClientConnectionError):
        return httpx.ReadError(str(error))
    if isinstance(error.__cause__, ContentEncodingError):
        return httpx.DecodingError(error.__cause__.message)
    if isinstance(error, ClientResponseError):
        return httpx.RemoteProtocolError(error.message)
    return httpx.RemoteProtocolError(str(error))
