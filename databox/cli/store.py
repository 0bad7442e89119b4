"""Storing key and address in the official client's file: by its owner alone to be read, and never half written."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from databox.config import DEFAULT_BASE_URL, Config, address_in, read_config_file
from databox.errors import ConfigurationError
from databox.secret import Secret

__all__ = ["store", "stored_address"]


def stored_address(path: Path) -> str | None:
    """Return the address that the key in the file belongs to; None if there is no key.

    Raises:
        ConfigurationError: the file is something else, or cannot be read.
    """
    known = _known(path)
    return _address(known) if known.reveal().get("apiKey") else None


def store(path: Path, config: Config) -> None:
    """Put a key and its address into the file, and leave all else in it as it is.

    Raises:
        ConfigurationError: the file is something else, or cannot be written.
    """
    path = path.resolve()  # a link stays one
    known = _known(path)
    # The official client may have written it in its own way, such as with a slash at its end.
    keeps = "apiUrl" in known.reveal() and _address(known) == config.base_url
    address = {} if keeps else {"apiUrl": config.base_url}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Beside it, so that it can be renamed; made readable by its owner alone before anything is in it.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".config-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(known.reveal() | {"apiKey": config.key.reveal()} | address, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
    except OSError as error:
        raise ConfigurationError(f"The key cannot be stored in {path}: {error.strerror}.") from None


def _known(path: Path) -> Secret[dict[str, Any]]:
    try:
        known = read_config_file(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
    if known is None:
        raise ConfigurationError(f"{path} is not a JSON object, and is left as it is. Correct or delete it.")
    return known


def _address(known: Secret[dict[str, Any]]) -> str:
    """The address in the file, normalised; empty if it cannot be used."""
    written = known.reveal().get("apiUrl") or DEFAULT_BASE_URL
    return address_in(Secret(written))[0] if isinstance(written, str) else ""
