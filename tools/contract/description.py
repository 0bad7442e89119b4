"""Validates requests and answers against the description.

It includes our corrections, but is not loosened: the generator needs looser types than the API promises. Operations
are identified by method and path, such as `GET /v1/accounts`, because names differ between descriptions.
"""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import attrs
from openapi_schema_validator import OAS31Validator

from tools.contract.fields import described, undescribed
from tools.spec.document import load, operations
from tools.spec.loosen import loosened
from tools.spec.normalise import corrected
from tools.spec.pins import of_ours
from tools.spec.project import Project
from tools.spec.validity import read

__all__ = ["GENERAL_STATUSES", "Described", "Description", "Problem", "contradictions"]

GENERAL_STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503)
"""The statuses of the reference's error codes: any operation may answer them, with the error envelope."""

_IGNORED_HEADERS = {"accept", "authorization", "content-type"}  # as OpenAPI says
_TEMPLATE = re.compile(r"\{([^}]*)\}")
_NARROWING = {
    *("enum", "const", "pattern", "format", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "multipleOf", "minItems", "minProperties", "maxProperties", "uniqueItems"),
    "additionalProperties",
}
"""Rules that a description may state more narrowly than the API applies them."""


@attrs.frozen
class Problem:
    """A violation of the description by a request or an answer."""

    text: str
    narrower: bool = False
    """Whether the description is merely narrower than the observation, such as a closed enumeration, a required field
    or a missing status; then the two do not contradict each other."""

    def __str__(self) -> str:
        return self.text


def contradictions(problems: Iterable[Problem]) -> list[str]:
    """Return the problems that are not merely a narrow description."""
    return [problem.text for problem in problems if not problem.narrower]


@attrs.frozen
class Described:
    """One operation of the description."""

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

    @property
    def refusal(self) -> dict[str, Any] | None:
        """How it describes refusals."""
        refusing = [name for name in sorted(self.responses) if name.startswith("4") or name == "default"]
        return next((self.responses[name] for name in refusing if self.responses[name].get("content")), None)


