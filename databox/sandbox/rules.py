"""How the API treats values: decisions without state."""

import json
from collections.abc import Sequence
from typing import Any, cast

from databox.sandbox import strict
from databox.sandbox.catalogue import is_time_zone
from databox.sandbox.refusal import Refusal

__all__ = [
    "key_of",
    "optional_number",
    "parse",
    "primary_keys",
    "problem_of",
    "records",
    "required_number",
    "required_text",
    "time_zone",
    "whole_number",
]

MAX_RECORDS = 100
INT64 = range(-(2**63), 2**63)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request's body."""
    try:
        value: object = strict.loaded(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The request body must be a JSON object.", code="invalid_input")
    return cast("dict[str, Any]", value)


def whole_number(text: str, field: str, *, least: int = 1, most: int = INT64[-1]) -> int:
    """Return a number from a path or query."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        message = f"'{field}' must be a whole number from {least} to {most}."
        raise Refusal(400, message, code="invalid_field_value", field=field)
    return int(text)


def required_text(body: dict[str, Any], field: str) -> str:
    """Return a required text."""
    return _text(_required(body, field), field)


def required_number(body: dict[str, Any], field: str) -> int:
    """Return a required 64-bit integer."""
    return _number(_required(body, field), field)


def optional_number(body: dict[str, Any], field: str, default: int) -> int:
    """Return a 64-bit integer, or the default if it is missing; null is an error."""
    return _number(body[field], field) if field in body else default


def time_zone(body: dict[str, Any]) -> str:
    """Return the requested time zone, or UTC; null is an error."""
    if "timezone" not in body:
        return "UTC"
    name = _text(body["timezone"], "timezone")
    if not is_time_zone(name):
        message = "'timezone' must be the name of an IANA time zone."
        raise Refusal(400, message, code="invalid_field_value", field="timezone")
    return name


def primary_keys(body: dict[str, Any]) -> list[str]:
    """Return the names of the requested key columns."""
    value = body.get("primaryKeys")
    if value is None:
        return []
    names = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(name, str) and name for name in names):
        message = "'primaryKeys' must be a list of column names."
        raise Refusal(400, message, code="invalid_field_value", field="primaryKeys")
    return cast("list[str]", names)


def records(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an ingestion."""
    value = _required(body, "records")
    found = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(record, dict) for record in found):
        raise Refusal(400, "'records' must be a list of objects.", code="schema_mismatch", field="records")
    if not 1 <= len(found) <= MAX_RECORDS:
        message = f"'records' must contain 1 to {MAX_RECORDS} records, not {len(found)}."
        raise Refusal(400, message, code="invalid_field_value", field="records")
    return cast("list[dict[str, Any]]", found)


def problem_of(record: dict[str, Any], keys: Sequence[str]) -> str | None:
    """Return why a single record is rejected, or None if it is not."""
    for column, value in record.items():
        if isinstance(value, dict | list):
            return f"Column '{column}' contains a nested value."
    missing = [key for key in keys if record.get(key) is None]
    if missing:
        return f"Primary key column '{missing[0]}' has no value."
    return None if record else "The record has no columns."


def key_of(record: dict[str, Any], keys: Sequence[str]) -> str:
    """Return the key of a record; 1 and 1.0 are the same JSON number."""
    values = [record[key] for key in keys]
    plain = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return json.dumps(plain, ensure_ascii=False)


def _required(body: dict[str, Any], field: str) -> Any:
    value = body.get(field)
    if value is None:
        raise Refusal(400, f"The '{field}' field is required.", code="missing_required_field", field=field)
    return value


def _number(value: Any, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in INT64:
        raise Refusal(400, f"'{field}' must be a 64-bit integer.", code="invalid_field_value", field=field)
    return value


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise Refusal(400, f"'{field}' must be a string.", code="invalid_field_value", field=field)
    return value
