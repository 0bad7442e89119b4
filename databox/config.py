"""Which key and address to use: from the arguments, the environment, or the official client's file, in that order.

Any value may be a key in the wrong place. So values are checked inside `Secret`, and refused ones are described,
never quoted.
"""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from databox.errors import ConfigurationError
from databox.hosts import canonical, is_loopback
from databox.misuse import ArgumentTypeError
from databox.secret import Secret, secret_of
from databox.wording import Message, message, setting

__all__ = ["DEFAULT_BASE_URL", "KEY_HEADER", "Config", "address_in", "config_file", "load_config", "read_config_file"]

DEFAULT_BASE_URL = "https://api.databox.com"
KEY_HEADER = "x-api-key"
KEY_VARIABLE = "DATABOX_API_KEY"
URL_VARIABLE = "DATABOX_API_URL"
_PLACE = re.compile(r"\[[^\[\]]*:[^\[\]]*\](:[0-9]*)?|[^\[\]]*")  # urlsplit accepts more between and after brackets
_NO_KEY = message(
    "No API key. ",
    Message(
        "Pass api_key=…, set DATABOX_API_KEY, or log in with the official client.",
        "Run `databox auth login`, or set DATABOX_API_KEY.",
    ),
    " Create a key in Databox under Account Management > Profile > Password & Security > API key.",
)
_LONGEST = 2_000
"""Characters of a base URL."""
_DISTINCT = 8
"""The minimum length of a key that does not occur anywhere by chance."""


class Config:
    """The key and the address of a client."""

    __slots__ = ("base_url", "key")

    def __init__(self, key: Secret[str], base_url: str) -> None:
        self.key = key
        self.base_url = base_url

    def __repr__(self) -> str:
        return f"Config(key={self.key!r}, base_url={self.base_url!r})"

    @property
    def host(self) -> str:
        """The host and port that the key is sent to."""
        return urlsplit(self.base_url).netloc

    @property
    def exposes_key(self) -> bool:
        """Whether the key would be sent unencrypted over a network."""
        parts = urlsplit(self.base_url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def load_config(api_key: str | Secret[str] | None, base_url: str | Secret[str] | None) -> Config:
    """Return the key and base URL to use, checked.

    Raises:
        ConfigurationError: there is no key, or the key, the URL or the file cannot be used.
        TypeError: the key or the URL is not a string.
    """
    given = secret_of(api_key), secret_of(base_url)
    del api_key, base_url  # so that a traceback with local variables does not show them
    key, url = _argument("api_key", given[0]), _argument("base_url", given[1])
    key = key or secret_of(os.environ.get(KEY_VARIABLE) or None)
    place = "" if url else f" in {URL_VARIABLE}"
    url = url or secret_of(os.environ.get(URL_VARIABLE) or None)
    # The file is not opened if nothing is needed from it, so that a broken one does no harm.
    if not key or not url:
        path = config_file()
        stored = _stored(path, required=not key)
        place = place if url else f" in {path}"
        key, url = key or stored.get("apiKey"), url or stored.get("apiUrl")
    if not key:
        raise ConfigurationError(_NO_KEY)
    key = _checked_key(key)
    return Config(key, _checked_url(url, key, place) if url else DEFAULT_BASE_URL)


def config_file() -> Path:
    """Return the path of the official client's configuration file."""
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    return Path(home or Path.home()) / ".config" / "databox-cli" / "config.json"


def read_config_file(path: Path) -> Secret[dict[str, Any]] | None:
    """Return the contents of the official client's file; empty if there is no file, and None if it is not an object.

    Raises:
        OSError: it cannot be read.
    """
    try:
        found: Secret[Any] = Secret(orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf")))
    except (FileNotFoundError, NotADirectoryError):
        return Secret({})
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found.reveal(), dict) else None


def _argument(name: str, given: Secret[str] | None) -> Secret[str] | None:
    if given is None:
        return None
    if not isinstance(given.reveal(), str):
        raise ArgumentTypeError(f"{name} must be a string, not {type(given.reveal()).__name__}.")
    if not given.reveal().strip():
        raise ConfigurationError(
            message(setting(name), " is empty. Omit it to use the environment or the stored value.")
        )
    return given


def _stored(path: Path, *, required: bool) -> dict[str, Secret[str]]:
    """The key and address from the file, if present."""
    try:
        found = read_config_file(path)
    except OSError as error:
        problem: str = f"Cannot read {path}: {error.strerror}."
    else:
        otherwise = Message("pass api_key=…", "set DATABOX_API_KEY")
        problem = message(f"{path} is not a JSON object. Correct or delete it, or ", otherwise, ".")
        if found is not None:
            values = {name: secret_of(found.reveal().get(name)) for name in ("apiKey", "apiUrl")}
            for name, value in values.items():
                if value is not None and not isinstance(value.reveal(), str):
                    raise ConfigurationError(f"{path}: {name} is not a string. Correct or delete the file.")
            return {name: value for name, value in values.items() if value is not None and value.reveal()}
    if required:
        raise ConfigurationError(problem)
    return {}


def _checked_key(key: Secret[str]) -> Secret[str]:
    key = Secret(key.reveal().strip())
    if not (key.reveal().isascii() and key.reveal().isprintable() and " " not in key.reveal()):
        raise ConfigurationError(
            "The API key contains a space, a line break or a character that is not allowed in a header. Copy it again."
        )
    if "://" in key.reveal():
        hint = Message("Were api_key and base_url swapped?", "Give the key itself.")
        raise ConfigurationError(message("The API key is an address. ", hint))
    return key


def _checked_url(url: Secret[str], key: Secret[str], place: str) -> str:
    base_url, problem = address_in(url)
    if len(key.reveal()) >= _DISTINCT and key.reveal() in base_url:
        base_url, problem = "", "contains the API key, and would be shown"
    if problem:
        raise ConfigurationError(f"The base URL{place} {problem}. Write it like {DEFAULT_BASE_URL}.")
    return base_url


def address_in(url: Secret[str]) -> tuple[str, str]:
    """Return a normalised base URL, and what is wrong with it, without quoting it; one of them is empty."""
    text = url.reveal().strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "", "is not a URL"
    if parts.scheme not in {"http", "https"}:
        return "", "does not start with http:// or https://, so it is not an http(s) address with a host"
    if parts.username is not None or parts.password is not None:
        return "", "must not contain a user name or password"
    if len(text) > _LONGEST:
        return "", f"has more than {_LONGEST:,} characters"
    if not parts.hostname or port == 0 or not text.isprintable() or not _PLACE.fullmatch(parts.netloc):
        return "", "is not an http(s) address with a host"
    if parts.query or parts.fragment:
        return "", "must not contain a query or fragment"
    if parts.path.rstrip("/").endswith("/v1"):
        return "", "must not end with /v1, which is added to it"
    try:
        host = canonical(parts.hostname)
    except ValueError as error:
        return "", f"has an invalid host: {error}"
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), ""
