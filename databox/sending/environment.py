"""Network settings from the environment: which proxy to use, and which certificates to trust.

httpx reads the same variables, but raises any kind of error, sends loopback through proxies, and may fail only
in the middle of a request. This module decides once, when a client is created, and names what cannot be used.
"""

import os
import re
import ssl
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.util import find_spec
from ipaddress import ip_network
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import httpx

from databox.errors import ConfigurationError
from databox.hosts import address_of, canonical, is_loopback
from databox.secret import Veiled

__all__ = ["certificates_for", "proxy_for"]

_PORTS = {"http": 80, "https": 443}
# An entry of NO_PROXY: an optional scheme; an address, network or name; an optional port.
_ENTRY = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://)?"
    r"(\[[^\[\]/]+\](?:/[0-9]+)?|[^\[\]/:]*:[^\[\]/]*:[^\[\]/]*(?:/[0-9]+)?|[^\[\]/:]+(?:/[0-9]+)?)"
    r"(?::([0-9]+))?/?"
)
_KINDS = ("http", "https", "socks5", "socks5h")
_LIKE = (
    "Write it like http://user:password@proxy.example.com:3128, with special characters of the password percent-encoded"
)
_FILE, _FOLDER, _KEY_LOG = "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def proxy_for(base_url: str) -> httpx.Proxy | None:
    """Return the proxy for all requests to a base URL, or None for a direct connection.

    `HTTPS_PROXY` or `HTTP_PROXY` decides, depending on the URL, otherwise `ALL_PROXY`; lower-case names also work, and
    take precedence. Without any such variable, the system's settings apply on Windows and macOS. Loopback addresses
    never use a proxy, nor do hosts listed in `NO_PROXY`.

    Raises:
        ConfigurationError: the deciding variable cannot be used.
    """
    base = urlsplit(base_url)
    host = base.hostname or ""
    if is_loopback(host):
        return None
    # A proxy's address may contain a password, which must not show in a message or the locals of a traceback.
    proxies = {name: Veiled(address) for name, address in getproxies().items()}
    kind = base.scheme if proxies.get(base.scheme) else "all"
    if not proxies.get(kind):
        return None
    if _is_listed(base, proxies.get("no", "")) if getproxies_environment() else proxy_bypass(host):
        return None
    return _proxy(_variable(kind), Veiled(proxies[kind].strip()))


def _variable(kind: str) -> str:
    """The name of the variable; the lower-case one, if it is set."""
    names = (name for name in os.environ if name.lower() == f"{kind}_proxy" and os.environ[name])
    return max(names, default="The system's proxy setting")


def _is_listed(base: SplitResult, no_proxy: str) -> bool:
    entries = re.findall(r"[^\s,]+", no_proxy.lower())
    covered = [_covers(entry, base) for entry in entries]
    if None in covered:
        number = covered.index(None)
        # Someone may have put a proxy's address here, including its password.
        shown = "" if "@" in no_proxy else f", {entries[number]!r},"
        raise ConfigurationError(
            f"{_variable('no')} cannot be used: its entry {number + 1}{shown} cannot be read. Correct or remove it; "
            "write it like example.com, .example.com:8443, 10.0.0.0/8 or [::1]."
        )
    return True in covered


def _covers(entry: str, base: SplitResult) -> bool | None:
    """Whether an entry of NO_PROXY matches the URL; None if it cannot be read. Names include their subdomains."""
    parts = _ENTRY.fullmatch(entry)
    if parts is None:
        return None
    scheme, place, port = parts.groups()
    host = (base.hostname or "").removesuffix(".")
    try:
        number = int(port or 0)
        if "[" in place or ":" in place or "/" in place:
            network, address = ip_network(place.replace("[", "").replace("]", ""), strict=False), address_of(host)
            covered = address is not None and address in network
        else:
            covered = _is_below(host, place)
    except ValueError:
        return None
    if port and not 0 < number < 65_536:
        return None
    return covered and scheme in {None, "all", base.scheme} and number in {0, base.port or _PORTS[base.scheme]}


