"""The same API described in other forms, each a change to the reference."""

import copy
import re
from collections.abc import Callable
from typing import Any

from tests.pipeline.frameworks import FRAMEWORKS, Document, operations, resolved
from tools.spec.document import dump


def inline_3_0(document: Document) -> Document:
    """OpenAPI 3.0, everything inline, nullable instead of type lists."""

    def old(value: Any) -> Any:
        if isinstance(value, list):
            return [old(item) for item in value]
        if not isinstance(value, dict):
            return value
        new = {key: old(item) for key, item in value.items() if key != "examples"}
        if isinstance(value.get("type"), list):
            new["type"] = next(kind for kind in value["type"] if kind != "null")
            new["nullable"] = True
        return new

    inline = old(resolved(document, document))
    security = {"securitySchemes": document["components"]["securitySchemes"]}
    return {**inline, "openapi": "3.0.3", "components": security}


def components_and_all_of(document: Document) -> Document:
    """Bodies and answers as components of other names, answers as allOf of an envelope and the rest."""
    schemas = document["components"]["schemas"]
    schemas["Api.Envelope"] = copy.deepcopy(schemas["Envelope"])
    for number, (_, _, operation) in enumerate(operations(document)):
        name = f"Api.Models.Answer{number}"
        content = operation["responses"]["200"]["content"]["application/json"]
        schemas[name] = {"allOf": [{"$ref": "#/components/schemas/Api.Envelope"}, content["schema"]]}
        content["schema"] = {"$ref": f"#/components/schemas/{name}"}
        body = operation.get("requestBody")
        if body:
            document["components"].setdefault("requestBodies", {})[f"Body{number}"] = body
            operation["requestBody"] = {"$ref": f"#/components/requestBodies/Body{number}"}
    return document


