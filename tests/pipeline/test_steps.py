"""The seven steps to the plain form, and the names of classes, each tested separately."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import REFERENCE
from tools.spec.classes import with_classes
from tools.spec.distinct import distinct
from tools.spec.document import SpecError, operations
from tools.spec.inline import inlined
from tools.spec.loosen import loosened
from tools.spec.media import json_only
from tools.spec.normalise import corrected, for_the_generator, plain
from tools.spec.prune import pruned
from tools.spec.resolve import named, resolved
from tools.spec.unburden import unburdened

Document = dict[str, Any]
FINE = {"200": {"description": "Fine."}}


def of(paths: Document, **more: Any) -> Document:
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "v"}, "paths": paths, **more}


def only(document: Document) -> Document:
    """The one operation of a document."""
    ((_, _, operation),) = operations(document)
    return operation


# 1. References and what stands above an operation


def test_operations_are_made_whole() -> None:
    shared = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    document = of(
        {
            "/a/{id}": {"$ref": "#/components/pathItems/A", "summary": "Of the path"},
            "x-internal": {"get": {}},
        },
        servers=[{"url": "https://a.example/v1"}],
        security=[{"key": []}],
        components={
            "pathItems": {
                "A": {
                    "parameters": [{"$ref": "#/components/parameters/Id"}, {"name": "q", "in": "query", "schema": {}}],
                    "post": {
                        "parameters": [{"name": "q", "in": "query", "required": True, "schema": {}}],
                        "requestBody": {"$ref": "#/components/requestBodies/Alias"},
                        "responses": {"200": {"$ref": "#/components/responses/Ok", "description": "Made."}, 404: {}},
                    },
                }
            },
            "parameters": {"Id": shared},
            "requestBodies": {"Alias": {"$ref": "#/components/requestBodies/B"}, "B": {"required": True}},
            "responses": {"Ok": {"description": "Fine.", "content": {}}},
        },
    )
    before = copy.deepcopy(document)
    assert resolved(document)["x-published"] == document
    assert only(resolved(document)) == {
        "summary": "Of the path",
        "servers": [{"url": "https://a.example/v1"}],
        "security": [{"key": []}],
        "parameters": [shared, {"name": "q", "in": "query", "required": True, "schema": {}}],
        "requestBody": {"required": True},
        "responses": {"200": {"description": "Made.", "content": {}}, "404": {}},
    }
    assert document == before


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"$ref": "#/nowhere"}, r"paths\['/a'\] refers to #/nowhere, which is not there"),
        ({"$ref": "#/paths/~1a"}, r"paths\['/a'\] refers to itself: #/paths/~1a"),
        ({"get": {"responses": {"200": {"$ref": "#/nowhere"}}}}, r"get.responses\['200'\] refers to #/nowhere"),
        ({"get": {"parameters": {}}, "parameters": [{"$ref": "#/x"}]}, r"parameters\[0\] refers to #/x"),
        ({"get": {"parameters": {"a": 1}}}, "parameters holds a mapping"),
        ({"get": []}, "get holds a list"),
        (5, "holds a number"),
    ],
)
def test_what_cannot_be_made_whole_is_named(item: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        resolved(of({"/a": item}))


# 2. Names


def test_what_is_empty_says_nothing() -> None:
    get = {"parameters": None, "tags": "Accounts", "security": {}, "servers": None, "responses": {"418": None}}
    document = of({"/a": {"get": get, "parameters": None}}, servers=None, tags=None)
    assert only(resolved(document)) == {"parameters": [], "responses": {"418": {}}}
    assert only(plain(document))["tags"] == ["a"]


def names(document: Document) -> dict[str, str]:
    return {
        f"{method} {path}": f"{operation['tags'][0]}.{operation['operationId']}"
        for path, method, operation in operations(named(resolved(document)))
    }


def test_our_operations_get_our_names_wherever_they_are() -> None:
    get = {"operationId": "X", "tags": ["Y"], "responses": FINE}
    document = of(
        {
            "/accounts": {"get": get},
            "/datasets/{id}/ingestions/{other}": {"get": get},
            "/v1/accounts/timezones": {"get": get},
        },
        servers=[{"url": "https://a.example/v1"}, {"url": "//{where}/v1/", "variables": {"where": {"default": "b"}}}],
    )
    assert names(document) == {
        "get /v1/accounts": "accounts.list_accounts",
        "get /v1/datasets/{datasetId}/ingestions/{ingestionId}": "datasets.get_ingestion",
        "get /v1/accounts/timezones": "accounts.list_timezones",
    }
    assert named(resolved(document))["servers"] == [{"url": "https://a.example"}, {"url": "//b"}]


@pytest.mark.parametrize(
    ("servers", "path", "schema"),
    [
        ([{"url": "https://a.example/v1"}, {"url": "http://localhost:5000"}], "/accounts", None),
        ([{"url": "http://localhost:5000"}, {"url": "https://a.example/v1"}], "/accounts", None),
        ([{"url": "https://a.example/api"}, {"url": "https://a.example"}], "/v1/accounts", None),
        ([], "/v{version}/accounts", None),
        ([], "/v{version}/accounts", {"type": "string", "default": "1.0"}),
        ([], "/{api-version}/accounts", {"$ref": "#/components/schemas/Version"}),
        ([{"url": "/"}], "/v{version:apiVersion}/accounts", {"enum": ["1", "2"]}),
    ],
)
def test_the_version_is_found_wherever_it_is_told(servers: list[Any], path: str, schema: Any) -> None:
    version = {"name": "api-version" if "api-" in path else "version", "in": "path", "required": True}
    get = {"parameters": [version | ({"schema": schema} if schema else {})] * ("{" in path), "responses": FINE}
    document = of({path: {"get": get}}, servers=servers, components={"schemas": {"Version": {"const": "v1"}}})
    assert names(document) == {"get /v1/accounts": "accounts.list_accounts"}
    assert only(named(resolved(document)))["parameters"] == []


def test_another_version_is_not_taken_for_ours() -> None:
    version = {"name": "version", "in": "path", "required": True, "schema": {"enum": ["2"]}}
    document = of({"/v{version}/accounts": {"get": {"parameters": [version], "responses": FINE}}})
    assert list(names(document)) == ["get /v{version}/accounts"]


def test_constraints_of_routes_are_no_part_of_a_template() -> None:
    number = {"name": "accountId", "in": "path", "required": True, "schema": {"type": "integer"}}
    get = {"parameters": [number], "responses": FINE}
    document = of({"/v1/accounts/{accountId:long:min(1)}/data-sources": {"get": get}, "/v1/{*rest}": {"get": get}})
    assert list(names(document)) == ["get /v1/accounts/{accountId}/data-sources", "get /v1/{rest}"]
    ours, _ = [operation for _, _, operation in operations(named(resolved(document)))]
    assert ours["parameters"] == [number]


def test_others_are_named_by_method_and_path() -> None:
    paths = {
        "/v1/reports": {"get": {"responses": FINE}},
        "/v1/reports/{id}": {"get": {"responses": FINE}, "put": {"responses": FINE}},
        "/v1/reports/item": {"get": {"responses": FINE}},
        "/{any}": {"get": {"responses": FINE}},
    }
    assert names(of(paths)) == {
        "get /v1/reports": "reports.get_v1_reports",
        "get /v1/reports/{id}": "reports.get_v1_reports_item",
        "put /v1/reports/{id}": "reports.put_v1_reports_item",
        "get /v1/reports/item": "reports.get_v1_reports_item_2",
        "get /{any}": "other.get_item",
    }


def test_parameters_follow_the_template() -> None:
    schema = {"type": "string", "format": "uuid"}
    parameters = [{"name": "q", "in": "query"}, {"name": "id", "in": "path", "schema": schema}]
    document = of({"/v1/datasets/{id}/ingestions/{n}": {"get": {"parameters": parameters, "responses": FINE}}})
    assert only(named(resolved(document)))["parameters"] == [
        {"name": "datasetId", "in": "path", "required": True, "schema": schema},
        {"name": "ingestionId", "in": "path", "required": True},
        {"name": "q", "in": "query"},
    ]


def test_one_path_under_two_templates_loses_no_operation() -> None:
    paths = {"/v1/datasets/{a}": {"delete": {"responses": FINE}}, "/v1/datasets/{b}": {"get": {"responses": FINE}}}
    ours = ["delete /v1/datasets/{datasetId}", "get /v1/datasets/{datasetId}"]
    assert list(names(of(paths))) == ours
    assert sorted(names(of(dict(reversed(paths.items()))))) == ours  # whichever comes first
    with pytest.raises(SpecError, match=r"DELETE /v1/datasets/{datasetId} is described twice"):
        named(resolved(of({**paths, "/v1/datasets/{b}": paths["/v1/datasets/{a}"]})))


# 3. Media types


@pytest.mark.parametrize(
    ("content", "kept", "dropped"),
    [
        ({"application/json": 1}, {"application/json": 1}, []),
        (
            {"text/plain": 0, "text/json": 2, "application/json": 1},
            {"application/json": 1},
            ["text/plain", "text/json"],
        ),
        ({"Application/JSON; charset=utf-8": 1}, {"application/json": 1}, []),
        ({"application/*+json": 1, "text/json": 2}, {"application/json": 2}, ["application/*+json"]),
        ({"*/*": 1}, {"application/json": 1}, []),
        ({"application/problem+json": 1, "text/html": 2}, {"application/problem+json": 1}, ["text/html"]),
        ({"text/csv": 1, "text/html": 2}, {"text/csv": 1, "text/html": 2}, []),
        ({}, {}, []),
    ],
)
def test_json_alone_is_kept_where_there_is_json(content: Document, kept: Document, dropped: list[str]) -> None:
    told: list[str] = []
    document = named(resolved(of({"/a": {"post": {"requestBody": {"content": content}, "responses": {"200": {}}}}})))
    assert only(json_only(document, told.append))["requestBody"]["content"] == kept
    assert [line.partition(",")[0] for line in told] == [f"left out: {kind}" for kind in dropped]


# 4. Schemas


def schema_of(schema: Any, report: Any = lambda line: None, **schemas: Any) -> Any:
    """A schema in the plain form."""
    body = {"content": {"application/json": {"schema": schema}}}
    document = of({"/a": {"post": {"requestBody": body, "responses": FINE}}}, components={"schemas": schemas})
    found = inlined(named(resolved(document)), report)
    return only(found)["requestBody"]["content"]["application/json"]["schema"]


A = {"$ref": "#/components/schemas/A"}
TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
DIGITS = r"^-?(?:0|[1-9]\d*)$"


@pytest.mark.parametrize(
    ("schema", "schemas", "plainly"),
    [
        # Types
        ({"type": ["null", "string"]}, {}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True}, {}, {"type": ["string", "null"]}),
        ({"type": ["string"]}, {}, TEXT),
        ({"type": ["integer", "number", "null"]}, {}, {"type": ["number", "null"]}),
        ({"nullable": True}, {}, {}),
        ({"properties": {"a": TEXT}}, {}, {"type": "object", "properties": {"a": TEXT}}),
        ({"items": TEXT}, {}, {"type": "array", "items": TEXT}),
        ({"enum": ["a", None]}, {}, {"type": ["string", "null"], "enum": ["a"]}),
        ({"const": 5}, {}, {"type": "integer", "enum": [5]}),
        ({"type": "objct"}, {}, {}),
        (True, {}, {}),
        ({"type": "object", "properties": {"a": True, "b": False}}, {}, {"type": "object", "properties": {"a": {}}}),
        ({"title": "T", "x-a": 1, "xml": {}, "discriminator": {}, **TEXT}, {}, TEXT),
        ({**TEXT, "example": "a"}, {}, {**TEXT, "examples": ["a"]}),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {}, {"type": "number", "exclusiveMinimum": 1}),
        ({"type": "object", "patternProperties": {"^x": TEXT}}, {}, {"type": "object", "additionalProperties": True}),
        # Numbers that may also be text with digits, as .NET describes each
        ({"type": ["integer", "string"], "pattern": DIGITS, "format": "int32"}, {}, {**WHOLE, "format": "int32"}),
        ({"type": ["null", "string", "number"], "pattern": r"^-?\d+(\.\d+)?$"}, {}, {"type": ["number", "null"]}),
        (
            {"pattern": DIGITS, "format": "int64", "nullable": True},
            {},
            {"type": ["integer", "null"], "format": "int64"},
        ),
        ({"format": "double"}, {}, {"type": "number", "format": "double"}),
        (
            {"allOf": [A], "format": "int32"},
            {"A": {"pattern": DIGITS, "format": "int32"}},
            {**WHOLE, "format": "int32"},
        ),
        ({**TEXT, "pattern": DIGITS}, {}, {**TEXT, "pattern": DIGITS}),
        ({"type": ["integer", "string"]}, {}, {"type": ["integer", "string"]}),
        (
            {"type": ["integer", "string"], "pattern": "^[0-9a-f]+$"},
            {},
            {"type": ["integer", "string"], "pattern": "^[0-9a-f]+$"},
        ),
        ({"type": ["integer", "string"], "pattern": "("}, {}, {"type": ["integer", "string"], "pattern": "("}),
        # Anchors
        ({"$ref": "#a"}, {"A": {**TEXT, "$anchor": "a"}}, TEXT),
        # Null by a choice
        ({"anyOf": [TEXT, {"type": "null"}]}, {}, {"type": ["string", "null"]}),
        (
            {"oneOf": [{"type": "null"}, A], "description": "d"},
            {"A": TEXT},
            {"type": ["string", "null"], "description": "d"},
        ),
        ({"oneOf": [{"enum": [None]}, A]}, {"A": TEXT}, {"type": ["string", "null"]}),
        ({"nullable": True, "oneOf": [A]}, {"A": TEXT}, {"type": ["string", "null"]}),
        ({"nullable": True, "allOf": [A]}, {"A": TEXT}, {"type": ["string", "null"]}),
        ({"allOf": [A]}, {"A": {"type": ["string", "null"]}}, {"type": ["string", "null"]}),
        # Choices
        ({"anyOf": [TEXT, {"type": "integer"}, TEXT]}, {}, {"anyOf": [TEXT, {"type": "integer"}]}),
        (
            {"oneOf": [A, {"type": "integer"}, {"type": "null"}]},
            {"A": TEXT},
            {"anyOf": [TEXT, {"type": "integer"}, {"type": "null"}]},
        ),
        (
            {"anyOf": [{"anyOf": [TEXT, {"type": "integer"}]}, {"type": "boolean"}]},
            {},
            {"anyOf": [TEXT, {"type": "integer"}, {"type": "boolean"}]},
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {},
            {"type": "object", "properties": {"a": TEXT}},
        ),
        # References and combinations
        (A, {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/C"}, "C": TEXT}, TEXT),
        ({**A, "description": "here"}, {"A": {**TEXT, "description": "there"}}, {**TEXT, "description": "here"}),
        ({"allOf": [A, {"description": "there"}]}, {"A": TEXT}, {**TEXT, "description": "there"}),
        (
            {"allOf": [A, {"type": "object", "properties": {"b": TEXT}, "required": ["a", "b"]}]},
            {"A": {"type": "object", "properties": {"a": TEXT}}},
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a", "b"]},
        ),
        (
            {"allOf": [A, {"properties": {"a": {"description": "d"}}}]},
            {"A": {"properties": {"a": {**TEXT, "maxLength": 5}}}},
            {"type": "object", "properties": {"a": {**TEXT, "description": "d", "maxLength": 5}}},
        ),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, {}, {"type": "integer"}),
        ({"allOf": [TEXT, {"type": "integer"}]}, {}, {"type": ["integer", "string"]}),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, {}, {**TEXT, "enum": ["b"]}),
        ({"allOf": [{"maxLength": 9, **TEXT}, {"maxLength": 5}]}, {}, {**TEXT, "maxLength": 5}),
        (
            {"allOf": [{"anyOf": [TEXT, {"type": "integer"}]}, {"description": "d"}]},
            {},
            {"anyOf": [TEXT, {"type": "integer"}], "description": "d"},
        ),
        (
            {"allOf": [{"properties": {"a": TEXT}, "additionalProperties": False}] * 2},
            {},
            {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False},
        ),
        (
            {"allOf": [{"properties": {"a": TEXT}, "additionalProperties": False}, {"properties": {"b": TEXT}}]},
            {},
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}},
        ),
    ],
)
def test_schemas_in_the_plain_form(schema: Any, schemas: Document, plainly: Document) -> None:
    assert schema_of(schema, **schemas) == plainly


def test_what_is_plain_stays_as_it_is() -> None:
    document = plain(REFERENCE)
    for _, _, operation in operations(document):
        for answer in operation["responses"].values():
            schema = answer["content"]["application/json"]["schema"]
            assert schema_of(schema) == schema


def test_required_names_that_are_no_properties_are_left_out_and_told() -> None:
    told: list[str] = []
    found = schema_of({"type": "object", "properties": {"a": TEXT}, "required": ["b", "a"]}, told.append)
    assert found == {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}
    assert told == ["left out: paths['/a'].post.requestBody requires b, which is none of its properties"]


def test_a_schema_that_holds_itself_is_kept_by_reference() -> None:
    body = {"content": {"application/json": {"schema": {"allOf": [A, {"properties": {"more": TEXT}}]}}}}
    node = {"type": "object", "properties": {"up": {"oneOf": [A, {"type": "null"}]}, "down": {"items": A}}}
    document = of({"/a": {"post": {"requestBody": body, "responses": FINE}}}, components={"schemas": {"A": node}})
    found = inlined(named(resolved(document)), lambda line: None)
    kept = {"up": {"anyOf": [A, {"type": "null"}]}, "down": {"type": "array", "items": A}}
    assert found["components"] == {"schemas": {"A": {"type": "object", "properties": kept}}}
    schema = only(found)["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"type": "object", "properties": {**kept, "more": TEXT}}


def test_what_refers_to_a_path_means_the_path_as_it_was_published() -> None:
    """Whatever becomes of its template, its version and its media types on the way."""
    answer = {"200": {"content": {"application/json; charset=utf-8": {"schema": {"properties": {"a": TEXT}}}}}}
    place = "#/paths/~1datasets~1{id}/delete/responses/200/content/application~1json; charset=utf-8/schema"
    body = {"content": {"application/json": {"schema": {"$ref": place}}}}
    paths = {
        "/datasets/{id}": {"delete": {"responses": answer}},
        "/data-sources": {"post": {"requestBody": body, "responses": answer}},
    }
    found = plain(of(paths, servers=[{"url": "https://a.example/v1"}]))
    schema = found["paths"]["/v1/data-sources"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"type": "object", "properties": {"a": TEXT}}
    assert set(found) == {"openapi", "info", "servers", "paths"}


def test_schemas_that_nothing_refers_to_are_named() -> None:
    told: list[str] = []
    schema_of(A, told.append, A={"properties": {"b": {"$ref": "#/components/schemas/B"}}}, B=TEXT, C=TEXT, D=TEXT)
    assert told == ["left out: schemas that nothing refers to (C, D)"]


@pytest.mark.slow
def test_schemas_without_end_are_refused() -> None:
    twice = {
        f"S{n}": {
            "properties": {
                "a": {"$ref": f"#/components/schemas/S{n + 1}"},
                "b": {"$ref": f"#/components/schemas/S{n + 1}"},
            }
        }
        for n in range(40)
    }
    with pytest.raises(SpecError, match="more than 50,000 schemas"):
        schema_of({"$ref": "#/components/schemas/S0"}, **twice, S40=TEXT)


# 5. Burdens


def test_what_nobody_means_goes() -> None:
    parameters = [
        {"name": "Content-Type", "in": "header", "required": True, "schema": TEXT},
        {"name": "Accept", "in": "header", "schema": TEXT},
        {"name": "X-API-Key", "in": "header", "required": True, "schema": TEXT},
        {"name": "X-Trace", "in": "header", "schema": TEXT},
        {"name": "page", "in": "query", "description": "The page.", "schema": {"type": "integer", "default": 1}},
    ]
    inner = {"type": "object", "properties": {"deep": {**TEXT, "default": "x"}}}
    body = {"content": {"application/json": {"schema": {"type": "array", "items": inner}}}}
    document = of({"/a": {"post": {"parameters": parameters, "requestBody": body, "responses": FINE}}})
    found = unburdened(inlined(named(resolved(document)), lambda line: None))
    operation = only(found)
    assert [each["name"] for each in operation["parameters"]] == ["X-Trace", "page"]
    assert operation["parameters"][1]["description"] == "The page. By default 1."
    assert operation["parameters"][1]["schema"] == {"type": "integer"}
    deep = operation["requestBody"]["content"]["application/json"]["schema"]["items"]["properties"]["deep"]
    assert deep == {**TEXT, "description": "By default x."}
    assert operation["security"] == [{"x-api-key": []}]
    assert found["components"]["securitySchemes"]["x-api-key"] == {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
    }


def test_fields_that_are_only_read_or_only_written_stand_where_they_belong() -> None:
    one = {
        "type": "object",
        "required": ["id", "secret", "title"],
        "properties": {
            "id": {**TEXT, "readOnly": True},
            "secret": {"oneOf": [{**TEXT, "writeOnly": True}, {"type": "null"}]},
            "title": TEXT,
            "parts": {"type": "array", "items": {"type": "object", "properties": {"n": {**TEXT, "readOnly": True}}}},
        },
    }
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/One"}}}}
    paths = {"/a": {"post": {"requestBody": body, "responses": {"200": {"description": "", **body}}}}}
    document = of(paths, components={"schemas": {"One": one}})
    operation = only(unburdened(inlined(named(resolved(document)), lambda line: None)))
    sent = operation["requestBody"]["content"]["application/json"]["schema"]
    assert (list(sent["properties"]), sent["required"]) == (["secret", "title", "parts"], ["secret", "title"])
    assert sent["properties"]["parts"]["items"]["properties"] == {}
    read = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert (list(read["properties"]), read["required"]) == (["id", "title", "parts"], ["id", "title"])


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ({}, ["page", "size"]),
        ({"style": "form", "explode": True, "required": True}, ["page", "size"]),
        ({"explode": False}, ["paging"]),
        ({"style": "deepObject"}, ["paging"]),
        ({"in": "header"}, ["paging"]),
    ],
)
def test_an_object_in_the_query_is_the_parameters_that_it_is_sent_as(how: Document, names: list[str]) -> None:
    inner = {"page": {"type": "integer", "default": 1, "description": "The page."}, "size": {"type": "integer"}}
    paging = {"name": "paging", "in": "query", **how}
    paging["schema"] = {"type": "object", "properties": inner, "required": ["size"]}
    document = of({"/a": {"get": {"parameters": [paging], "responses": FINE}}})
    found = only(unburdened(inlined(named(resolved(document)), lambda line: None)))["parameters"]
    assert [each["name"] for each in found] == names
    if names != ["paging"]:
        assert [each["required"] for each in found] == [False, "required" in how]
        assert (found[0]["schema"], found[0]["description"]) == (WHOLE, "The page. By default 1.")


@pytest.mark.parametrize(
    ("schema", "plainly"),
    [({"type": ["integer", "null"]}, TEXT), ({"type": "integer"}, WHOLE), (TEXT, TEXT), ({}, TEXT), ([], TEXT)],
)
def test_a_number_as_json_text_is_a_number(schema: Any, plainly: Document) -> None:
    media = {"application/json": {"schema": schema} if schema != [] else None}
    found = {"name": "page", "in": "query", "content": media}
    document = of({"/a": {"get": {"parameters": [found], "responses": FINE}}})
    assert only(inlined(named(resolved(document)), lambda line: None))["parameters"][0]["schema"] == plainly


# 6. Types


def loose(schema: Document, where: str = "answer") -> Document:
    body = {"requestBody": {"content": {"application/json": {"schema": schema}}}} if where == "request" else {}
    answer = {"200": {"content": {"application/json": {"schema": schema}}}}
    found = loosened(of({"/a": {"post": {"parameters": [], "responses": answer, **body}}}))
    holder = only(found)["requestBody"] if body else only(found)["responses"]["200"]
    return holder["content"]["application/json"]["schema"]  # type: ignore[no-any-return]


def test_answers_may_lack_anything_and_the_words_say_what_was_promised() -> None:
    schema = {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {**TEXT, "enum": ["a", "b"], "description": "The kind."},
            "made": {"type": ["string", "null"], "format": "date-time", "examples": ["2025-10-01"]},
            "tags": {"type": "array", "items": {**TEXT, "description": "A tag.", "maxLength": 9}, "default": []},
        },
        "additionalProperties": False,
    }
    assert loose(schema) == {
        "type": "object",
        "description": "Described as no other fields.",
        "properties": {
            "kind": {"type": ["string", "null"], "description": "The kind. Described as required; one of a, b."},
            "made": {
                "type": ["string", "null"],
                "description": "Described as null at times; format date-time.",
                "example": "2025-10-01",
            },
            "tags": {
                "type": ["array", "null"],
                "items": {**TEXT, "description": "A tag. Described as maxLength 9."},
                "description": "Each: A tag. Described as maxLength 9. Described as default [].",
            },
        },
    }


def test_requests_keep_what_is_required_and_lose_closed_lists() -> None:
    schema = {
        "type": "object",
        "required": ["zone"],
        "properties": {"zone": {**TEXT, "enum": ["UTC"]}, "id": {**TEXT, "format": "uuid"}},
    }
    assert loose(schema, "request") == {
        "type": "object",
        "required": ["zone"],
        "properties": {
            "zone": {**TEXT, "description": "Described as one of UTC."},
            "id": {**TEXT, "description": "Described as format uuid."},
        },
    }


def test_a_choice_of_objects_is_one_that_may_lack_things() -> None:
    one = {"type": "object", "properties": {"id": TEXT, "a": TEXT}, "required": ["id", "a"]}
    other = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    assert loose({"anyOf": [one, other]}, "request") == {
        "type": "object",
        "properties": {"id": {"anyOf": [TEXT, {"type": "integer"}]}, "a": TEXT},
        "required": ["id"],
    }


def test_a_file_stays_a_file() -> None:
    assert loose({**TEXT, "format": "binary"}, "request")["format"] == "binary"


# 7. What is left


def test_nothing_is_left_but_what_a_generator_can_use() -> None:
    told: list[str] = []
    operation = {
        "operationId": "a",
        "tags": ["ours", "Theirs"],
        "summary": "S",
        "description": "D.",
        "deprecated": True,
        "security": [{"any": []}],
        "callbacks": {},
        "parameters": [
            {"name": "z", "in": "query", "required": False, "schema": TEXT, "description": "Last."},
            {"name": "a", "in": "query", "required": False, "schema": TEXT, "deprecated": True},
            {"name": "id", "in": "path", "required": True, "schema": TEXT},
        ],
        "requestBody": {"required": True, "description": "B.", "content": {"application/json": {"schema": {}}}},
        "responses": {"404": {"description": "No."}, "200": {"description": "Yes.", "content": {}}},
    }
    document = of({"/a": {"post": operation}}, webhooks={"done": {}}, components={"schemas": {"Unused": {}}}, tags=[])
    assert pruned(document, told.append) == {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "v"},
        "paths": {
            "/a": {
                "post": {
                    "summary": "S",
                    "description": "D. Deprecated. Answers: 200: Yes. 404: No.",
                    "operationId": "a",
                    "tags": ["ours"],
                    "security": [{"key": []}],
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": TEXT},
                        {
                            "name": "a",
                            "in": "query",
                            "required": False,
                            "schema": {**TEXT, "description": "Deprecated."},
                        },
                        {"name": "z", "in": "query", "required": False, "schema": {**TEXT, "description": "Last."}},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"description": "B."}}},
                    },
                    "responses": {
                        "200": {"description": "", "content": {}},
                        "404": {"description": "", "content": {}},
                    },
                }
            }
        },
    }
    assert told == ["left out: webhooks (done)"]


def parameter(name: str, where: str = "query", required: bool = False) -> Document:
    return {"name": name, "in": where, "required": required, "schema": TEXT}


@pytest.mark.parametrize(
    ("parameters", "kept", "told"),
    [
        (["page_size", "pageSize"], ["pageSize"], {"page_size": "which has the same name in Python as pageSize"}),
        (["Page", "page"], ["page"], {"Page": "which has the same name in Python as page"}),
        (
            ["headers", "Quote", "x"],
            ["x"],
            dict.fromkeys(("headers", "Quote"), "a name that generated code uses itself"),
        ),
        ([parameter("a_b", required=True), "aB"], ["a_b"], {"aB": "which has the same name in Python as a_b"}),
        (
            [parameter("aB"), parameter("a-b", required=True)],
            ["a-b"],
            {"aB": "which has the same name in Python as a-b"},
        ),
        (["id", parameter("id", "path", True)], ["id"], {"id": "which has the same name in Python as id"}),
        ([parameter("a_b", required=True), parameter("aB", required=True)], ["a_b", "aB"], {}),
    ],
)
def test_no_parameter_takes_the_name_of_another(parameters: list[Any], kept: list[str], told: dict[str, str]) -> None:
    said: list[str] = []
    given = [parameter(each) if isinstance(each, str) else each for each in parameters]
    document = of({"/a/{id}": {"get": {"parameters": given, "responses": {}}}})
    found = only(distinct(document, said.append))["parameters"]
    assert [each["name"] for each in found] == kept
    assert all(each["required"] for each in found if each["in"] == "path")
    assert said == [f"left out: paths['/a/{{id}}'].get.parameters[{name!r}], {why}" for name, why in told.items()]


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["data_source_id", "dataSourceId"], ["dataSourceId"]),
        (["Id", "id", "id_"], ["Id", "id", "id_"]),  # as they are written, and id stays id
        (["toDict", "additionalProperties", "d", "items"], ["items"]),
    ],
)
def test_no_field_takes_the_name_of_another(names: list[str], kept: list[str]) -> None:
    said: list[str] = []
    schema = {"type": "object", "properties": dict.fromkeys(names, TEXT)}
    inner = {
        "anyOf": [{"type": "array", "items": {"type": "object", "additionalProperties": schema}}, {"type": "null"}]
    }
    body = {"content": {"application/json": {"schema": inner}}}
    document = of(
        {"/a": {"post": {"parameters": [], "requestBody": body, "responses": {"200": body}}}},
        components={"schemas": {"Itself": schema}},
    )
    found = distinct(document, said.append)
    for part in (only(found)["requestBody"], only(found)["responses"]["200"]):
        each = part["content"]["application/json"]["schema"]["anyOf"][0]["items"]["additionalProperties"]
        assert list(each["properties"]) == kept
    assert list(found["components"]["schemas"]["Itself"]["properties"]) == kept
    assert len(said) == 3 * (len(names) - len(kept))
    assert all(line.startswith("left out: ") for line in said)


def test_a_field_that_must_be_sent_stays() -> None:
    schema = {"type": "object", "properties": {"a-b": TEXT, "aB": TEXT, "d": TEXT}, "required": ["a-b", "d"]}
    body = {"content": {"application/json": {"schema": schema}}}
    document = of({"/a": {"post": {"parameters": [], "requestBody": body, "responses": {}}}})
    found = only(distinct(document, lambda line: None))["requestBody"]["content"]["application/json"]["schema"]
    assert list(found["properties"]) == ["a-b", "d"]


# Classes


def classes(**answers: Document) -> dict[str, Any]:
    """The components of an operation with some answers."""
    content = {
        status.strip("_"): {"content": {"application/json": {"schema": schema}}} for status, schema in answers.items()
    }
    operation = {"operationId": "do_it", "parameters": [], "responses": content}
    found: dict[str, Any] = with_classes(of({"/a": {"get": operation}}))["components"]["schemas"]
    return found


def test_classes_are_named_by_where_they_stand() -> None:
    inner = {"type": ["object", "null"], "description": "d", "properties": {"x": TEXT}}
    listed = {"type": "array", "items": {"type": "object", "additionalProperties": inner}}
    found = classes(_200={"type": "object", "properties": {"some_list": listed, "the-one": inner}})
    assert sorted(found) == [
        "DoItResponse200",
        "DoItResponse200SomeListItem",
        "DoItResponse200SomeListItemValue",
        "DoItResponse200TheOne",
    ]
    one = {"$ref": "#/components/schemas/DoItResponse200TheOne"}
    assert found["DoItResponse200"]["properties"]["the-one"] == {"anyOf": [one, {"type": "null"}], "description": "d"}


def test_names_that_would_fold_together_are_told_apart() -> None:
    properties = {name: {"type": "object", "properties": {}} for name in ("a_b", "aB", "AB")}
    found = classes(_200={"type": "object", "properties": properties})
    assert sorted(found) == ["DoItResponse200", "DoItResponse200AB", "DoItResponse200AB2", "DoItResponse200AB3"]


def test_refusals_that_are_the_same_on_the_wire_share_a_class() -> None:
    refusal = {"type": "object", "properties": {"code": TEXT}}
    other = {"type": "object", "properties": {"reason": TEXT}}
    code = {**TEXT, "description": "The code.", "example": "forbidden"}
    worded = {**refusal, "description": "Not allowed.", "properties": {"code": code}}
    promised = {**refusal, "properties": {"code": {**TEXT, "description": "Described as required."}}}
    found = classes(_200=refusal, _400=refusal, _401=worded, _403=other, _404=promised)
    assert sorted(found) == ["DoItResponse200", "DoItResponse403", "DoItResponse404", "ErrorResponse"]


@pytest.mark.parametrize("status", ["200", "2XX", "default"])
def test_what_grants_is_called_200_however_it_is_described(status: str) -> None:
    assert list(classes(**{f"_{status}": {"type": "object", "properties": {}}})) == ["DoItResponse200"]


def test_one_object_among_other_things_has_the_name_of_all() -> None:
    one = {"type": "object", "properties": {}}
    assert list(classes(_200={"anyOf": [one, {"type": "array", "items": TEXT}, {"type": "null"}]})) == [
        "DoItResponse200"
    ]
    two = {"anyOf": [one, {**one, "required": []}]}
    assert list(classes(_200=two)) == ["DoItResponse200Type0", "DoItResponse200Type1"]


def test_what_no_class_can_stand_for_is_told() -> None:
    tree = {"$ref": "#/components/schemas/Tree"}
    answer = {"content": {"application/json": {"schema": {"type": "object", "properties": {"t": tree}}}}}
    operation = {"operationId": "do_it", "parameters": [], "responses": {"200": answer}}
    document = of({"/a": {"get": operation}}, components={"schemas": {"Tree": {"type": "array", "items": tree}}})
    told: list[str] = []
    found = with_classes(document, told.append)["components"]["schemas"]
    assert found["DoItResponse200"]["properties"] == {"t": {"type": "array", "items": {}}}
    assert told == ["left out: what Tree holds, a list of itself, which no class can stand for"]


# All of them

trees = st.recursive(
    st.sampled_from(
        [{"type": "string"}, {"type": "integer", "nullable": True}, {}, {"enum": ["a", None]}, {"const": 1}]
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda fields, required: {"type": "object", "properties": fields, "required": required},
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            st.lists(st.sampled_from("abcd"), max_size=2),
        ),
        st.builds(
            lambda way, parts: {way: parts},
            st.sampled_from(["allOf", "anyOf", "oneOf"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda part: {"allOf": [part], "nullable": True, "description": "d"}, inner),
    ),
    max_leaves=8,
)


@given(trees)
def test_the_plain_form_is_plain_and_stays_so(schema: Document) -> None:
    before = copy.deepcopy(schema)
    found = schema_of(schema)
    assert schema == before
    assert schema_of(found) == found
    assert_plain(found)


def assert_plain(schema: Document) -> None:
    assert not schema.keys() & {"allOf", "oneOf", "nullable", "const", "title"}
    assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()
    assert len(schema.get("anyOf", "two")) > 1
    assert all("anyOf" not in each for each in schema.get("anyOf", ()))
    for each in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        assert_plain(each)
    if "items" in schema:
        assert_plain(schema["items"])


def test_no_step_changes_what_it_was_given() -> None:
    document = copy.deepcopy(REFERENCE)
    for_the_generator(corrected(document, {"actions": []}))
    assert document == REFERENCE
    first, again = plain(document), copy.deepcopy(plain(document))
    for_the_generator(first)
    assert first == again
