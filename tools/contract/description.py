"""The published description as a judge of requests and answers.

It is taken as published: the overlay loosens types for the generator, and would let through what the API does not
promise. Operations go by method and path, such as `GET /v1/accounts`, as names differ between descriptions.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import attrs
from openapi_schema_validator import OAS30Validator, OAS31Validator

from tools.contract.fields import described, undescribed
from tools.spec.document import find, load, operations, resolve_path_items
from tools.spec.overlay import Pin, pins, with_our_templates
from tools.spec.project import Project

__all__ = ["GENERAL_STATUSES", "Described", "Description"]

GENERAL_STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503)
"""The statuses of the reference's error codes: any operation may answer them, with the error envelope."""

_IGNORED_HEADERS = {"accept", "authorization", "content-type"}  # as OpenAPI says
_TEMPLATE = re.compile(r"\{([^}]*)\}")


@attrs.frozen
class Described:
    """One operation of the description, with references to whole parts written out."""

    key: str
    """Method and path, such as `GET /v1/accounts`."""
    facade: str | None
    """The facade's method for it, such as `accounts.list`."""
    parameters: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None
    responses: Mapping[str, dict[str, Any]]
    key_header: str | None
    """The header that must carry a key."""

    @property
    def statuses(self) -> list[int]:
        """The statuses that its page documents."""
        return sorted(int(status) for status in self.responses if status.isdecimal())

    def response(self, status: int) -> dict[str, Any] | None:
        """Return what is described for a status; the general ones are answered like any other refusal."""
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in self.responses:
                return self.responses[name]
        return self.refusal if status in GENERAL_STATUSES else None

    @property
    def refusal(self) -> dict[str, Any] | None:
        """How it describes that it refuses a request."""
        return next((self.responses[name] for name in sorted(self.responses) if name.startswith("4")), None)


