"""What the connections of both clients share: the address, certificates, proxies."""

import functools
import ssl
from urllib.request import getproxies, proxy_bypass

import httpx

__all__ = ["Origin", "certificates", "is_behind_proxy"]


class Origin:
    """The base URL, taken apart once."""

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


def is_behind_proxy(origin: Origin) -> bool:
    """Return whether the environment names a proxy for the way there."""
    proxies = getproxies()
    return bool(proxies.get(origin.scheme) or proxies.get("all")) and not proxy_bypass(origin.host)


@functools.cache
def certificates() -> ssl.SSLContext:
    """httpx's own context; reading its certificates takes longer than many a request, so it is done once."""
    return httpx.create_ssl_context()
