"""The same API, as frameworks that generate descriptions from code would describe it.

Swashbuckle, NSwag and what .NET 10 has itself belong to ASP.NET, which the service is built with; TypeSpec compiles a
language of its own.
"""

import copy
from collections.abc import Callable
from typing import Any

from tools.spec.document import METHODS, find

__all__ = ["FRAMEWORKS", "Document", "operations", "resolved"]

Document = dict[str, Any]

NUMBER = r"^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$"


def resolved(value: Any, document: Document) -> Any:
    """Return a value with its references written out."""
    if isinstance(value, list):
        return [resolved(item, document) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str):
        return resolved(find(document, reference), document)
    return {key: resolved(item, document) for key, item in value.items()}


def operations(document: Document) -> list[tuple[str, str, Document]]:
    """All operations as path, method, operation."""
    return [
        (path, method, item[method]) for path, item in document["paths"].items() for method in METHODS if method in item
    ]


class _Models:
    """Hands out a component for each object, as code has a class for each."""

    def __init__(self, namespace: str, wrap: Callable[[str, bool], Document], finish: Callable[[Document], Document]):
        self.schemas: Document = {}
        self._namespace, self._wrap, self._finish = namespace, wrap, finish

    def of(self, schema: Document, name: str) -> Document:
        """Return a schema with a reference in the place of each object."""
        kinds = schema.get("type")
        null = isinstance(kinds, list) and "null" in kinds
        kind = next((each for each in kinds if each != "null"), None) if isinstance(kinds, list) else kinds
        plain = {key: value for key, value in schema.items() if key not in {"type", "examples", "required"}}
        if kind == "array":
            found = {**plain, "type": "array", "items": self.of(schema["items"], f"{name}Item")}
            return {**found, "nullable": True} if null else found
        if kind != "object" or "properties" not in schema:
            found = {**plain, "type": kind} if kind else plain
            found |= {"example": schema["examples"][0]} if "examples" in schema and kind != "object" else {}
            return {**found, "nullable": True} if null else found
        properties = {
            field: self.of(each, name + field[0].upper() + field[1:]) for field, each in plain["properties"].items()
        }
        full = self._namespace + name
        required = {"required": schema["required"]} if "required" in schema else {}
        self.schemas[full] = self._finish({**plain, "type": "object", "properties": properties, **required})
        return self._wrap(full, null)


def _rebuilt(document: Document, models: _Models, name_of: Callable[[str, str], str]) -> Document:
    """Return the document with inline answers and bodies handed to models."""
    whole = resolved(document, document)
    for path, method, operation in operations(whole):
        name = name_of(path, method)
        operation["parameters"] = [
            {**each, "schema": models.of(each["schema"], "Unused")}
            for each in operation.get("parameters", [])
            if each["in"] != "header"
        ]
        if "requestBody" in operation:
            media = operation["requestBody"]["content"]["application/json"]
            media["schema"] = models.of(media["schema"], f"{name}Request")
        for status, answer in operation["responses"].items():
            media = answer["content"]["application/json"]
            media["schema"] = models.of(media["schema"], f"{name}Response" if status == "200" else "ApiErrorResponse")
    components = {"schemas": models.schemas, "securitySchemes": whole["components"]["securitySchemes"]}
    return {**whole, "components": components}


def _words(path: str, method: str) -> str:
    words = ["By" if "{" in part else part for part in path.removeprefix("/v1/").split("/")]
    return method.title() + "".join(word.title().replace("-", "") for word in words)


def swashbuckle(document: Document) -> Document:
    """As Swashbuckle writes it: 3.0.1, no ids, namespaces, everything nullable and closed, three media types each."""

    def loose(schema: Document) -> Document:
        fields = schema["properties"].items()
        strings = {name: {**each, "nullable": True} if each.get("type") == "string" else each for name, each in fields}
        kept = {key: value for key, value in schema.items() if key != "required"}
        return {**kept, "properties": strings, "additionalProperties": False}

    models = _Models("Databox.Api.V1.Models.", lambda name, null: {"$ref": f"#/components/schemas/{name}"}, loose)
    whole = _rebuilt(document, models, _words)
    for schema in models.schemas.values():
        for field, each in schema["properties"].items():
            if field in {"created", "timestamp"}:
                each["format"] = "date-time"
            if field == "accountType":
                schema["properties"][field] = {"$ref": "#/components/schemas/Databox.Domain.AccountType"}
    models.schemas["Databox.Domain.AccountType"] = {"enum": ["organization", "agency", "client"], "type": "string"}
    details = {
        "type": "object",
        "properties": {"title": {"type": "string", "nullable": True}},
        "additionalProperties": {},
    }
    models.schemas["Microsoft.AspNetCore.Mvc.ProblemDetails"] = details
    for path, _, operation in operations(whole):
        del operation["operationId"]
        operation["tags"] = [path.split("/")[2].title().replace("-", "")]
        for parameter in operation["parameters"]:
            if parameter["in"] == "query":
                parameter["schema"] = {"type": "integer", "format": "int32", "default": 1}
        if "requestBody" in operation:
            body = operation["requestBody"]
            media = body["content"]["application/json"]
            body["content"] = {
                kind: copy.deepcopy(media) for kind in ("application/json", "text/json", "application/*+json")
            }
            del body["required"]
        for answer in operation["responses"].values():
            media = answer["content"]["application/json"]
            answer["content"] = {kind: copy.deepcopy(media) for kind in ("text/plain", "application/json", "text/json")}
    return {**whole, "openapi": "3.0.1", "info": {"title": "Databox.Api", "version": "v1"}}