class Description:
    """The operations of a description, and what is wrong with requests and answers by it."""

    def __init__(self, document: dict[str, Any], wanted: list[Pin] | None = None) -> None:
        wanted = pins(load(Project().overlay)) if wanted is None else wanted
        self.document = with_our_templates(resolve_path_items(document), wanted)
        self._judges: dict[int, tuple[Any, set[str]]] = {}
        methods = {(pin.path, pin.method): pin.facade for pin in wanted}
        self.operations: dict[str, Described] = {}
        for path, method, operation in operations(self.document):
            made = self._described(path, method, operation, methods.get((path, method)))
            self.operations[made.key] = made
        # The literal wins over the template: /v1/accounts/timezones is no account's.
        ordered = sorted(self.operations, key=lambda key: key.count("{"))
        self._routes = [(key.partition(" ")[0], _pattern(key.partition(" ")[2]), key) for key in ordered]

    @classmethod
    def published(cls) -> "Description":
        """Return the project's."""
        return cls(load(Project().description))

    @property
    def ours(self) -> list[Described]:
        """The operations that the facade has, in their order."""
        return [operation for operation in self.operations.values() if operation.facade]

    def locate(self, method: str, path: str) -> tuple[Described, dict[str, str]] | None:
        """Return the operation that a request is for, with its path parameters as text; None when there is none."""
        for verb, pattern, key in self._routes:
            match = pattern.fullmatch(path) if verb == method.upper() else None
            if match:
                operation = self.operations[key]
                names = _TEMPLATE.findall(key)
                return operation, {name: unquote(text) for name, text in zip(names, match.groups(), strict=True)}
        return None

    def request_problems(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> list[str]:
        """Return what the description has against a request; header names are in lower case."""
        found = self.locate(method, path)
        if found is None:
            return [f"{method} {path} is not described"]
        operation, in_path = found
        given = {"path": in_path, "query": dict(query or {}), "header": dict(headers or {})}
        problems = [*self._parameter_problems(operation, given)]
        if operation.key_header and not given["header"].get(operation.key_header):
            problems.append(f"the header {operation.key_header} is missing")
        problems += self._request_body_problems(operation, given["header"].get("content-type", ""), body)
        return [f"{operation.key}: {problem}" for problem in problems]

    def response_problems(self, key: str, status: int, body: bytes, content_type: str) -> list[str]:
        """Return what the description has against an answer to an operation."""
        response = self.operations[key].response(status)
        if response is None:
            return [f"{key} {status}: the status is not described"]
        content = response.get("content") or {}
        if not content:
            return [f"{key} {status}: no body is described"] if body else []
        return [f"{key} {status}: {problem}" for problem in self._content_problems(content, content_type, body)]

    def response_fields(self, key: str, status: int) -> set[str]:
        """Return the paths of the fields that are described for an answer."""
        content = (self.operations[key].response(status) or {}).get("content") or {}
        return described((content.get("application/json") or {}).get("schema"), self.document)

    def completed(self) -> dict[str, Any]:
        """Return the document with the general statuses written into each operation, as other tools need it."""
        document = copy.deepcopy(self.document)
        for path, method, operation in operations(document):
            refusal = self.operations[f"{method.upper()} {path}"].refusal
            for status in GENERAL_STATUSES if refusal else ():
                operation["responses"].setdefault(str(status), copy.deepcopy(refusal))
        return document

    def _described(self, path: str, method: str, operation: dict[str, Any], facade: str | None) -> Described:
        own = [self._whole(item) for item in operation.get("parameters") or ()]
        names = {(item.get("name"), item.get("in")) for item in own}
        shared = [self._whole(item) for item in self.document["paths"][path].get("parameters") or ()]
        more = [item for item in shared if (item.get("name"), item.get("in")) not in names]
        body = operation.get("requestBody")
        return Described(
            key=f"{method.upper()} {path}",
            facade=facade,
            parameters=(*own, *more),
            body=self._whole(body) if body else None,
            responses={status: self._whole(answer) for status, answer in operation.get("responses", {}).items()},
            key_header=self._key_header(operation),
        )

    def _key_header(self, operation: dict[str, Any]) -> str | None:
        asked = operation.get("security", self.document.get("security")) or []
        schemes = find(self.document, "#/components/securitySchemes") or {}
        for name in (name for entry in asked for name in entry):
            scheme = self._whole(schemes.get(name) or {})
            if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
                return str(scheme["name"]).lower()
        return None

    def _whole(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return a part of the document, or what it refers to."""
        while isinstance(part.get("$ref"), str):
            target = find(self.document, part["$ref"])
            part = target if isinstance(target, dict) else {}
        return part

    def _parameter_problems(self, operation: Described, given: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
        known = set()
        for parameter in operation.parameters:
            name, place = str(parameter["name"]), str(parameter["in"])
            name = name.lower() if place == "header" else name
            known.add((place, name))
            if place not in given or (place == "header" and name in _IGNORED_HEADERS):
                continue
            text = given[place].get(name)
            if text is None:
                if parameter.get("required"):
                    yield f"the {place} parameter {name} is missing"
                continue
            for problem in self._value_problems(self._typed(text, parameter), parameter.get("schema")):
                yield f"the {place} parameter {name}: {problem}"
        for name in given["query"]:
            if ("query", name) not in known:
                yield f"the query parameter {name} is not described"

    def _typed(self, text: str, parameter: dict[str, Any]) -> Any:
        """Return a parameter's text as the JSON value that its schema is about."""
        kinds = self._whole(parameter.get("schema") or {}).get("type")
        if "integer" in (kinds if isinstance(kinds, list) else [kinds]) and re.fullmatch(r"-?\d+", text):
            return int(text)
        return text

    def _request_body_problems(self, operation: Described, content_type: str, body: bytes) -> list[str]:
        if operation.body is None:
            return ["a body is sent where none is described"] if body else []
        if not body:
            return ["the body is missing"] if operation.body.get("required") else []
        return self._content_problems(operation.body.get("content") or {}, content_type, body)

    def _content_problems(self, content: dict[str, Any], content_type: str, body: bytes) -> list[str]:
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in content:
            return [f"the content type is {kind or 'missing'}, not {' or '.join(content)}"]
        if kind != "application/json":
            return []
        try:
            value = json.loads(body)
        except ValueError:
            return ["the body is not JSON"]
        return self._value_problems(value, content[kind].get("schema"))

    def _value_problems(self, value: Any, schema: Any) -> list[str]:
        if not isinstance(schema, dict):
            return []
        # A schema of the document stays where it is, so its id stands for it.
        if id(schema) not in self._judges:
            kind = OAS30Validator if str(self.document.get("openapi")).startswith("3.0") else OAS31Validator
            # The whole document around the schema, so that its references lead somewhere.
            self._judges[id(schema)] = kind({**self.document, **schema}), described(schema, self.document)
        validator, known = self._judges[id(schema)]
        errors = sorted(validator.iter_errors(value), key=lambda error: str(error.absolute_path))
        problems = [f"{_place(error.absolute_path)}{error.message}" for error in errors]
        return problems + [f"{path} is not described" for path in undescribed(value, known)]


def _pattern(path: str) -> re.Pattern[str]:
    parts = _TEMPLATE.split(path)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts[::2]))


def _place(path: Any) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{text}: " if text else ""
