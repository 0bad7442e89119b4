"""Host names: which are valid, and which never leave this machine."""

import re
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import idna

__all__ = ["address_of", "canonical", "is_address", "is_loopback"]

_NAME = re.compile(r"([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
_FOUR_NUMBERS = re.compile(r"([0-9]+\.){3}[0-9]+")


def canonical(host: str) -> str:
    """Return a host in its canonical form: in lower case and ASCII, and an address in its usual form.

    Raises:
        ValueError: the host is not valid; the message says why without quoting it, because it may be a key.
    """
    if ":" in host:
        return _in_its_usual_form(IPv6Address, host)
    try:
        name = host.lower() if host.isascii() else idna.encode(host.lower()).decode("ascii")
        for label in name.split("."):
            if label.startswith("xn--"):
                idna.decode(label)
    except UnicodeError:
        raise ValueError("it is not an internationalised name") from None
    if len(name.removesuffix(".")) > 253 or not _NAME.fullmatch(name):
        raise ValueError("each part of a host name must have 1 to 63 letters, digits and hyphens")
    if _FOUR_NUMBERS.fullmatch(name):
        return _in_its_usual_form(IPv4Address, name)
    address = address_of(name)
    return str(address) if address else name


def _in_its_usual_form(kind: type[IPv4Address] | type[IPv6Address], address: str) -> str:
    try:
        return str(kind(address))
    except ValueError:
        raise ValueError("its numbers are not an IP address") from None


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host represents, also in the short forms that systems accept; None for a name."""
    if ":" in host:
        return IPv6Address(host)
    with suppress(OSError):
        return IPv4Address(socket.inet_aton(host))  # 127.1 is 127.0.0.1
    return None


def is_address(host: str) -> bool:
    """Return whether a host, in its canonical form, is an IP address, which needs no DNS lookup."""
    return address_of(host) is not None


def is_loopback(host: str) -> bool:
    """Return whether a host, in its canonical form, is always this machine, so that nothing leaves it."""
    name = host.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = address_of(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address is not None and (mapped or address).is_loopback