def nswag(document: Document) -> Document:
    """As NSwag writes it: 3.0.0, `Controller_Action`, inheritance by allOf, nullable oneOf, positions as extensions."""
    base = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"requestId": {"type": "string", "nullable": True}, "status": {"type": "string"}},
    }

    def inherited(schema: Document) -> Document:
        fields = schema["properties"]
        closed = {**schema, "additionalProperties": False}
        if not {"requestId", "status"} <= set(fields):
            return closed
        own = {name: each for name, each in fields.items() if name not in {"requestId", "status"}}
        required = [name for name in schema.get("required", []) if name in own]
        rest = {**closed, "properties": own} | ({"required": required} if required else {})
        return {"allOf": [{"$ref": "#/components/schemas/ApiResponse"}, rest]}

    def wrapped(name: str, null: bool) -> Document:
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {"nullable": True, "oneOf": [reference]} if null else reference

    models = _Models("", wrapped, inherited)
    whole = _rebuilt(document, models, _words)
    models.schemas["ApiResponse"] = base
    for _, _, operation in operations(whole):
        for number, parameter in enumerate(operation["parameters"], start=1):
            parameter["x-position"] = number
            if parameter["name"] == "datasetId":
                parameter["schema"]["format"] = "guid"
        if "requestBody" in operation:
            operation["requestBody"] |= {"x-name": "request", "x-position": 9}
        operation["responses"]["200"]["description"] = ""
    return {**whole, "x-generator": "NSwag v14.2.0.0", "openapi": "3.0.0"}


def dotnet(document: Document) -> Document:
    """As .NET 10 writes it: 3.1.1, numbers that may be digits, null as one of several, no ids, nothing of errors."""

    def wrapped(name: str, null: bool) -> Document:
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {"oneOf": [{"type": "null"}, reference]} if null else reference

    def digits(schema: Document) -> Document:
        kinds = schema.get("type")
        number = {"integer": ("int64", r"^-?(?:0|[1-9]\d*)$"), "number": ("double", NUMBER)}.get(str(kinds))
        found = {**schema, "type": [kinds, "string"], "pattern": number[1], "format": number[0]} if number else schema
        if found.pop("nullable", False):
            inner = found["type"]
            found["type"] = ["null", *(inner if isinstance(inner, list) else [inner])]
        return {**found, "items": digits(found["items"])} if "items" in found else found

    def model(schema: Document) -> Document:
        return {**schema, "properties": {name: digits(each) for name, each in schema["properties"].items()}}

    models = _Models("", wrapped, model)
    whole = _rebuilt(document, models, _words)
    for _, _, operation in operations(whole):
        del operation["operationId"]
        operation["tags"] = ["Databox.Api"]
        for parameter in operation["parameters"]:
            parameter["schema"] = digits(parameter["schema"])
        answer = operation["responses"]["200"]
        media = answer["content"]["application/json"]
        kinds = ("text/plain", "application/json", "text/json")
        operation["responses"] = {
            "200": {"description": "OK", "content": {kind: copy.deepcopy(media) for kind in kinds}}
        }
    for name in [name for name in models.schemas if name.startswith("ApiErrorResponse")]:
        del models.schemas[name]
    info = {"title": "Databox.Api | v1", "version": "1.0.0"}
    return {**whole, "openapi": "3.1.1", "info": info, "servers": [{"url": "https://api.databox.com/"}]}


def typespec(document: Document) -> Document:
    """As TypeSpec compiles it: 3.1, namespaces with dots, `anyOf` with null, one error for all by default."""

    def wrapped(name: str, null: bool) -> Document:
        reference = {"$ref": f"#/components/schemas/{name}"}
        return {"anyOf": [reference, {"type": "null"}]} if null else reference

    def with_unions(schema: Document) -> Document:
        fields = {}
        for name, each in schema["properties"].items():
            plain = {key: value for key, value in each.items() if key not in {"nullable", "example"}}
            words = {"description": plain.pop("description")} if "description" in plain and each.get("nullable") else {}
            fields[name] = {"anyOf": [plain, {"type": "null"}], **words} if each.get("nullable") else plain
        return {**schema, "properties": fields, "unevaluatedProperties": {"not": {}}}

    models = _Models("Databox.Ingestion.", wrapped, with_unions)
    whole = _rebuilt(document, models, _words)
    del whole["components"]["securitySchemes"]
    whole["components"]["securitySchemes"] = {"ApiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    whole["security"] = [{"ApiKeyAuth": []}]
    parameters = whole["components"].setdefault("parameters", {})
    for path, method, operation in operations(whole):
        operation["operationId"] = f"{path.split('/')[2].title()}_{method}"
        for number, parameter in enumerate(operation["parameters"]):
            if parameter["in"] == "query":
                name = f"Databox.Ingestion.PageParameters.{parameter['name']}"
                parameters[name] = {**parameter, "explode": False}
                operation["parameters"][number] = {"$ref": f"#/components/parameters/{name}"}
        refusals = [operation["responses"].pop(status) for status in list(operation["responses"]) if status[0] == "4"]
        operation["responses"]["default"] = {**refusals[0], "description": "An unexpected error response."}
    whole["servers"] = [{"url": "https://api.databox.com", "description": "Production server", "variables": {}}]
    return {**whole, "openapi": "3.1.0"}


FRAMEWORKS = (swashbuckle, nswag, dotnet, typespec)
