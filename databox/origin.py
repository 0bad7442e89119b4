"""Where requests go: the base URL, taken apart once."""

import httpx

__all__ = ["Origin"]


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
