"""Step 7: only what a code generator can use."""

from typing import Any

from tools.spec.document import Report, each_operation, references, with_words

__all__ = ["pruned"]


def pruned(document: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return a plain document with its operations, and only what they refer to.

    Webhooks are dropped, and with them anything that is no longer referenced. Descriptions of answers are moved to the
    operation's description, the only one that generated code shows. Of security, a mark is left, which decides which
    client a function takes.
    """
    if document.get("webhooks"):
        report(f"left out: webhooks ({', '.join(map(str, document['webhooks']))})")

    def changed(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
        whole = _in_words(operation) | {"operationId": operation["operationId"], "tags": operation["tags"][:1]}
        if _is_guarded(operation):
            whole["security"] = [{"key": []}]
        parameters = operation["parameters"]
        in_path = [each for each in parameters if each["in"] == "path"]
        rest = [each for each in parameters if each["in"] != "path"]
        others = sorted(rest, key=lambda each: (each["in"], each["name"]))
        whole["parameters"] = [_parameter(each) for each in (*in_path, *others)]
        if "requestBody" in operation:
            body = operation["requestBody"]
            whole["requestBody"] = {"required": body.get("required") is True, "content": _content(body, body)}
        answers = sorted(operation["responses"].items())
        whole["responses"] = {status: {"description": "", "content": _content(each, {})} for status, each in answers}
        return whole

    found = each_operation(document, changed)
    info = document["info"] if isinstance(document.get("info"), dict) else {}
    schemas = _referred_to(found["paths"], document.get("components", {}).get("schemas", {}))
    return {
        "openapi": "3.1.0",
        "info": {key: str(info.get(key, "")) for key in ("title", "version")},
        "paths": {path: found["paths"][path] for path in sorted(found["paths"])},
        **({"components": {"schemas": schemas}} if schemas else {}),
    }


def _in_words(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the description of an operation, including those of its answers."""
    words = {key: str(operation[key]) for key in ("summary", "description") if operation.get(key)}
    if operation.get("deprecated") is True:
        words = with_words(words, "Deprecated.")
    answers = sorted(operation["responses"].items())
    told = " ".join(f"{status}: {answer['description']}" for status, answer in answers if answer.get("description"))
    return with_words(words, f"Answers: {told}") if told else words


def _is_guarded(operation: dict[str, Any]) -> bool:
    ways = operation.get("security")
    return isinstance(ways, list) and bool(ways) and {} not in ways


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter with its description in the schema, where the generator looks for it."""
    schema = parameter["schema"]
    if parameter.get("description"):
        schema = {**schema, "description": str(parameter["description"])}
    if parameter.get("deprecated") is True:
        schema = with_words(schema, "Deprecated.")
    return {"name": parameter["name"], "in": parameter["in"], "required": parameter["required"], "schema": schema}


def _content(part: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of a body or an answer, with its description."""

    def worded(schema: dict[str, Any]) -> dict[str, Any]:
        if not said.get("description"):
            return schema
        words = {"description": str(said["description"])}
        return {**schema, **with_words(words, str(schema.get("description", "")))}

    content = part.get("content", {}).items()
    return {kind: {"schema": worded(media["schema"])} if "schema" in media else {} for kind, media in content}


def _referred_to(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas that paths refer to, directly or indirectly."""
    kept: dict[str, Any] = {}
    coming = [reference for _, reference in references(paths)]
    while coming:
        name = coming.pop().rpartition("/")[2]
        if name not in kept and name in schemas:
            kept[name] = schemas[name]
            coming += [reference for _, reference in references(schemas[name])]
    return kept
