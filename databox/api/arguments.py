"""Checks of ids, titles and keys that callers pass, before anything is sent."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from databox.misuse import ArgumentTypeError, ArgumentValueError
from databox.models import Dataset, DataSource, Ingestion, IngestionReceipt, IngestionSummary
from databox.secret import Secret
from databox.wording import Message, message, setting

__all__ = [
    "account_id_of",
    "app_of",
    "data_source_id_of",
    "dataset_id_of",
    "ingestion_id_of",
    "keys_of",
    "keys_to_ingest_by",
    "page_size_of",
    "request_of",
    "seconds_of",
    "text_of",
]

_TOKEN = r"[\w.!#$%&'*+^`|~-]+"
_HALF = re.compile(r"[\ud800-\udfff]")
LONGEST_ID = 1_000
LONGEST_TARGET = 60_000
"""Characters of a path with its query; httpx sends no more than 65,536 with the base URL."""
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def account_id_of(value: int) -> int:
    """Return an account's id."""
    return _number("account_id", value, "an int")


def data_source_id_of(value: int | DataSource) -> int:
    """Return a data source's id, from the id or the object."""
    return _number("data_source", value.id if isinstance(value, DataSource) else value, "an int or a DataSource")


def dataset_id_of(value: str | Dataset) -> str:
    """Return a dataset's id, from the id or the object."""
    return _opaque("dataset", value.id if isinstance(value, Dataset) else value, "a str or a Dataset")


def ingestion_id_of(value: str | Ingestion | IngestionSummary | IngestionReceipt) -> str:
    """Return an ingestion's id, from the id or any object that has it."""
    if isinstance(value, IngestionReceipt):
        value = value.ingestion_id
    elif isinstance(value, Ingestion | IngestionSummary):
        value = value.id
    return _opaque("ingestion_id", value, "a str")


def text_of(name: str, value: str) -> str:
    """Return a text, which must not be empty."""
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be a str, not {_kind(value)}.")
    if not value.strip():
        raise ArgumentValueError(message(_spoken(name), " is empty."))
    if not value.isascii() and _HALF.search(value):
        raise ArgumentValueError(
            message(_spoken(name), f" contains half of a surrogate pair, which is not valid text: {value!r}.")
        )
    return value


def keys_of(value: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of primary key columns; None if they were not passed."""
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArgumentTypeError(f'primary_keys must be a list of column names such as ["date"], not {_kind(value)}.')
    names = tuple(text_of(message("A name in ", setting("primary_keys")), name) for name in value)
    if len(set(names)) < len(names):
        raise ArgumentValueError(
            message(setting("primary_keys"), f" names a column twice: {', '.join(map(repr, names))}.")
        )
    return names


def keys_to_ingest_by(dataset: str | Dataset, primary_keys: Sequence[str] | None) -> tuple[tuple[str, ...], bool]:
    """Return the primary keys of the rows, and whether it is only assumed that they are the dataset's.

    Raises:
        TypeError, ValueError: they are not valid, or the dataset was created with others.
    """
    keys = keys_of(primary_keys)
    known = dataset.primary_keys if isinstance(dataset, Dataset) else None
    assumed = known is None or (isinstance(dataset, Dataset) and dataset.primary_keys_assumed)
    if keys is None:
        keys = known or ()
    elif keys and not assumed and set(keys) != set(known or ()):
        made = f"with the primary keys {', '.join(map(repr, known))}" if known else "without primary keys"
        raise ArgumentValueError(
            f"primary_keys names {', '.join(map(repr, keys))}, but the dataset was created {made}: rows that are sent "
            "again would be stored twice, or replace other rows. Omit primary_keys, or create another dataset."
        )
    return keys, assumed and bool(keys)


def page_size_of(value: int | None) -> int | None:
    """Return the number of items to request per page."""
    return None if value is None else _number("page_size", value, "an int")


def seconds_of(name: str, value: float) -> float:
    """Return the maximum time to wait."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be a number of seconds, not {_kind(value)}.")
    if not 0 <= value <= sys.float_info.max:  # an int may be larger
        raise ArgumentValueError(message(setting(name), f" must be a finite number of seconds, 0 or more: {value!r}."))
    return value


def app_of(given: Secret[str] | None, key: Secret[str]) -> str:
    """Return what to append to the User-Agent for the name of a program (RFC 9110, section 10.1.5)."""
    if given is None:
        return ""
    if not isinstance(given.reveal(), str):
        raise ArgumentTypeError(f"app must be a str, not {_kind(given.reveal())}.")
    if not re.fullmatch(rf"{_TOKEN}(/{_TOKEN})?", given.reveal(), re.ASCII):
        raise ArgumentValueError("app must be a name, or a name and a version such as 'nightly-export/2.1'.")
    if given.reveal().startswith("pak_") or (len(key.reveal()) >= 8 and key.reveal() in given.reveal()):
        raise ArgumentValueError("app is the API key, which would be sent as your program's name. Pass it as api_key.")
    return f" {given.reveal()}"


def request_of(method: str, path: str, params: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the method in capitals and the path, both valid."""
    verb = text_of("method", method).upper()
    if verb not in _METHODS:
        raise ArgumentValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}.")
    if not text_of("path", path).startswith("/"):
        raise ArgumentValueError(
            f"path must start with '/', such as '/v1/accounts', not {path!r}; the host comes from base_url."
        )
    if not path.isprintable() or not path.isascii() or set(path) & set(' #\\"<>^`{|}'):
        raise ArgumentValueError(f"path contains a character that must be percent-encoded: {path!r}.")
    if {".", ".."} & set(path.partition("?")[0].split("/")):
        raise ArgumentValueError(f"path must not have '.' or '..' as a part, because it may be resolved: {path!r}.")
    if params is not None and not isinstance(params, Mapping):
        raise ArgumentTypeError(f"params must be a mapping, not {_kind(params)}.")
    length = len(path) + len(urlencode(params or {}, doseq=True))
    if length > LONGEST_TARGET:
        raise ArgumentValueError(
            f"path and params have {length:,} characters together, more than the {LONGEST_TARGET:,} allowed. "
            "Send large values as json."
        )
    return verb, path


def _number(name: str, value: object, expected: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be {expected}, not {_kind(value)}.")
    if not 0 < value < 2**63:
        raise ArgumentValueError(message(_spoken(name), f" must be a positive 64-bit number, not {value}."))
    return int(value)


def _opaque(name: str, value: object, expected: str) -> str:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{name} must be {expected}, not {_kind(value)}.")
    if not value.strip():
        an_id = Message(name, f"The {name.replace('_', ' ').removesuffix(' id')} id")
        raise ArgumentValueError(message(an_id, " is empty.", Message("", " Is a variable of the shell not set?")))
    if value in {".", ".."} or not value.isprintable():
        raise ArgumentValueError(message(_spoken(name), f" is not an id: {value!r}."))
    if len(value) > LONGEST_ID:
        raise ArgumentValueError(message(_spoken(name), f" is not an id: it has {len(value):,} characters."))
    return value


def _spoken(name: str) -> Message:
    """An argument; the command has options and arguments for it, with a word in common."""
    return name if isinstance(name, Message) else Message(name, f"The {name.replace('_', ' ')}")


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