class Description:
    """The operations of a description, and validation of requests and answers against it.

    Args:
        document: the description in the plain form.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._judges: dict[int, tuple[Any, set[str]]] = {}
        self.operations: dict[str, Described] = {}
        for path, method, operation in operations(self.document):
            pin = of_ours(path, method)
            made = Described(
                key=f"{method.upper()} {path}",
                facade=pin.facade if pin else None,
                parameters=tuple(operation["parameters"]),
                body=operation.get("requestBody"),
                responses=operation["responses"],
                key_header=self._key_header(operation),
            )
            self.operations[made.key] = made
        # The literal takes precedence over the template: /v1/accounts/timezones is not an account.
        ordered = sorted(self.operations, key=lambda key: key.count("{"))
        self._routes = [(key.partition(" ")[0], _pattern(key.partition(" ")[2]), key) for key in ordered]
        self._refusal = next((each.refusal for each in self.operations.values() if each.refusal), None)

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Description":
        """Return a published description, corrected."""
        return cls(corrected(document, load(Project().overlay)))

    @classmethod
    def published(cls) -> "Description":
        """Return the project's."""
        return cls.of(read(Project().description).document)

    def loosened(self) -> "Description":
        """Return the description with answers as loose as generated code accepts them, to find only contradictions."""
        return Description(loosened(self.document))

    @property
    def ours(self) -> list[Described]:
        """The operations of the facade, in order."""
        return [operation for operation in self.operations.values() if operation.facade]

    def locate(self, method: str, path: str) -> tuple[Described, dict[str, str]] | None:
        """Return the operation of a request, with its path parameters as text; None if there is none."""
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
    ) -> list[Problem]:
        """Return the violations of the description by a request; header names are in lower case."""
        found = self.locate(method, path)
        if found is None:
            return [Problem(f"{method} {path} is not described")]
        operation, in_path = found
        given = {"path": in_path, "query": dict(query or {}), "header": dict(headers or {})}
        problems = [*self._parameter_problems(operation, given)]
        if operation.key_header and not given["header"].get(operation.key_header):
            problems.append(Problem(f"the header {operation.key_header} is missing"))
        problems += self._request_body_problems(operation, given["header"].get("content-type", ""), body)
        return [attrs.evolve(problem, text=f"{operation.key}: {problem}") for problem in problems]

    def response_problems(self, key: str, status: int, body: bytes, content_type: str) -> list[Problem]:
        """Return the violations of the description by an answer to an operation."""
        response = self.response(key, status)
        if response is None:
            return [Problem(f"{key} {status}: the status is not described", narrower=True)]
        content = response.get("content") or {}
        if not content:
            return [Problem(f"{key} {status}: no body is described", narrower=True)] if body else []
        found = self._content_problems(content, content_type, body, answers=True)
        return [attrs.evolve(problem, text=f"{key} {status}: {problem}") for problem in found]

    def response(self, key: str, status: int) -> dict[str, Any] | None:
        """Return the description of a status; the general ones are described like any other refusal."""
        operation = self.operations[key]
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in operation.responses:
                return operation.responses[name]
        return (operation.refusal or self._refusal) if status in GENERAL_STATUSES else None

    def response_fields(self, key: str, status: int) -> set[str]:
        """Return the paths of the fields that are described for an answer."""
        content = (self.response(key, status) or {}).get("content") or {}
        return described((content.get("application/json") or {}).get("schema"), self.document)

    def completed(self) -> dict[str, Any]:
        """Return the document with the general statuses added to each operation, as other tools need it."""
        document = copy.deepcopy(self.document)
        for path, method, operation in operations(document):
            for status in GENERAL_STATUSES:
                described = self.response(f"{method.upper()} {path}", status)
                if described:
                    operation["responses"].setdefault(str(status), copy.deepcopy(described))
        return document

    def _key_header(self, operation: dict[str, Any]) -> str | None:
        schemes = self.document.get("components", {}).get("securitySchemes", {})
        for name in (name for entry in operation.get("security") or [] for name in entry):
            scheme = schemes.get(name, {})
            if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
                return str(scheme["name"]).lower()
        return None

    def _parameter_problems(self, operation: Described, given: Mapping[str, Mapping[str, str]]) -> Iterator[Problem]:
        known = set()
        for parameter in operation.parameters:
            name, place = parameter["name"], parameter["in"]
            name = name.lower() if place == "header" else name
            known.add((place, name))
            if place not in given or (place == "header" and name in _IGNORED_HEADERS):
                continue
            text = given[place].get(name)
            if text is None:
                if parameter["required"]:
                    yield Problem(f"the {place} parameter {name} is missing")
                continue
            for problem in self._value_problems(_typed(text, parameter["schema"]), parameter["schema"], answers=False):
                yield attrs.evolve(problem, text=f"the {place} parameter {name}: {problem}")
        for name in given["query"]:
            if ("query", name) not in known:
                yield Problem(f"the query parameter {name} is not described")

    def _request_body_problems(self, operation: Described, content_type: str, body: bytes) -> list[Problem]:
        if operation.body is None:
            return [Problem("a body is sent where none is described")] if body else []
        if not body:
            return [Problem("the body is missing")] if operation.body.get("required") else []
        return self._content_problems(operation.body.get("content") or {}, content_type, body, answers=False)

    def _content_problems(
        self, content: dict[str, Any], content_type: str, body: bytes, *, answers: bool
    ) -> list[Problem]:
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in content:
            text = f"the content type is {kind or 'missing'}, not {' or '.join(content)}"
            return [Problem(text, narrower=answers and bool(kind))]
        if kind != "application/json":
            return []
        try:
            value = json.loads(body)
        except ValueError:
            return [Problem("the body is not JSON")]
        return self._value_problems(value, content[kind].get("schema"), answers=answers)

    def _value_problems(self, value: Any, schema: Any, *, answers: bool) -> list[Problem]:
        if not isinstance(schema, dict):
            return []
        # A schema of the document is not moved, so its id identifies it.
        if id(schema) not in self._judges:
            # The whole document around the schema, so that its references resolve.
            self._judges[id(schema)] = OAS31Validator({**self.document, **schema}), described(schema, self.document)
        validator, known = self._judges[id(schema)]
        errors = sorted(validator.iter_errors(value), key=lambda error: str(error.absolute_path))
        problems = [Problem(f"{_place(each.absolute_path)}{each.message}", _narrows(each, answers)) for each in errors]
        return problems + [Problem(f"{path} is not described", answers) for path in undescribed(value, known)]


def _narrows(error: Any, answers: bool) -> bool:
    """Whether a validator's error is about a narrow rule, and not about another type of value."""
    if error.validator == "anyOf":
        branches: dict[Any, list[Any]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        return any(all(_narrows(each, answers) for each in branch) for branch in branches.values())
    if error.validator == "type":
        return error.instance is None
    return error.validator in _NARROWING or (answers and error.validator in {"required", "maxItems"})


def _typed(text: str, schema: dict[str, Any]) -> Any:
    """Return a parameter's text as the JSON value that its schema describes."""
    kinds = schema.get("type")
    if "integer" in (kinds if isinstance(kinds, list) else [kinds]) and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def _pattern(path: str) -> re.Pattern[str]:
    parts = _TEMPLATE.split(path)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts[::2]))


def _place(path: Any) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{text}: " if text else ""
