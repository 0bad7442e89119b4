"""The accounts and time zones of every sandbox."""

import functools
import zoneinfo
from typing import Any

__all__ = ["ACCOUNTS", "OWN_ACCOUNT", "TIME_ZONES", "is_time_zone"]

ACCOUNTS: tuple[dict[str, Any], ...] = (
    {"id": 123456, "name": "Acme Corp", "accountType": "organization"},
    {"id": 123457, "name": "Bright Agency", "accountType": "agency"},
    {"id": 123458, "name": "Corner Shop", "accountType": "client"},
)
"""The accounts of the sandbox's key."""

OWN_ACCOUNT: int = ACCOUNTS[0]["id"]
"""The account of data sources that name none."""

# Offsets in standard time, hard-coded so that the list is the same on every day and machine.
_ZONES_BY_OFFSET = {
    "UTC-10": "Pacific/Honolulu",
    "UTC-9": "America/Anchorage",
    "UTC-8": "America/Los_Angeles America/Vancouver",
    "UTC-7": "America/Denver America/Phoenix",
    "UTC-6": "America/Chicago America/Mexico_City",
    "UTC-5": "America/Bogota America/New_York America/Toronto",
    "UTC-4": "America/Halifax America/Santiago",
    "UTC-3": "America/Argentina/Buenos_Aires America/Sao_Paulo",
    "UTC+0": "Europe/Dublin Europe/Lisbon Europe/London UTC",
    "UTC+1": "Africa/Lagos Europe/Amsterdam Europe/Berlin Europe/Ljubljana Europe/Madrid Europe/Paris Europe/Rome",
    "UTC+2": "Africa/Cairo Africa/Johannesburg Europe/Athens Europe/Helsinki",
    "UTC+3": "Africa/Nairobi Asia/Riyadh Europe/Istanbul",
    "UTC+4": "Asia/Dubai",
    "UTC+5": "Asia/Karachi",
    "UTC+5:30": "Asia/Kolkata",
    "UTC+7": "Asia/Bangkok Asia/Jakarta",
    "UTC+8": "Asia/Hong_Kong Asia/Manila Asia/Singapore Australia/Perth",
    "UTC+9": "Asia/Seoul Asia/Tokyo",
    "UTC+10": "Australia/Brisbane Australia/Sydney",
    "UTC+12": "Pacific/Auckland",
}

TIME_ZONES = tuple(
    {"offset": offset, "timezone": name} for offset, names in _ZONES_BY_OFFSET.items() for name in names.split()
)
"""The time zones in the list; any other IANA time zone is accepted too."""


_LISTED = frozenset(zone["timezone"] for zone in TIME_ZONES)
# Names that the machine knows, but that are not places.
_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})


def is_time_zone(name: str) -> bool:
    """Return whether a name is that of an IANA time zone."""
    return name in _LISTED or name in _known_to_the_machine()


@functools.cache
def _known_to_the_machine() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - _NO_PLACES)
