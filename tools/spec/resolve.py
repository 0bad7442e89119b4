"""Steps 1 and 2: each operation self-contained, at the path of its requests, under our name."""

import re
from collections import Counter
from typing import Any

from tools.spec.document import METHODS, PUBLISHED, SpecError, at, follow, kind_of, mapping, operations
from tools.spec.pins import PINS, blank, of_ours

__all__ = ["named", "resolved"]

_LISTS = ("tags", "servers", "security")
_FIELDS = ("operationId", "summary", "description", "deprecated", *_LISTS)

_VERSION = "v1"
"""The prefix of all our paths."""


def resolved(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with self-contained operations.

    References of path items, parameters, bodies and responses are resolved, and settings of a path or of the document
    (parameters, servers, security) are moved into the operations. The generator silently skips path items that are
    references. The published document is kept as `PUBLISHED`: references to a place in it mean that place.
    """
    paths: dict[str, Any] = {}
    for path, referring in mapping(document["paths"], "paths").items():
        if path.startswith("x-") or referring is None:
            continue
        item = follow(document, referring, at("paths", path))
        paths[path] = {
            method: _whole(document, item, mapping(item[method], at("paths", path, method)), at("paths", path, method))
            for method in METHODS
            if item.get(method) is not None
        }
    kept = {key: value for key, value in document.items() if not key.startswith("x-")}
    return {**kept, "paths": paths, PUBLISHED: document}


def _whole(document: dict[str, Any], item: dict[str, Any], operation: dict[str, Any], place: str) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for key in _FIELDS:
        holders = [
            operation,
            *([item] if key != "tags" else []),
            *([document] if key in {"servers", "security"} else []),
        ]
        told = next((holder[key] for holder in holders if holder.get(key) is not None), None)
        whole |= {key: told} if isinstance(told, list) or (told is not None and key not in _LISTS) else {}
    parameters: dict[tuple[str, str], dict[str, Any]] = {}
    for holder in (item, operation):
        entries = holder.get("parameters") or []
        if not isinstance(entries, list):
            raise SpecError(f"{place}.parameters holds {kind_of(entries)} where a list belongs.")
        for number, entry in enumerate(entries):
            parameter = follow(document, entry, f"{place}.parameters[{number}]")
            name, where = parameter.get("name"), parameter.get("in")
            if not isinstance(name, str) or where not in {"path", "query", "header", "cookie"}:
                raise SpecError(f"{place}.parameters[{number}] says neither its name nor where it stands, or not both.")
            parameters[where, name.lower() if where == "header" else name] = parameter
    whole["parameters"] = list(parameters.values())
    if operation.get("requestBody") is not None:
        whole["requestBody"] = follow(document, operation["requestBody"], f"{place}.requestBody")
    whole["responses"] = {
        str(status): follow(document, answer or {}, f"{place}.responses[{str(status)!r}]")
        for status, answer in mapping(operation.get("responses") or {}, f"{place}.responses").items()
        if not str(status).startswith("x-")
    }
    return whole


def named(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the paths of requests, our templates, and our names of the operations.

    Operations that are not ours are named after method and path. The path in a server's address
    (`https://host/v1`) is part of it, and so is a version that is a parameter. Our tag comes before those
    of the publisher.
    """
    paths: dict[str, dict[str, Any]] = {}
    taken = Counter[str]()
    for path, method, operation in operations(document):
        below = _versioned(_plain_template(path), operation, document)
        whole = _below(_base(operation.get("servers"), document), below)
        pin = of_ours(whole, method)
        known = [*(each.path for each in PINS), *paths]
        template = next((each for each in known if blank(each) == blank(whole)), whole)
        if method in paths.setdefault(template, {}):
            raise SpecError(f"{method.upper()} {template} is described twice, once as {method.upper()} {path}.")
        name = pin.name if pin else _name(method, whole)
        taken[name] += 1
        paths[template][method] = {
            **{key: value for key, value in operation.items() if key != "servers"},
            "operationId": name if taken[name] == 1 else f"{name}_{taken[name]}",
            "tags": [pin.tag if pin else _tag(whole), *(operation.get("tags") or [])],
            "parameters": _as_in(template, whole, operation["parameters"]),
        }
    servers = document.get("servers")
    base = _base(servers, document)
    there = {"servers": [_without(server, base) for server in servers]} if base and isinstance(servers, list) else {}
    return {**document, **there, "paths": paths}


def _plain_template(path: str) -> str:
    """Return a path with only names in its template: server routes may say `{accountId:long}`."""
    return re.sub(r"\{\*{0,2}([\w.-]+)[^{}/]*\}", r"{\1}", path)


def _versioned(path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    """Return a path with our version instead of a parameter for it: `/v{version}/accounts`."""
    found = re.match(r"/(v?)\{([^}]*)\}(?=/)", path)
    if not found or not (found[1] or "version" in found[2].lower()):
        return path
    told = [each.get("schema") for each in operation["parameters"] if (each["in"], each["name"]) == ("path", found[2])]
    schema = follow(document[PUBLISHED], next(filter(None, told), {}), "the version's schema")
    known = [*(schema.get("enum") or []), *(schema[key] for key in ("const", "default") if key in schema)]
    ours = {_VERSION, _VERSION[1:], f"{_VERSION}.0", f"{_VERSION[1:]}.0"}
    return path.replace(found[0], f"/{_VERSION}", 1) if not known or ours & set(map(str, known)) else path


def _below(base: str, path: str) -> str:
    return path if path.startswith(f"{base}/") else base + path


def _base(servers: Any, document: dict[str, Any]) -> str:
    """Return the path in a server's address with which most operations are ours, such as `/v1`; it may be empty."""
    bases = [_path_of(each) for each in servers if isinstance(each, dict)] if isinstance(servers, list) else []

    def ours(base: str) -> int:
        return sum(of_ours(_below(base, path), method) is not None for path, method, _ in operations(document))

    return max(dict.fromkeys(bases), key=ours, default="")


def _path_of(server: dict[str, Any]) -> str:
    return re.sub(r"^(\w+:)?//[^/]*", "", _address(server)).partition("?")[0].rstrip("/")


def _address(server: dict[str, Any]) -> str:
    address = str(server.get("url", ""))
    variables = server.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        address = address.replace(f"{{{name}}}", str((variable or {}).get("default", "")))
    return address


def _without(server: Any, base: str) -> Any:
    if not isinstance(server, dict):
        return server
    rest = {key: value for key, value in server.items() if key not in {"url", "variables"}}
    return {"url": _address(server).partition("?")[0].rstrip("/").removesuffix(base), **rest}


def _name(method: str, path: str) -> str:
    """Return a name for an operation that is not ours: `get_v1_accounts_item_datasets`."""
    words = [re.sub(r"\W+", "_", part).strip("_") for part in blank(path).replace("{}", "item").split("/")]
    return "_".join([method, *filter(None, words)]).lower()


def _tag(path: str) -> str:
    """Return the subject of an operation that is not ours: the first word of its path after the version."""
    words = [part for part in path.split("/") if part and "{" not in part and not re.fullmatch(r"v\d+", part)]
    return re.sub(r"\W+", "_", words[0]).lower() if words else "other"


def _as_in(template: str, path: str, parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return parameters with those of the path named and ordered as in a template, and required."""
    ours, theirs = (re.findall(r"\{([^}]*)\}", text) for text in (template, path))
    described = {each["name"]: each for each in parameters if each["in"] == "path"}
    in_path = [
        {**described.get(name, {}), "name": new, "in": "path", "required": True}
        for new, name in zip(ours, theirs, strict=True)
    ]
    return in_path + [each for each in parameters if each["in"] != "path"]
