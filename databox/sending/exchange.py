"""One request and its answer: a transport passes it to a connection, which fills in the answer."""

import sys
import time
from collections.abc import Mapping, Sequence

import attrs
import httpx

from databox.version import VERSION

__all__ = ["LARGEST_ANSWER", "LARGEST_HEAD", "USER_AGENT", "Exchange", "Origin"]

LARGEST_ANSWER = 64 * 1024 * 1024
"""The maximum size of an answer, as sent and as decoded; this API sends nothing larger, which would only use memory."""
LARGEST_HEAD = 65_536
"""Bytes of an answer's headers."""
MOST_HEADERS = 100
USER_AGENT = f"databox-sdk/{VERSION} python/{sys.version_info.major}.{sys.version_info.minor}"


@attrs.define(eq=False, repr=False)
class Exchange:
    """A request, and as much of its answer as has arrived."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    body: bytes | None
    timeout: float | None
    """Seconds for the whole exchange."""
    user_agent: str = USER_AGENT
    end: float | None = None
    """The deadline on the monotonic clock; None for no limit."""
    sent: bool = False
    """Whether any part of the request may have been sent."""
    truncated: bool = False
    """Whether the rest of the request was not sent, because the server stopped reading or had refused it already."""
    left_at: float | None = None
    """When sending began, on the monotonic clock; None if unknown."""
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    answer: bytes = b""
    """The body as received, still encoded."""

    def begin(self) -> None:
        """Start the time limit."""
        self.end = None if self.timeout is None else time.monotonic() + self.timeout

    def time_left(self) -> float | None:
        """Return the seconds that the next step may take; None for no limit.

        Raises:
            TimeoutError: no time is left.
        """
        if self.end is None:
            return None
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def leaves(self) -> None:
        """Record that the request is being sent."""
        self.sent = True
        self.left_at = time.monotonic()

    def begin_answer(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Fill in the head of the answer.

        Raises:
            httpx.RemoteProtocolError: it is too large.
            httpx.DecodingError: it announces an answer that is too large.
        """
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        if len(headers) > MOST_HEADERS or size > LARGEST_HEAD:
            raise httpx.RemoteProtocolError(f"the answer has more than {MOST_HEADERS} headers, or more than 64 KiB")
        self.status = status
        found: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            # Several headers with one name form a list (RFC 9110, section 5.3).
            found[name] = f"{found[name]}, {value}" if name in found else value
        self.headers = found
        length = found.get("content-length", "")
        if length.isdecimal() and len(length) <= 20:
            self.check_size(int(length))

    def check_sent(self) -> None:
        """Raise if the request cannot have succeeded as its answer says, because part of it was not sent.

        Raises:
            httpx.RemoteProtocolError: an answer with success has arrived for a truncated request.
        """
        if self.truncated and 200 <= (self.status or 0) < 300:
            raise httpx.RemoteProtocolError(
                f"the server answered with status {self.status}, and closed before it had received the request"
            )

    def check_size(self, size: int) -> None:
        """Raise if an answer is too large."""
        if size > LARGEST_ANSWER:
            raise httpx.DecodingError("the answer is larger than 64 MiB")

    def request_headers(self) -> dict[str, str]:
        """The headers to send, except for the key."""
        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": self.user_agent}
        if self.body is not None:
            headers["content-type"] = "application/json"
        return headers


class Origin:
    """The parts of a base URL."""

    def __init__(self, base_url: str) -> None:
        base = httpx.URL(base_url)
        self.scheme = base.scheme
        self.host = base.raw_host.decode("ascii")
        self.port = base.port or (443 if base.scheme == "https" else 80)
        self.authority = base.netloc.decode("ascii")
        """The header `host`: an IPv6 address in brackets, and the port unless it is the default."""
        self._prefix = base.raw_path.rstrip(b"/").decode("ascii")

    def target(self, target: str) -> str:
        """Return the target of a request below it: path and query."""
        return self._prefix + target
