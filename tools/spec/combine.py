"""Combines schemas: all of them, or one of them."""

from collections.abc import Mapping
from typing import Any

from tools.spec.document import Report
from tools.spec.schemas import NULL, Schema, beside, nullable, said, with_null, without_null

__all__ = ["KEPT", "Combiner", "one_of_each"]

_TIGHTEST: Mapping[str, Any] = {
    **dict.fromkeys(("minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum"), max),
    **dict.fromkeys(("maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum"), min),
}
_FIRST = ("deprecated", "default", "format", "multipleOf", "pattern", "readOnly", "uniqueItems", "writeOnly")
KEPT = frozenset({*_TIGHTEST, *_FIRST})
"""Keywords that are copied unchanged."""


class Combiner:
    """Combines plain schemas.

    Args:
        definitions: the recursive schemas, by the name that references to them end with; one that is still
            being written is empty.
        report: receives what cannot be combined.
    """

    def __init__(self, definitions: Mapping[str, Schema], report: Report) -> None:
        self._definitions = definitions
        self._report = report

    def all_of(self, parts: list[Schema], place: str) -> Schema:
        """Return the combination of all parts; descriptions and examples are those of the first that has any."""
        telling = [part for part in parts if part.keys() - beside(part).keys()]
        referring = next((part for part in telling if "$ref" in part), None)
        if referring:
            return self._all_of_reference(referring, telling, parts, place)
        choice = next((part for part in telling if "anyOf" in part), None)
        if choice:
            rest = [part for part in parts if part is not choice]
            return self.any_of(self.all_of(rest, place) if rest else {}, choice["anyOf"], place) | beside(choice)
        whole = _types(parts)
        for key in ("description", "examples", *_FIRST):
            found = [part[key] for part in parts if key in part]
            whole |= {key: found[0]} if found else {}
        for key, choose in _TIGHTEST.items():
            limits = [part[key] for part in parts if isinstance(part.get(key), int | float)]
            whole |= {key: choose(limits)} if limits else {}
        lists = [part["enum"] for part in parts if "enum" in part]
        if lists:
            whole["enum"] = [value for value in lists[0] if all(value in other for other in lists)] or lists[0]
        holders = [part["properties"] for part in parts if "properties" in part]
        if holders:
            names = dict.fromkeys(name for each in holders for name in each)
            inner = {name: [each[name] for each in holders if name in each] for name in names}
            whole["properties"] = {name: self.all_of(same, f"{place}.{name}") for name, same in inner.items()}
        required = dict.fromkeys(name for part in parts for name in part.get("required", ()))
        whole |= {"required": list(required)} if required else {}
        items = [part["items"] for part in parts if "items" in part]
        whole |= {"items": self.all_of(items, f"{place}[]")} if items else {}
        return whole | _openness(parts)

    def any_of(self, whole: Schema, alternatives: list[Schema], place: str) -> Schema:
        """Return the choice between alternatives, combined with what always applies."""
        null = nullable(whole) or any(nullable(each) for each in alternatives)
        others = [without_null(each) for each in alternatives if set(said(each)) != {"null"}]
        others = [inner for each in others for inner in each.get("anyOf", [each])]
        if said(whole):  # then an alternative that only requires fields, or nothing, does not count
            others = [each for each in others if each.keys() & {"type", "$ref", "anyOf", "properties"}]
        if not others:
            found = whole
        elif all(each == others[0] for each in others):
            found = self.all_of([whole, others[0]], place)
        else:
            bare = {key: value for key, value in without_null(whole).items() if key not in {"description", "examples"}}
            apart = [self.all_of([bare, each], place) if bare else each for each in others]
            found = one_of_each([inner for each in apart for inner in each.get("anyOf", [each])], beside(whole))
        return with_null(found) if null else found

    def _all_of_reference(self, referring: Schema, telling: list[Schema], parts: list[Schema], place: str) -> Schema:
        definition = self._definitions[referring["$ref"].rpartition("/")[2]]
        if len(telling) > 1 and definition:
            # Other keywords can be combined with a schema, but not with a reference to it.
            opened = {**definition, **beside(referring)}
            return self.all_of([opened if part is referring else part for part in parts], place)
        if len(telling) > 1:
            self._report(f"left out: {place} says more than the reference to what it stands in")
        words = {key: value for part in reversed(parts) for key, value in beside(part).items()}
        return {"$ref": referring["$ref"], **words}


def one_of_each(alternatives: list[Schema], about: Schema) -> Schema:
    """Return a choice between distinct alternatives, with their description; a single one is returned itself."""
    different = [each for number, each in enumerate(alternatives) if each not in alternatives[:number]]
    others = [each for each in different if each != NULL]
    found = others[0] if len(others) == 1 else {"anyOf": others}
    return {**(with_null(found) if NULL in different else found), **beside(about)}


def _types(parts: list[Schema]) -> Schema:
    """Return the common types of parts, or all of them if there are none; null if the first names it."""
    found: set[str] = set()
    typed = [set(said(part)) for part in parts if "type" in part]
    for kinds in (each - {"null"} for each in typed):
        both = found & kinds or ({"integer"} if {"integer", "number"} <= found | kinds else set())
        found = both or found | kinds
    null = "null" in said(parts[0]) or (bool(typed) and all("null" in kinds for kinds in typed))
    names = [*sorted(found), *(["null"] if null else [])]
    return {"type": names[0] if len(names) == 1 else names} if names else {}


def _openness(parts: list[Schema]) -> Schema:
    """Return the rule for additional properties; for closed parts together, only that there are no others."""
    objects = [part for part in parts if "properties" in part or "additionalProperties" in part]
    more = [part["additionalProperties"] for part in objects if "additionalProperties" in part]
    described = next((each for each in more if isinstance(each, dict)), None)
    if described is not None or True in more:
        return {"additionalProperties": True if described is None else described}
    return {"additionalProperties": False} if more and len(more) == len(objects) else {}
