"""Step 4: every schema inlined where it is used, with references resolved and combinations merged."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from tools.spec.combine import KEPT, Combiner, one_of_each
from tools.spec.document import (
    PUBLISHED,
    Report,
    SpecError,
    at,
    each_operation,
    find,
    follow,
    kind_of,
    mapping,
    operations,
    parts_of,
    references,
)
from tools.spec.schemas import KINDS, Schema, said, with_null

__all__ = ["inlined"]

LARGEST = 50_000
"""The maximum number of schemas in a description with references resolved."""

_SAME_AS_JSON = {"boolean", "integer", "number"}
"""Types that are the same in JSON and in a parameter's text."""
_OF_FORMAT = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), "integer"),
    **dict.fromkeys(("decimal", "double", "float"), "number"),
}
_SAYING_TYPES = {"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "properties", "items"}


def inlined(document: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the document with every schema inlined where it is used, and combined ones merged.

    Of the components, only security schemes and recursive schemas are left. Titles are dropped.
    """
    published = document.get(PUBLISHED, document)
    inliner = _Inliner(published, report)

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        place = at("paths", path, method)
        answers = operation["responses"].items()
        whole = {
            **operation,
            "parameters": [inliner.parameter(each, place) for each in operation["parameters"]],
            "responses": {status: inliner.part(each, f"{place}.responses.{status}") for status, each in answers},
        }
        if "requestBody" in operation:
            whole["requestBody"] = inliner.part(operation["requestBody"], f"{place}.requestBody")
        return whole

    whole = each_operation(document, changed)
    found = {key: value for key, value in whole.items() if key not in {"components", PUBLISHED}}
    unused = sorted(_unused(document, published))
    if unused:
        report(f"left out: schemas that nothing refers to ({', '.join(unused)})")
    components = mapping(document.get("components") or {}, "components")
    schemes = mapping(components.get("securitySchemes") or {}, "components.securitySchemes")
    left: dict[str, Any] = {"schemas": inliner.definitions} if inliner.definitions else {}
    if schemes:
        left["securitySchemes"] = {name: follow(published, each, name) for name, each in schemes.items()}
    return {**found, "components": left} if left else found


class _Inliner:
    """Inlines the schemas of one description.

    Args:
        document: the description.
        report: receives what was dropped on the way.
    """

    def __init__(self, document: dict[str, Any], report: Report) -> None:
        self._document = document
        self._report = report
        self._recursive = set(_recursive(document))
        self._written: dict[str, tuple[Schema, int]] = {}
        self._names: dict[str, str] = {}
        self._count = 0
        self.definitions: dict[str, Schema] = {}
        """The recursive schemas, by name."""
        self._combiner = Combiner(self.definitions, report)

    def part(self, part: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a body or an answer, with only its description and content."""
        found = {"description": part["description"]} if isinstance(part.get("description"), str) else {}
        found |= {"required": True} if part.get("required") is True else {}
        content = mapping(part.get("content") or {}, f"{place}.content")
        media = {kind: mapping(each or {}, f"{place}.content[{kind!r}]") for kind, each in content.items()}
        written = {kind: self._with_example(each, place) for kind, each in media.items()}
        return found | ({"content": written} if written else {})

    def parameter(self, parameter: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a parameter with a schema, whatever it had."""
        place = f"{place}.parameters[{parameter['name']!r}]"
        found = {key: parameter[key] for key in ("name", "in")} | {"required": parameter.get("required") is True}
        words = [parameter["description"]] if isinstance(parameter.get("description"), str) else []
        if parameter.get("content"):
            media = next(iter(mapping(parameter["content"], f"{place}.content").values()))
            schema = {"schema": {}, **self._with_example(mapping(media or {}, place), place)}
            if not said(schema["schema"]) or set(said(schema["schema"])) - _SAME_AS_JSON:
                schema = {"schema": {"type": "string"}}
                words.append("As JSON text.")
        else:
            schema = {"schema": {}, **self._with_example(parameter, place)}
        found |= {"description": " ".join(words)} if words else {}
        return found | schema | {key: parameter[key] for key in ("deprecated", "style", "explode") if key in parameter}

    def _with_example(self, holder: dict[str, Any], place: str) -> dict[str, Any]:
        """Return a schema, and the example next to it, the first of several."""
        found: dict[str, Any] = {}
        if holder.get("schema") is not None:
            found["schema"] = self._finished(self._schema(holder["schema"], place), place)
        example = holder.get("example")
        several = holder.get("examples")
        if example is None and isinstance(several, dict) and several:
            name, first = next(iter(several.items()))
            example = follow(self._document, first, f"{place}.examples[{name!r}]").get("value")
        return found | ({"example": example} if example is not None else {})

    def _schema(self, schema: Any, place: str) -> Schema:
        if schema is None or schema is True or schema is False:
            return {}  # nothing can be said about a value that is never allowed
        if not isinstance(schema, dict):
            raise SpecError(f"{place} holds {kind_of(schema)} where a schema belongs.")
        schema = _as_number(schema)
        self._counted(1)
        parts = [self._own(schema, place)]
        if isinstance(schema.get("$ref"), str):
            parts.append(self._referred(schema["$ref"], place))
        parts += [self._schema(part, place) for part in _list(schema, "allOf", place)]
        whole = self._combiner.all_of(parts, place)
        for way in ("anyOf", "oneOf"):
            alternatives = [self._schema(part, place) for part in _list(schema, way, place)]
            if alternatives:
                whole = self._combiner.any_of(whole, alternatives, place)
        return with_null(whole) if schema.get("nullable") is True else whole

    def _counted(self, more: int) -> None:
        self._count += more
        if self._count > LARGEST:
            raise SpecError(f"The description has more than {LARGEST:,} schemas with its references written out.")

    def _own(self, schema: Schema, place: str) -> Schema:
        """Return the schema's own content, with the schemas inside it inlined."""
        own = {"description": schema["description"]} if isinstance(schema.get("description"), str) else {}
        own |= {key: copy.deepcopy(schema[key]) for key in KEPT & schema.keys() if schema[key] is not None}
        for edge, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(own.get(edge), bool):  # as in OpenAPI 3.0
                own |= {edge: own.pop(limit)} if own.pop(edge) and limit in own else {}
        examples = schema["examples"] if isinstance(schema.get("examples"), list) else []
        if examples or "example" in schema:
            own["examples"] = copy.deepcopy(examples or [schema["example"]])
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        values = values if isinstance(values, list) else []
        known = [value for value in values if value is not None]
        own |= {"enum": known} if known else {}
        if isinstance(schema.get("properties"), dict):
            named = [(str(name), inner) for name, inner in schema["properties"].items() if inner is not False]
            own["properties"] = {name: self._schema(inner, f"{place}.{name}") for name, inner in named}
        if isinstance(schema.get("required"), list):
            own["required"] = list(dict.fromkeys(map(str, schema["required"])))
        if schema.get("items") is not None:
            own["items"] = self._schema(schema["items"], f"{place}[]")
        more = schema.get("additionalProperties", True if schema.get("patternProperties") else None)
        if more is not None:
            own["additionalProperties"] = more if isinstance(more, bool) else self._schema(more, f"{place}.*") or True
        kinds = _kinds(schema, values)
        return {"type": kinds[0] if len(kinds) == 1 else kinds, **own} if kinds else own

    def _referred(self, reference: str, place: str) -> Schema:
        if reference in self._recursive:
            reference = _meant(self._document, reference)
        target = find(self._document, reference)
        if target is None:
            raise SpecError(f"{place} refers to {reference}, which is not there.")
        if reference in self._recursive:
            if reference not in self._names:
                last = reference.rpartition("/")[2]
                name = last if last not in self.definitions else f"{last}{len(self.definitions)}"
                self._names[reference] = name
                self.definitions[name] = {}  # while it is being written
                self.definitions[name] = self._finished(self._schema(target, place), place)
            return {"$ref": f"#/components/schemas/{self._names[reference]}"}
        if reference in self._written:
            self._counted(self._written[reference][1])
        else:
            before = self._count
            written = self._schema(target, place)
            self._written[reference] = written, self._count - before
        return self._written[reference][0]

    def _finished(self, schema: Schema, place: str) -> Schema:
        """Return a schema that requires only names of its own properties."""
        whole = dict(schema)
        if "properties" in whole:
            properties = whole["properties"].items()
            whole["properties"] = {name: self._finished(inner, f"{place}.{name}") for name, inner in properties}
        if "items" in whole:
            whole["items"] = self._finished(whole["items"], f"{place}[]")
        if isinstance(whole.get("additionalProperties"), dict):
            whole["additionalProperties"] = self._finished(whole["additionalProperties"], f"{place}.*")
        if "anyOf" in whole:
            whole = one_of_each([self._finished(each, place) for each in whole["anyOf"]], whole)
        names = whole.pop("required", [])
        known = whole.get("properties", {})
        if set(names) - known.keys():
            unknown = ", ".join(name for name in names if name not in known)
            self._report(f"left out: {place} requires {unknown}, which is none of its properties")
        required = [name for name in known if name in names]
        return whole | ({"required": required} if required else {})


def _recursive(document: dict[str, Any]) -> Iterator[str]:
    """Yield the references to recursive schemas."""
    ahead: dict[str, set[str]] = {reference: set() for _, reference in references(document)}
    for reference in ahead:
        ahead[reference] = {each for _, each in references(find(document, reference))} & ahead.keys()
    for reference, seen in ahead.items():
        if reference in _reached(seen, ahead):
            yield reference


def _meant(document: dict[str, Any], reference: str) -> str:
    """Return the final target of a reference, if a schema is only a reference with a description."""
    while True:
        target = find(document, reference)
        parts = target.get("allOf") if isinstance(target, dict) and "$ref" not in target else [target]
        only = parts[0] if isinstance(parts, list) and len(parts) == 1 else None
        told = set() if target is only else target.keys() - {"allOf", "title", "description"}
        if not isinstance(only, dict) or told or only.keys() - {"title", "description"} != {"$ref"}:
            return reference
        reference = only["$ref"]


def _reached(first: set[str], ahead: dict[str, set[str]]) -> set[str]:
    reached, coming = set[str](), list(first)
    while coming:
        each = coming.pop()
        if each not in reached:
            reached.add(each)
            coming += ahead.get(each, ())
    return reached


def _unused(document: dict[str, Any], published: dict[str, Any]) -> set[str]:
    """Return the names of schemas that no operation refers to, directly or on the way."""
    ahead = {reference: set[str]() for _, reference in references(published)}
    for reference in ahead:
        ahead[reference] = {each for _, each in references(find(published, reference))}
    used = _reached({reference for _, _, each in operations(document) for _, reference in references(each)}, ahead)
    schemas = find(published, "#/components/schemas")
    names = dict(schemas) if isinstance(schemas, dict) else {}
    by_anchor = [find(published, each) for each in used if not each.startswith("#/")]
    anchored = {name for name, each in names.items() if any(each is other for other in by_anchor)}
    pointed = {parts[2] for parts in map(parts_of, used) if parts[:2] == ["components", "schemas"]}
    return names.keys() - anchored - pointed


def _as_number(schema: Schema) -> Schema:
    """Return the schema of a number without the alternative of digits as text, with which .NET describes every number.

    It writes `type: [integer, string]` with a pattern; OpenAPI 3.0 cannot say so, and there it leaves out the type.
    """
    named = [kind for kind in said(schema) if kind != "null"]
    numbers = [kind for kind in named if kind in {"integer", "number"}]
    kind = _OF_FORMAT.get(str(schema.get("format")))
    digits = len(numbers) == 1 and len(named) == 2 and "string" in named and _is_of_digits(schema.get("pattern"))
    if not digits and (named or kind is None or _SAYING_TYPES & schema.keys()):
        return schema
    found = {key: value for key, value in schema.items() if key != "pattern"}
    kinds = [numbers[0] if digits else kind, *(["null"] if "null" in said(schema) else [])]
    return {**found, "type": kinds if len(kinds) > 1 else kinds[0]}


def _is_of_digits(pattern: Any) -> bool:
    try:
        takes = re.compile(pattern).search
    except (TypeError, re.error):
        return False
    return all(map(takes, ("0", "10"))) and not any(map(takes, ("", "a", "a1", "1a")))


def _list(schema: Schema, way: str, place: str) -> list[Any]:
    value = schema.get(way) or []
    if not isinstance(value, list):
        raise SpecError(f"{place} holds {kind_of(value)} under {way} where a list belongs.")
    return value


def _kinds(schema: Schema, values: list[Any]) -> list[str]:
    """Return the JSON types of a schema, from `type` or from its other keywords."""
    named = said(schema)
    found = {kind for kind in named if kind in KINDS}
    null = "null" in named or (not named and None in values)
    if not named:
        found = {_kind(value) for value in values if value is not None}
        found |= {"object"} if {"properties", "additionalProperties", "patternProperties"} & schema.keys() else set()
        found |= {"array"} if "items" in schema else set()
    found -= {"integer"} if "number" in found else set()
    return [*sorted(found), *(["null"] if null else [])]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names[type(value)]