def nameless_and_more(document: Document) -> Document:
    """No operation ids and no tags; more operations, fields and parameters with defaults, other template names.

    One path even stands there twice, under two templates: the operation that we need and one that we do not.
    """
    for _, _, operation in operations(document):
        del operation["operationId"], operation["tags"]
        limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "default": 10}}
        operation.setdefault("parameters", []).append(limit)
    for schema in document["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema.setdefault("properties", {})["note"] = {"type": "string", "default": "none"}
    paths = document["paths"]
    paths["/v1/datasets/{id}"] = paths.pop("/v1/datasets/{datasetId}")
    paths["/v1/datasets/{id}"]["delete"]["parameters"][0] = {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    }
    paths["/v1/datasets/{dataset}"] = {
        "get": {
            "parameters": [{"name": "dataset", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "The dataset."}},
        }
    }
    answers = {"200": {"description": "CSV.", "content": {"text/csv": {"schema": {"type": "string"}}}}}
    paths["/v1/exports"] = {"post": {"requestBody": {"content": {"text/csv": {}}}, "responses": answers}}
    return document


def strict(document: Document) -> Document:
    """Strict formats, closed enums, everything required, several body types, page defaults, other casing."""
    schemas = document["components"]["schemas"]
    schemas["created"] |= {"format": "date-time"}
    schemas["requestId"] |= {"format": "uuid"}
    for name, schema in schemas.items():
        if schema.get("type") == "object" and not name.endswith("Request"):  # there it would be another wire
            schema["required"] = list(schema.get("properties", {}))
    document["components"]["parameters"]["DatasetId"]["schema"] |= {"format": "uuid"}
    for _, _, operation in operations(document):
        operation["operationId"] = operation["operationId"].lower()
        for parameter in operation.get("parameters", []):
            if parameter.get("name") in {"page", "pageSize"}:
                parameter["schema"]["default"] = 1
        for content in [body["content"] for body in [operation.get("requestBody")] if body]:
            for kind in ("text/json", "application/*+json"):
                content[kind] = copy.deepcopy(content["application/json"])
    schemas["Weird"] = {"type": "string", "enum": ["a", "A"]}  # crashes the generator, used or not
    return document


def awkward(document: Document) -> Document:
    """Webhooks, extensions, path items as references, path-level parameters, prose that breaks naive templates."""
    prose = 'Backslash \\ and """quotes""", {braces}, `ticks`, an em dash — and a trailing \\'
    document["info"] |= {"title": "Databox Public API", "description": prose * 9, "version": "v1.4.2"}
    document["webhooks"] = {"done": {"post": {"responses": {"200": {"description": "Fine."}}}}}
    document["x-internal"] = {"team": "data"}
    for _, _, operation in operations(document):
        operation["summary"] = operation["description"] = prose
        operation["deprecated"] = True
    paths = document["paths"]
    document["components"]["pathItems"] = {"Accounts": paths["/v1/accounts"]}
    paths["/v1/accounts"] = {"$ref": "#/components/pathItems/Accounts"}
    header = {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}
    paths["/v1/datasets"]["parameters"] = [header]
    return document


def scattered(document: Document) -> Document:
    """Parameters of paths, references to references, null by anyOf, security on each operation, closed objects."""

    def closed(value: Any) -> Any:
        if isinstance(value, list):
            return [closed(item) for item in value]
        if not isinstance(value, dict):
            return value
        new = {key: closed(item) for key, item in value.items()}
        if isinstance(value.get("type"), list):
            kind = next(kind for kind in value["type"] if kind != "null")
            about = {"description": new.pop("description", "")}
            new = {**about, "anyOf": [{**new, "type": kind}, {"type": "null"}]}
        elif value.get("type") == "object" and "properties" in value and "additionalProperties" not in value:
            new["additionalProperties"] = False
        return new

    document["components"]["schemas"] = closed(document["components"]["schemas"])
    for path, method, operation in operations(document):
        shared = [each for each in operation.get("parameters", []) if "Id" in str(each)]
        if shared:
            operation["parameters"] = [each for each in operation["parameters"] if each not in shared]
            document["paths"][path]["parameters"] = shared
        operation["security"] = document["security"]
        operation["tags"] = ["Everything (v1)", *operation["tags"]]
        operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
        operation["responses"]["4XX"] = {"$ref": "#/components/responses/Problem"}
        name = f"{method}-{path}".replace("/", ".").replace("{", "").replace("}", "")
        document["components"]["responses"][name] = operation["responses"]["200"]
        operation["responses"]["200"] = {"$ref": f"#/components/responses/{name}"}
    del document["security"]
    document["components"]["responses"]["Problem"] = {"$ref": "#/components/responses/BadRequest"}
    document["servers"] = [{"url": "https://{host}", "variables": {"host": {"default": "api.databox.com"}}}]
    return document


def asp_net(document: Document) -> Document:
    """Ids of another kind, text before JSON, titles, read-only fields, 3.0 with references beside nullable."""
    old = inline_3_0(document)
    for number, (_, _, operation) in enumerate(operations(old)):
        operation["operationId"] = f"Api.V1-execute_{number}"
        operation["tags"] = ["Api"]
        for answer in operation["responses"].values():
            for kind in ("text/plain", "text/json"):
                answer["content"] = {kind: copy.deepcopy(answer["content"]["application/json"]), **answer["content"]}
    old["components"]["schemas"] = {"Created": {"type": "string", "format": "date-time", "readOnly": True}}
    created = old["paths"]["/v1/data-sources"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    for part in (created, *created.get("allOf", ())):
        if "created" in part.get("properties", {}):
            part["title"] = "DataSourceResponse"
            part["properties"]["created"] = {"allOf": [{"$ref": "#/components/schemas/Created"}], "nullable": True}
    return old


def chained(document: Document) -> Document:
    """Chains of allOf and of references, one title for all, schemas that hold themselves, wrong required lists."""
    schemas = document["components"]["schemas"]
    for name in list(schemas):
        base = schemas.pop(name)
        schemas[f"{name}.Base"] = base
        schemas[f"{name}.Middle"] = {"title": "Model", "allOf": [{"$ref": f"#/components/schemas/{name}.Base"}]}
        schemas[f"{name}.Alias"] = {"$ref": f"#/components/schemas/{name}.Middle"}
        schemas[name] = {"title": "Model", "allOf": [{"$ref": f"#/components/schemas/{name}.Alias"}]}
    schemas["Account.Base"]["properties"]["parent"] = {
        "description": "The account above.",
        "oneOf": [{"$ref": "#/components/schemas/Account"}, {"type": "null"}],
    }
    schemas["Account.Base"]["properties"]["children"] = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Account"},
    }
    schemas["Tree"] = {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
    schemas["Dataset.Base"]["properties"]["folders"] = {"$ref": "#/components/schemas/Tree"}
    schemas["Dataset.Base"]["required"] += ["identifier", "title"]
    schemas["CreateDatasetRequest.Base"]["required"] = ["title", "dataSourceId", "primaryKeys"]
    schemas["CreateDataSourceRequest.Base"]["required"] = ["titel", "title"]
    return document


def odd_words(document: Document) -> Document:
    """Enums with values that no language likes, as references, for requests too; keywords and clashes as names."""
    schemas = document["components"]["schemas"]
    schemas["Zone"] = {
        "type": "string",
        "enum": ["UTC", "utc", "Europe/Berlin", "", "1", "class", "NO", "ü", "a b", "-"],
    }
    schemas["CreateDataSourceRequest"]["properties"]["timezone"] = {"$ref": "#/components/schemas/Zone"}
    schemas["Kind"] = {"enum": ["organization", "Organization", None, "agency", "client", "None", "1st"]}
    schemas["Account"]["properties"]["accountType"] = {"$ref": "#/components/schemas/Kind"}
    schemas["Level"] = {"type": "integer", "enum": [1, -1, 0], "title": "Account"}
    more = {"from": {"type": "string"}, "class": {"$ref": "#/components/schemas/Level"}, "Id": {"const": 5}}
    more |= {"id_": {"type": "boolean"}, "self": {"type": "object"}, "$ref": {"type": "string"}, "": {"type": "string"}}
    for name in ("Account", "Dataset", "DataSource"):
        schemas[name]["properties"] |= copy.deepcopy(more)
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            if parameter.get("name") in {"page", "pageSize"}:
                parameter["schema"] = {"type": "integer", "enum": [1, 2, 5, 100], "default": 1}
    return document


FORMS: dict[str, Callable[[Document], Document]] = {
    form.__name__: form
    for form in (
        inline_3_0,
        components_and_all_of,
        nameless_and_more,
        strict,
        awkward,
        scattered,
        asp_net,
        chained,
        odd_words,
        *FRAMEWORKS,
    )
}


def described(form: str, document: Document) -> bytes:
    """Return our API in another form, as bytes."""
    content = dump(FORMS[form](copy.deepcopy(document)))
    if form == "awkward":
        # Bundlers write moments and status codes without quotes, and Windows has its own line ends.
        content = content.replace(b"'2025-10-01T12:00:00.000000Z'", b"2025-10-01T12:00:00.000000Z")
        content = re.sub(rb"'(\d{3})':", rb"\1:", content)
        content = content.replace(b"\n", b"\r\n")
    return content
