"""One request, where it goes, and what came of it: what a transport hands to its connections, and finds filled in."""

import sys
import time
from collections.abc import Mapping, Sequence

import attrs
import httpx

from databox.version import VERSION

__all__ = ["LARGEST_ANSWER", "LARGEST_HEAD", "USER_AGENT", "Exchange", "Origin"]

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer, as sent and as decoded; more is not an answer of this API and would only fill the memory."""
LARGEST_HEAD = 65_536
"""Bytes of an answer's headers."""
MOST_HEADERS = 100
USER_AGENT = f"databox-sdk/{VERSION} python/{sys.version_info.major}.{sys.version_info.minor}"


@attrs.define(eq=False, repr=False)
class Exchange:
    """A request, and as much of its answer as has come."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    body: bytes | None
    timeout: float | None
    """Seconds for the whole of it."""
    user_agent: str = USER_AGENT
    end: float | None = None
    """When that is over, on the monotonic clock; None for never."""
    sent: bool = False
    """Whether any part of the request may have left."""
    left_at: float | None = None
    """When it began to leave, on the monotonic clock; None where nobody tells."""
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    answer: bytes = b""
    """The body, as encoded as it came."""

    def begin(self) -> None:
        """The time runs from now on."""
        self.end = None if self.timeout is None else time.monotonic() + self.timeout

    def time_left(self) -> float | None:
        """Return the seconds that the next step may take; None for any number.

        Raises:
            TimeoutError: there are none.
        """
        if self.end is None:
            return None
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def leaves(self) -> None:
        """The request is on its way."""
        self.sent = True
        if self.left_at is None:
            self.left_at = time.monotonic()

    def begin_answer(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Fill in the head of the answer.

        Raises:
            httpx.RemoteProtocolError: it is beyond all reason.
            httpx.DecodingError: it announces an answer that is.
        """
        size = sum(len(name) + len(value) + 4 for name, value in headers)
        if len(headers) > MOST_HEADERS or size > LARGEST_HEAD:
            raise httpx.RemoteProtocolError(f"the answer has more than {MOST_HEADERS} headers, or more than 64 KiB")
        self.status = status
        found: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            # Several of one name are one list (RFC 9110, section 5.3).
            found[name] = f"{found[name]}, {value}" if name in found else value
        self.headers = found
        length = found.get("content-length", "")
        if length.isdecimal() and len(length) < 20:
            self.check_size(int(length))

    def check_size(self, size: int) -> None:
        """Raise when an answer grows beyond all reason."""
        if size > LARGEST_ANSWER:
            raise httpx.DecodingError("the answer is larger than 64 MiB")

    def request_headers(self) -> dict[str, str]:
        """The headers to send, but for the key."""
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
        """What the header `host` says: an IPv6 address in brackets, the port unless it is the usual one."""
        self._prefix = base.raw_path.rstrip(b"/").decode("ascii")

    def target(self, target: str) -> str:
        """Return the path and query of a request below it."""
        return self._prefix + target
