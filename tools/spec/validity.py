"""Whether a document is a whole and valid OpenAPI 3 description, and if not, what is wrong with it."""

import re
from collections.abc import Iterator
from typing import Any

from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from tools.spec.document import find, operations

__all__ = ["dangling_references", "fault", "undeclared_schemes"]

NAMED = {"responses", "properties"}
"""Keys below which keys are names that somebody chose: a property may be called `default`, a response is."""

VALUES = {"example", "examples", "default", "enum", "const"}
"""Keys below which anything may stand, a `$ref` that refers to nothing included."""


def fault(document: dict[str, Any]) -> str | None:
    """Return what keeps a document from being a whole description, worded to follow its name; None when it is one."""
    version = str(document.get("openapi", ""))
    if not re.fullmatch(r"3\.\d+\.\d+.*", version):
        return f"is not an OpenAPI 3 description: it says openapi: {version or 'nothing'}."
    if not isinstance(document.get("paths"), dict):
        return "is not whole: it has no paths."
    # A file that was cut at a line's end parses, and often validates; what it refers to is then gone.
    dangling = dangling_references(document)
    if dangling:
        return f"is not whole: {dangling[0]} is referred to, but not there."
    undeclared = undeclared_schemes(document)
    if undeclared:
        return f"is not whole: the security scheme {undeclared[0]} is asked for, but not there."
    try:
        validate(document)
    except OpenAPIValidationError as error:
        return f"is not valid OpenAPI: {_short(error)}"
    except Exception as error:  # noqa: BLE001 - the validator lets through what it trips over
        return f"cannot be validated: {_short(error)}"
    return None


def dangling_references(document: dict[str, Any]) -> list[str]:
    """Return the references that lead nowhere. A reference to another file does: only this one is published."""
    found = {text for text in _references(document) if not text.startswith("#") or find(document, text) is None}
    return sorted(found)


def undeclared_schemes(document: dict[str, Any]) -> list[str]:
    """Return the security schemes that are asked for but not declared."""
    asked = [document.get("security"), *(operation.get("security") for _, _, operation in operations(document))]
    requirements = [entry for entries in asked if isinstance(entries, list) for entry in entries]
    names = {str(name) for entry in requirements if isinstance(entry, dict) for name in entry}
    declared = find(document, "#/components/securitySchemes")
    return sorted(names - set(declared if isinstance(declared, dict) else ()))


def _references(value: Any, named: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            elif named or key not in VALUES:
                yield from _references(inner, named=not named and key in NAMED)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
