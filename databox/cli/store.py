"""Storing the key in the official client's file: by its owner alone to be read, and never half written."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, cast

from databox.config import Secret
from databox.errors import ConfigurationError

__all__ = ["store_key"]


def store_key(path: Path, key: Secret) -> None:
    """Put a key into the file, and leave all else in it as it is.

    Raises:
        ConfigurationError: the file is something else, or cannot be written.
    """
    path = path.resolve()  # a link stays one
    try:
        known = _read(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Beside it, so that it can be renamed; made readable by its owner alone before anything is in it.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".config-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(known | {"apiKey": key.reveal()}, file, indent=2)
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


def _read(path: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} is not a JSON object, and is left as it is. Mend or delete it.")
    return cast("dict[str, Any]", document)
