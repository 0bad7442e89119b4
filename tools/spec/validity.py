"""Whether a file is a complete OpenAPI 3 description, and its irregularities.

`make pull`, `make diff` and `make generate` all use this module, so they accept the same files: ambiguous ones are
refused, and mere violations of the rules are warnings that name the place.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from tools.spec.document import Report, SpecError, at, content_of, find, operations, parse, references
from tools.spec.schemas import schemas_of

__all__ = ["Published", "published", "read"]

_TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
_SHORTEST_TOLD = 20


@attrs.frozen
class Published:
    """A description as published."""

    document: dict[str, Any]
    warnings: tuple[str, ...]
    """Harmless violations of the rules, each with its place."""

    def warn(self, report: Report) -> None:
        """Report the warnings; if there are many, only the first."""
        for warning in self.warnings[:_SHORTEST_TOLD]:
            report(f"warning: {warning}")
        if len(self.warnings) > _SHORTEST_TOLD:
            report(f"warning: and {len(self.warnings) - _SHORTEST_TOLD} more of the kind")


def read(path: Path) -> Published:
    """Return the description in a file. Raises SpecError as `published` does."""
    return published(content_of(path), path.name)


def published(content: bytes, name: str) -> Published:
    """Return the description in the given bytes.

    Raises:
        SpecError: they are not YAML or JSON, or not a complete OpenAPI 3 description; the message starts with the name.
    """
    document = parse(content, name)
    refusal = next(_refusals(document), None)
    if refusal:
        raise SpecError(f"{name} {refusal}")
    return Published(document, tuple(dict.fromkeys(_warnings(document))))


def _refusals(document: dict[str, Any]) -> Iterator[str]:
    """Why a document is not a complete description, worded to follow its name."""
    version = str(document.get("openapi") or "nothing")
    if not re.fullmatch(r"3\.\d+(\.\d+.*)?", version):
        yield f"is not an OpenAPI 3 description: it says openapi: {version}."
    if not isinstance(document.get("paths"), dict):
        yield "is not whole: it has no paths."
    # A file that was truncated at a line's end parses, and often validates, but its references are broken.
    for place, reference in references(document):
        if not reference.startswith("#"):
            yield f"is not whole: {place} refers to {reference}, which is another file's. Have it bundled into one."
        if find(document, reference) in (None, document):
            yield f"is not whole: {place} refers to {reference}, which is not there."
    for place, scheme in _undeclared(document):
        yield f"is not whole: {place} asks for the security scheme {scheme}, which is not there."
    for circle in circles(document):
        yield f"cannot be written out: {circle[0]} is nothing but itself: {' → '.join([*circle, circle[0]])}."


def _undeclared(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The security schemes that are required but not declared, and where."""
    asked = [("the top", document.get("security"))]
    asked += [(at("paths", path, method), each.get("security")) for path, method, each in operations(document)]
    declared = find(document, "#/components/securitySchemes")
    for place, ways in asked:
        for way in ways if isinstance(ways, list) else ():
            for name in way if isinstance(way, dict) else ():
                if not isinstance(declared, dict) or name not in declared:
                    yield place, str(name)


def circles(document: dict[str, Any]) -> Iterator[list[str]]:
    """Yield references that lead back to themselves without a property or item in between, so they mean nothing."""
    ahead = {reference: list(_straight(find(document, reference))) for _, reference in references(document)}
    for first in ahead:
        trail, seen = [first], {first}
        while trail:
            following = next((each for each in ahead.get(trail[-1], ()) if each == first or each not in seen), None)
            if following == first:
                yield trail
                break
            if following is None:
                trail.pop()
            else:
                trail.append(following)
                seen.add(following)


def _straight(part: Any) -> Iterator[str]:
    """The references that a part consists of, rather than those inside it."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for way in ("allOf", "anyOf", "oneOf"):
            for inner in part[way] if isinstance(part.get(way), list) else ():
                yield from _straight(inner)


def _warnings(document: dict[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"3\.[01]\.\d+.*", str(document["openapi"])):
        yield f"openapi: {document['openapi']} is read as if it were 3.1.0"
    kind = OpenAPIV30SpecValidator if str(document["openapi"]).startswith("3.0") else OpenAPIV31SpecValidator
    try:
        for error in kind(document).iter_errors():
            placed = error.absolute_path and error.absolute_path[0] in document
            # It does not report the place of schemas, and checks only their defaults; see below.
            if placed or type(error) is not OpenAPIValidationError:
                yield f"{at(*error.absolute_path)}: {_short(error.message)}" if placed else _short(error.message)
    except Exception as error:  # noqa: BLE001 - the validator lets through what it trips over
        yield f"it could not be validated to its end: {type(error).__name__}: {_short(str(error))}"
    for place, schema in schemas_of(document):
        yield from (f"{place}: {fault}" for fault in _faults(schema, document))


def _faults(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    kinds = schema.get("type")
    for name in kinds if isinstance(kinds, list) else [kinds] if kinds is not None else ():
        if name not in _TYPES:
            yield f"{name!r} is no JSON type"
    if "$dynamicRef" in schema:
        yield "$dynamicRef is not followed, and what it refers to not looked at"
    required = schema.get("required")
    if required is not None and not (isinstance(required, list) and all(isinstance(each, str) for each in required)):
        yield "required is not a list of names"
    if schema.get("default") is not None:
        try:
            # The whole document around the schema, so that its references resolve.
            errors = list(OAS31Validator({**document, **schema}).iter_errors(schema["default"]))
        except Exception:  # noqa: BLE001 - the schema itself is at fault, which is told elsewhere
            return
        if errors:
            yield f"the default does not fit: {_short(errors[0].message)}"


def _short(message: str) -> str:
    """Return a message in one line; its quotation may be long, and the problem is at its end."""
    line = " ".join(message.partition("\n\n")[0].split())
    return line if len(line) <= 200 else f"{line[:80]} … {line[-100:]}"
