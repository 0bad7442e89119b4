"""Small changes of form, each of which can be combined with any others.

A publisher's tools decide all of this, and none of it changes what goes over the wire.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator, Set
from typing import Any

import yaml

from tests.pipeline.frameworks import NUMBER, Document, operations, resolved
from tools.spec.document import dump

Twist = Callable[[Document], None]
PAGING = {"page", "pageSize"}
PROSE = (
    'Say "so", \'so\', \\so\\, """so""", `so`, {so}, %s, $so, <b>so</b>: — naïve 日本 😀\n\n- a list\n\tand # a tab\\'
)


def everywhere(value: Any, change: Callable[[Document], Document | None], inside: str = "") -> Any:
    """Return a value with each mapping in it changed, innermost first; examples are left alone."""
    if isinstance(value, list):
        return [everywhere(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    new = {
        key: item if key in {"example", "examples"} and inside != "properties" else everywhere(item, change, key)
        for key, item in value.items()
    }
    return new if inside in {"properties", "responses", "schemas", "content", "paths"} else change(new) or new


def all_schemas(document: Document, change: Callable[[Document], Document | None]) -> None:
    """Change each schema, wherever it stands."""

    def one(value: Document) -> Document | None:
        kind = value.get("type")
        return change(value) if kind != "apiKey" and ("properties" in value or isinstance(kind, (str, list))) else None

    for part in ("paths", "components"):
        document[part] = everywhere(document[part], one)


def answers(document: Document) -> Iterator[tuple[str, Document]]:
    """All answers with their status, those that are references aside."""
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if "$ref" not in answer:
                yield status, answer
    for answer in document["components"].get("responses", {}).values():
        if "$ref" not in answer:
            yield "4XX", answer


def bodies(document: Document) -> Iterator[Document]:
    """All request bodies, those that are references aside."""
    for _, _, operation in operations(document):
        if "content" in operation.get("requestBody", {}):
            yield operation["requestBody"]


# Names


def everything_inline(document: Document) -> None:
    inline = resolved(document, document)
    document |= {**inline, "components": {"securitySchemes": inline["components"]["securitySchemes"]}}


def everything_shared(document: Document) -> None:
    schemas = document["components"].setdefault("schemas", {})
    made: Document = {}

    def hoisted(schema: Document) -> Document:
        name = f"Model{len(made)}"
        made[name] = schema
        return {"$ref": f"#/components/schemas/{name}"}

    all_schemas(document, hoisted)
    document["components"]["schemas"] = {**document["components"].get("schemas", schemas), **made}


def other_component_names(document: Document) -> None:
    for kind, word in (("schemas", "Api.V1~"), ("responses", "r-"), ("parameters", "P_")):
        named = document["components"].get(kind, {})
        document["components"][kind] = {f"{word.replace('~', '.')}{name}": part for name, part in named.items()}
        text = json.dumps(document).replace(f"#/components/{kind}/", f"#/components/{kind}/{word.replace('~', '.')}")
        document |= json.loads(text)


def older_names_beside(document: Document) -> None:
    """Each name also as it may have been once: another one on the wire, and the same one in Python."""

    def older(name: str) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

    def both(schema: Document) -> Document | None:
        twins = {older(name): copy.deepcopy(each) for name, each in schema.get("properties", {}).items()}
        return {**schema, "properties": twins | schema["properties"]} if twins else None

    all_schemas(document, both)
    for _, _, operation in operations(document):
        own = [resolved(each, document) for each in operation.get("parameters", [])]
        named = [each for each in own if older(each["name"]) != each["name"]]
        twins = [{**each, "name": older(each["name"]), "in": "query", "required": False} for each in named]
        headers = [{**each, "in": "header"} for each in twins]
        operation["parameters"] = [*twins, *operation.get("parameters", []), *headers]


def names_that_generated_code_needs(document: Document) -> None:
    def more(schema: Document) -> Document | None:
        extra = {name: {"type": "string"} for name in ("additionalProperties", "toDict", "d", "cls", "cast", "items")}
        return {**schema, "properties": {**schema["properties"], **extra}} if "properties" in schema else None

    all_schemas(document, more)
    for _, _, operation in operations(document):
        names = ("client", "quote", "body", "url", "params")
        extra = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
        operation["parameters"] = [*operation.get("parameters", []), *extra]


def names_that_clash(document: Document) -> None:
    schemas = document["components"].setdefault("schemas", {})
    for name in (
        "ListAccountsResponse200",
        "list_accounts_response_200",
        "CreateDatasetBody",
        "Unset",
        "class",
        "None",
    ):
        schemas[name] = {"type": "object", "title": "Response", "properties": {"self": {"type": "string"}}}


def references_into_paths(document: Document) -> None:
    first = document["paths"]["/v1/accounts"]["get"]["responses"]
    for path, method, operation in operations(document):
        if "401" in operation["responses"] and "401" in first and (path, method) != ("/v1/accounts", "get"):
            operation["responses"]["401"] = {"$ref": "#/paths/~1v1~1accounts/get/responses/401"}


def no_ids_and_tags(document: Document) -> None:
    for _, _, operation in operations(document):
        operation.pop("operationId", None)
        operation.pop("tags", None)
    document.pop("tags", None)


def ids_of_another_kind(document: Document) -> None:
    for number, (path, method, operation) in enumerate(operations(document)):
        operation["operationId"] = f"{method} {path} / import.{number}"
        operation["tags"] = [["class", "1. Größe / 大きさ", "v1"][number % 3], "None"]


def other_template_names(document: Document) -> None:
    text = (
        json.dumps(document)
        .replace("{datasetId}", "{dataset_id}")
        .replace('"name": "datasetId"', '"name": "dataset_id"')
    )
    document |= json.loads(text)


# Where things stand


def parameters_of_paths(document: Document) -> None:
    for path, item in document["paths"].items():
        methods = [method for method in item if method in {"get", "post", "delete"}]
        if "{" not in path or len(methods) != 1:
            continue
        operation = item[methods[0]]
        own = [each for each in operation.get("parameters", []) if resolved(each, document).get("in") == "path"]
        operation["parameters"] = [each for each in operation.get("parameters", []) if each not in own]
        if own:
            item["parameters"] = own


def version_in_the_server(document: Document) -> None:
    document["servers"] = [
        {"url": "https://api.databox.com/v1"},
        {"url": "https://{where}/v1/", "variables": {"where": {"default": "api.eu.databox.com"}}},
    ]
    text = json.dumps(document).replace("#/paths/~1v1~1", "#/paths/~1")
    document |= json.loads(text)
    document["paths"] = {path.removeprefix("/v1"): item for path, item in document["paths"].items()}


def local_server_too(document: Document) -> None:
    document["servers"] = [*document["servers"], {"url": "http://localhost:5000"}]


def version_as_a_parameter(document: Document) -> None:
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "default": "1.0"}}
    text = json.dumps(document).replace("#/paths/~1v1~1", "#/paths/~1v{version}~1")
    document |= json.loads(text)
    document["paths"] = {
        path.replace("/v1/", "/v{version}/"): {**item, "parameters": [version, *item.get("parameters", [])]}
        if path.startswith("/v1/")
        else item
        for path, item in document["paths"].items()
    }


def constraints_of_routes(document: Document) -> None:
    document["paths"] = {re.sub(r"\{(\w+)\}", r"{\1:length(1,40)}", path): it for path, it in document["paths"].items()}


def query_as_an_object(document: Document) -> None:
    for _, _, operation in operations(document):
        every = [resolved(each, document) for each in operation.get("parameters", [])]
        paging = {
            each["name"]: each for each in every if each["in"] == "query" and each["name"] in {"page", "pageSize"}
        }
        if paging:
            inner = {
                name: {**each["schema"], "description": each["description"], "examples": [each["example"]]}
                for name, each in paging.items()
            }
            whole = {"name": "paging", "in": "query", "schema": {"type": "object", "properties": inner}}
            operation["parameters"] = [each for each in every if each["name"] not in PAGING] + [whole]


def security_of_operations(document: Document) -> None:
    for _, _, operation in operations(document):
        operation["security"] = [{"x-api-key": []}, {"oauth": ["read"]}]
    document.pop("security", None)
    flow = {"tokenUrl": "https://app.databox.com/token", "scopes": {"read": "Read."}}
    document["components"]["securitySchemes"]["oauth"] = {"type": "oauth2", "flows": {"clientCredentials": flow}}


def key_as_a_parameter(document: Document) -> None:
    for _, _, operation in operations(document):
        operation.pop("security", None)
        key = {"name": "X-API-Key", "in": "header", "required": True, "schema": {"type": "string"}}
        operation["parameters"] = [*operation.get("parameters", []), key]
    document.pop("security", None)
    document["components"].pop("securitySchemes", None)


def errors_by_default(document: Document) -> None:
    found = [
        (
            operation["responses"],
            {status: resolved(answer, document) for status, answer in operation["responses"].items()},
        )
        for _, _, operation in operations(document)
    ]
    for responses, whole in found:
        for status in [status for status in responses if status.startswith("4")]:
            del responses[status]
            responses["default"] = whole[status]


def any_success(document: Document) -> None:
    for _, _, operation in operations(document):
        operation["responses"]["2XX"] = operation["responses"].pop("200", None) or operation["responses"]["2XX"]


# Schemas


def one_model_for_both(document: Document) -> None:
    """Fields that are only read in requests, and such that are only written in answers."""
    read = {"type": "string", "readOnly": True}
    written = {"oneOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]}
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object" and "properties" in schema:
            request = name.endswith("Request")
            schema["properties"] |= {"etag": read} if request else {"secret": written}
            schema["required"] = [*schema.get("required", []), "etag" if request else "secret"]


def numbers_that_may_be_digits(document: Document) -> None:
    def both(schema: Document) -> Document | None:
        kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
        if "integer" in kinds and "enum" not in schema:
            return {**schema, "type": [*kinds, "string"], "format": "int64", "pattern": r"^-?(?:0|[1-9]\d*)$"}
        if "number" in kinds:
            return {**schema, "type": [*kinds, "string"], "format": "double", "pattern": NUMBER}
        return None

    all_schemas(document, both)


def envelopes_by_all_of(document: Document) -> None:
    def split(schema: Document) -> Document | None:
        inner = schema.get("properties", {})
        if not {"requestId", "status"} <= set(inner):
            return None
        ours = {name: inner[name] for name in ("requestId", "status")}
        rest = {**schema, "properties": {name: it for name, it in inner.items() if name not in ours}}
        return {"title": "Response", "allOf": [{"type": "object", "properties": ours}, rest]}

    all_schemas(document, split)


def null_by_any_of(document: Document) -> None:
    def either(schema: Document) -> Document | None:
        kind = schema.get("type")
        if not isinstance(kind, list) or "null" not in kind:
            return None
        return {"oneOf": [{"type": "null"}, {**schema, "type": next(each for each in kind if each != "null")}]}

    all_schemas(document, either)


def null_first(document: Document) -> None:
    all_schemas(
        document, lambda schema: {**schema, "type": schema["type"][::-1]} if type(schema.get("type")) is list else None
    )


def wrapped_references(document: Document) -> None:
    document["paths"], document["components"] = (
        everywhere(
            document[part],
            lambda value: {"allOf": [value], "description": PROSE} if "/schemas/" in str(value.get("$ref")) else None,
        )
        for part in ("paths", "components")
    )


def one_of_success_and_failure(document: Document) -> None:
    failure = {"type": "object", "title": "Failure", "properties": {"requestId": {"type": "string"}}}
    for status, answer in answers(document):
        for content in answer["content"].values() if status.startswith("2") else ():
            content["schema"] = {"oneOf": [content["schema"], failure], "discriminator": {"propertyName": "status"}}


def everything_required(document: Document) -> None:
    asked = json.dumps(list(bodies(document)))

    def strict(schema: Document) -> Document | None:
        inner = schema.get("properties")
        names = set(inner or ())
        if not names or names & {"title", "records", "primaryKeys"} or json.dumps(schema) in asked:
            return None  # there it could be another wire
        return {**schema, "required": list(inner or ()), "minProperties": 1}

    all_schemas(document, strict)


def closed_objects(document: Document) -> None:
    def closed(schema: Document) -> Document | None:
        return {**schema, "additionalProperties": False} if "properties" in schema else None

    all_schemas(document, closed)


def strict_words(document: Document) -> None:
    def strict(schema: Document) -> Document | None:
        inner = schema.get("properties", {})
        for name, it in inner.items():
            if name == "status" and it.get("type") == "string":
                inner[name] = {**it, "enum": ["success", "Success", "error", "class", "", "1st"], "default": "success"}
            if name in {"created", "timestamp"} and isinstance(it, dict) and it.get("type") == "string":
                inner[name] = {**it, "format": "date-time", "readOnly": True, "pattern": r"^\d{4}-\d\d.*$"}
        return None

    all_schemas(document, strict)


def fields_and_parameters_more(document: Document) -> None:
    def more(schema: Document) -> Document | None:
        if "properties" not in schema:
            return None
        extra: Document = {
            "from": {"type": "string", "default": 'a "b" \\'},
            "2fa": {"type": ["integer", "null"], "enum": [1, 2, None]},
            "self": {"type": "object", "additionalProperties": {"type": "array", "items": {}}},
            "weird name-": {"const": "x"},
        }
        return {**schema, "properties": {**schema["properties"], **extra}}

    all_schemas(document, more)
    for _, _, operation in operations(document):
        extra = [
            {
                "name": "expand[]",
                "in": "query",
                "schema": {"type": "array", "items": {"type": "string"}, "default": ["a"]},
            },
            {"name": "class", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
            {"name": "session", "in": "cookie", "schema": {"type": "string", "default": "s"}},
            {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
        ]
        operation["parameters"] = [*operation.get("parameters", []), *extra]


def operations_more(document: Document) -> None:
    answer = {"200": {"description": "Fine."}}
    paths = document["paths"]
    some = next(iter(paths))
    paths[some] |= {"head": {"responses": answer}, "options": {"responses": answer}, "x-owner": ["data"]}
    upload = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
    body = {"content": {"multipart/form-data": {"schema": upload}, "application/octet-stream": {}}}
    paths["/v2/files/{a}.{b}"] = {
        "parameters": [{"name": each, "in": "path", "required": True, "schema": {"type": "string"}} for each in "ab"],
        "patch": {"requestBody": body, "responses": answer, "operationId": "list_accounts", "tags": ["accounts"]},
    }


# Content and prose


def several_content_types(document: Document) -> None:
    for _, answer in answers(document):
        schema = next(iter(answer["content"].values()))
        first = {"text/plain": {"schema": {"type": "string"}}, "application/xml": copy.deepcopy(schema)}
        answer["content"] = {**first, **answer["content"], "application/problem+json": copy.deepcopy(schema)}
    for body in bodies(document):
        schema = next(iter(body["content"].values()))
        body["content"] = {"application/*+json": copy.deepcopy(schema), **body["content"], "text/json": schema}


def json_with_a_charset(document: Document) -> None:
    for part in [answer for _, answer in answers(document)] + list(bodies(document)):
        part["content"] = {
            "application/json; charset=utf-8" if kind == "application/json" else kind: it
            for kind, it in part["content"].items()
        }


def prose_and_extras(document: Document) -> None:
    contact = {"name": PROSE, "url": "https://databox.com", "email": "help@databox.com"}
    document["info"] |= {"title": PROSE, "description": PROSE * 20, "contact": contact, "x-logo": {"url": "logo.png"}}
    document["externalDocs"] = {"url": "https://developers.databox.com", "description": PROSE}
    document["x-tagGroups"] = [{"name": PROSE, "tags": ["Accounts"]}]
    for path, _, operation in operations(document):
        operation |= {"summary": PROSE, "description": PROSE * 9, "deprecated": True}
        operation["x-codeSamples"] = [{"lang": "curl", "source": f"curl \\\n  'https://api.databox.com{path}'"}]
        operation["externalDocs"] = {"url": "https://developers.databox.com"}
        hook = {"post": {"responses": {"200": {"description": PROSE}}}}
        operation["callbacks"] = {"done": {"{$request.query.url}": hook}}
    for _, answer in answers(document):
        answer |= {"description": PROSE, "headers": {"X-Request-Id": {"schema": {"type": "string", "format": "uuid"}}}}
        answer["links"] = {"next": {"operationRef": "#/paths/~1v1~1accounts/get"}}
        for content in answer["content"].values():
            content.pop("example", None)
            content["examples"] = {"one": {"summary": PROSE, "value": {"$ref": "not one", "created": "2025-10-01"}}}


def openapi_3_0(document: Document) -> None:
    """Last, as others write 3.1: everything that 3.0 does not know in its own words."""

    def old(value: Document) -> Document | None:
        kinds = value.get("type")
        if isinstance(kinds, list):
            found = {key: it for key, it in value.items() if key != "type"}
            if "enum" in value:
                found["enum"] = [each for each in value["enum"] if each is not None]
            others = [kind for kind in kinds if kind != "null"]
            found = with_one_example(found) or found  # here, as it may be left without a type to know it by
            return found | ({"type": others[0]} if len(others) == 1 else {}) | {"nullable": "null" in kinds}
        for way in ("anyOf", "oneOf"):
            parts = value.get(way, [])
            rest = [part for part in parts if part != {"type": "null"}]
            if len(rest) < len(parts):
                return {**{key: it for key, it in value.items() if key != way}, "allOf": rest, "nullable": True}
        if "const" in value:
            return {"enum": [value["const"]]}
        return None

    for part in ("paths", "components"):
        document[part] = everywhere(document[part], old)
    all_schemas(document, with_one_example)
    document["openapi"] = "3.0.1"


def with_one_example(schema: Document) -> Document | None:
    if "examples" not in schema:
        return None
    return {key: it for key, it in schema.items() if key != "examples"} | {"example": schema["examples"][0]}


TWISTS: dict[str, Twist] = {
    twist.__name__: twist
    for twist in (
        # What goes by our names comes first; what rewrites all schemas, in the middle; what only 3.0 knows, last.
        references_into_paths,
        parameters_of_paths,
        query_as_an_object,
        one_model_for_both,
        everything_required,
        strict_words,
        fields_and_parameters_more,
        older_names_beside,
        names_that_generated_code_needs,
        envelopes_by_all_of,
        null_first,
        null_by_any_of,
        numbers_that_may_be_digits,
        closed_objects,
        wrapped_references,
        one_of_success_and_failure,
        everything_shared,
        everything_inline,
        errors_by_default,
        any_success,
        several_content_types,
        json_with_a_charset,
        prose_and_extras,
        no_ids_and_tags,
        ids_of_another_kind,
        other_template_names,
        other_component_names,
        names_that_clash,
        security_of_operations,
        key_as_a_parameter,
        operations_more,
        version_in_the_server,
        local_server_too,
        version_as_a_parameter,
        constraints_of_routes,
        openapi_3_0,
    )
}


SAYING_MORE = {
    "any_success",
    "closed_objects",
    "errors_by_default",
    "everything_required",
    "fields_and_parameters_more",
    "names_that_generated_code_needs",
    "numbers_that_may_be_digits",
    "older_names_beside",
    "one_of_success_and_failure",
    "operations_more",
    "prose_and_extras",
    "strict_words",
    "wrapped_references",
}
"""Those that change more than the form: words, statuses, what is promised, or what there is beside."""


def as_json_with_tabs(document: Document) -> bytes:
    return json.dumps(document, indent="\t").encode()


def with_a_mark_and_anchors(document: Document) -> bytes:
    return "\ufeff".encode() + yaml.safe_dump(document, allow_unicode=True).encode()


WRITINGS: dict[str, Callable[[Document], bytes]] = {
    "yaml": dump,
    "json": as_json_with_tabs,
    "anchors": with_a_mark_and_anchors,
}


def twisted(names: Set[str], document: Document) -> Document:
    """Return our API with some twists, in the order of the table."""
    changed = copy.deepcopy(document)
    for name, twist in TWISTS.items():
        if name in names:
            twist(changed)
    return changed