def _is_below(host: str, name: str) -> bool:
    if name == "*":
        return True
    name = name.removeprefix("*").strip(".")
    with suppress(ValueError):  # not a name, but a pattern such as 10.*
        name = canonical(name)
    return fnmatchcase(host, name) or host.endswith(f".{name}")


def _proxy(variable: str, value: str) -> httpx.Proxy:
    address = Veiled(value if "://" in value else f"http://{value}")
    problem = _problem(address)
    if problem is None:
        secured = address.lower().startswith("https:")
        try:
            return httpx.Proxy(address, ssl_context=_certificates() if secured else None)
        except (ValueError, httpx.InvalidURL):
            problem = f"it cannot be read. {_LIKE}"
    raise ConfigurationError(f"{variable} cannot be used: {problem}, or unset it to connect without a proxy.")


def _problem(address: str) -> str | None:
    """What is wrong with a proxy's address and how to fix it; None if it is valid."""
    scheme = address.partition("://")[0].lower()
    if scheme not in _KINDS:
        mend = "Write socks5:// if it is a SOCKS 5 proxy" if scheme.startswith("socks") else _LIKE
        return f"the kind of proxy must be one of {', '.join(_KINDS)}. {mend}"
    if scheme.startswith("socks") and find_spec("socksio") is None:
        return "a SOCKS proxy needs the package socksio. Install it (pip install 'httpx[socks]')"
    try:
        parts = urlsplit(address)
        port = parts.port
        canonical(parts.hostname or "")
    except ValueError:
        return f"its host or port is invalid. {_LIKE}"
    login = (unquote(part or "").encode() for part in (parts.username, parts.password))
    if scheme.startswith("socks") and max(map(len, login)) > 255:
        return "SOCKS 5 takes a user name and a password of at most 255 bytes each. Shorten them"
    if port == 0 or not address.isprintable() or "@" in parts.path + parts.query + parts.fragment:
        return f"it cannot be read. {_LIKE}"
    return None


# Certificates.


def certificates_for(base_url: str) -> ssl.SSLContext:
    """Return how to verify the server of a base URL.

    The authorities are those of `SSL_CERT_FILE`, otherwise of `SSL_CERT_DIR`, otherwise certifi's. For http, which
    verifies nothing, there are none, and the variables have no effect.

    Raises:
        ConfigurationError: a variable names something that cannot be used.
    """
    return _certificates() if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _certificates() -> ssl.SSLContext:
    return _read_certificates(*(os.environ.get(name, "") for name in (_FILE, _FOLDER, _KEY_LOG)))


@lru_cache(maxsize=4)  # reading them takes longer than many requests
def _read_certificates(file: str, folder: str, key_log: str) -> ssl.SSLContext:
    variable, value, mend = _FILE, file, "Use a file of certificates in PEM format"
    try:
        if file:
            return ssl.create_default_context(cafile=file)
        if not folder:
            return httpx.create_ssl_context()
        if _has_certificates(folder):
            return ssl.create_default_context(capath=folder)
        # OpenSSL would not complain, and then trust nobody.
        variable, value, why = _FOLDER, folder, "contains no certificates named by their hash"
        mend = "Run `openssl rehash` on it, use another folder"
    except ssl.SSLError:
        why = "contains no certificates in PEM format"
    except OSError as error:
        why = f"cannot be opened: {error.strerror}"
        if error.filename == key_log:
            variable, value, mend = _KEY_LOG, key_log, "Use a file that can be written"
        elif not file:
            raise ConfigurationError(
                f"The certificates of certifi {why}. Reinstall it, or name others in {_FILE}."
            ) from error
    raise ConfigurationError(f"{variable} cannot be used: {value!r} {why}. {mend}, or unset it.")


def _has_certificates(folders: str) -> bool:
    for folder in folders.split(os.pathsep):
        with suppress(OSError):
            if any(map(_HASHED.fullmatch, os.listdir(folder))):
                return True
    return False
