"""Which key to use and where to send it: argument, environment, or the official client's file, in that order."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import attrs

from databox.errors import ConfigurationError
from databox.hosts import canonical, is_loopback

__all__ = ["DEFAULT_BASE_URL", "KEY_HEADER", "Config", "Secret", "load_config"]

DEFAULT_BASE_URL = "https://api.databox.com"
KEY_HEADER = "x-api-key"
KEY_VARIABLE = "DATABOX_API_KEY"
URL_VARIABLE = "DATABOX_API_URL"
_PLACE = re.compile(r"\[[^\[\]]*:[^\[\]]*\](:[0-9]*)?|[^\[\]]*")  # urlsplit lets more pass between and behind brackets
_NO_KEY = (
    "No API key. Pass api_key=…, set DATABOX_API_KEY, or log in with the official client. "
    "Keys are made in Databox under Account Management > Profile > Password & Security > API key."
)


@attrs.frozen(repr=False)
class Secret:
    """A key that does not show itself in a repr, a log line or a traceback."""

    _value: str

    def reveal(self) -> str:
        """Return the key itself, for the header that carries it and for nothing else."""
        return self._value

    def __repr__(self) -> str:
        # A short key would be half given away by its last four characters.
        return f"…{self._value[-4:]}" if len(self._value) >= 16 else "…"


@attrs.frozen
class Config:
    """The key and the address that a client was made with."""

    key: Secret
    base_url: str

    @property
    def host(self) -> str:
        """The host and port that the key goes to."""
        return urlsplit(self.base_url).netloc

    @property
    def exposes_key(self) -> bool:
        """Whether the key would cross a network unencrypted."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def load_config(api_key: str | None, base_url: str | None, *, environ: Mapping[str, str] | None = None) -> Config:
    """Return the key and base URL to use, checked.

    Raises:
        ConfigurationError: there is no key, or the key, the URL or the file cannot be used.
        TypeError: the key or the URL is not a string.
    """
    environ = os.environ if environ is None else environ
    key = _argument("api_key", api_key) or environ.get(KEY_VARIABLE)
    url = _argument("base_url", base_url) or environ.get(URL_VARIABLE)
    # The file is not even opened when nothing is wanted from it, so that a broken one harms nobody else.
    stored = {} if key and url else _read_file(config_file(environ), required=not key)
    key = key or stored.get("apiKey")
    url = url or stored.get("apiUrl") or DEFAULT_BASE_URL
    if not key:
        raise ConfigurationError(_NO_KEY)
    return Config(_checked_key(key), _checked_url(url))


def config_file(environ: Mapping[str, str]) -> Path:
    """Return where the official client keeps its key."""
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home or Path.home()) / ".config" / "databox-cli" / "config.json"


def _argument(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}.")
    if not value.strip():
        raise ConfigurationError(f"{name} is empty. Leave it out to use the environment or the stored value.")
    return value


def _read_file(path: Path, *, required: bool) -> dict[str, str]:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        if not required:
            return {}
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}.") from None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        if not required:
            return {}
        raise ConfigurationError(f"{path} is not a JSON object. Mend or delete it, or pass api_key=….")
    known = cast("dict[str, Any]", document)
    values = {name: known.get(name) for name in ("apiKey", "apiUrl")}
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{path}: {name} is not a string. Mend or delete the file.")
    return {name: value for name, value in values.items() if value}


def _checked_key(key: str) -> Secret:
    key = key.strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        # Not shown: it may be a real key with a stray character in it.
        raise ConfigurationError(
            "The API key holds a space, a line break or a character that no header can carry. Copy it again."
        )
    return Secret(key)


def _checked_url(url: str) -> str:
    example = f"Write it like {DEFAULT_BASE_URL}."
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"The base URL is not a URL. {example}") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"The base URL must not hold a user name or password. {example}")
    is_whole = url.strip().isprintable() and _PLACE.fullmatch(parts.netloc)
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not is_whole:
        raise ConfigurationError(f"The base URL {url!r} is not an http(s) address with a host. {example}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"The base URL {url!r} must not hold a query or fragment. {example}")
    try:
        host = canonical(parts.hostname)
    except ValueError as error:
        raise ConfigurationError(f"The base URL {url!r} has a host that there cannot be: {error}. {example}") from None
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
