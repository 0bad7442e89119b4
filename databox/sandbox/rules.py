"""What the API makes of values: decisions without state."""

import json
import zoneinfo
from collections.abc import Sequence
from typing import Any, cast

from databox.sandbox.refusal import Refusal

__all__ = ["ACCOUNTS", "MAX_PAGE_SIZE", "MAX_RECORDS", "TIME_ZONES", "fault_of", "key_of", "parse", "whole_number"]

MAX_RECORDS = 100
MAX_PAGE_SIZE = 1000

ACCOUNTS: tuple[dict[str, Any], ...] = (
    {"id": 123456, "name": "Acme Corp", "accountType": "organization"},
    {"id": 123457, "name": "Bright Agency", "accountType": "agency"},
    {"id": 123458, "name": "Corner Shop", "accountType": "client"},
)
"""The accounts of the sandbox's key; the first is its own."""

TIME_ZONES = (
    ("UTC-8", "America/Los_Angeles"),
    ("UTC-5", "America/New_York"),
    ("UTC-3", "America/Sao_Paulo"),
    ("UTC+0", "Europe/London"),
    ("UTC+0", "UTC"),
    ("UTC+1", "Europe/Berlin"),
    ("UTC+1", "Europe/Ljubljana"),
    ("UTC+2", "Africa/Johannesburg"),
    ("UTC+5:30", "Asia/Kolkata"),
    ("UTC+8", "Asia/Singapore"),
    ("UTC+9", "Asia/Tokyo"),
    ("UTC+10", "Australia/Sydney"),
)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request's body."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The request body must be a JSON object.", code="invalid_input")
    return cast("dict[str, Any]", value)


def whole_number(text: str, field: str, *, least: int = 1, most: int = 2**63 - 1) -> int:
    """Return a number from a path or query."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
        raise Refusal(
            400,
            f"'{field}' must be a whole number from {least} to {most}.",
            code="invalid_field_value",
            field=field,
        )
    return int(text)


def required_text(body: dict[str, Any], field: str) -> str:
    """Return a text that must be there."""
    if body.get(field) is None:
        raise Refusal(400, f"The '{field}' field is required.", code="missing_required_field", field=field)
    return _text(body[field], field)


def required_number(body: dict[str, Any], field: str) -> int:
    """Return a whole number that must be there."""
    value = body.get(field)
    if value is None:
        raise Refusal(400, f"The '{field}' field is required.", code="missing_required_field", field=field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal(400, f"'{field}' must be an integer.", code="invalid_field_value", field=field)
    return value


def time_zone(body: dict[str, Any]) -> str:
    """Return the time zone asked for, or UTC."""
    if body.get("timezone") is None:
        return "UTC"
    name = _text(body["timezone"], "timezone")
    if name not in {zone for _, zone in TIME_ZONES}:
        try:
            zoneinfo.ZoneInfo(name)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            message = f"'{name}' is not an IANA time zone."
            raise Refusal(400, message, code="invalid_field_value", field="timezone") from None
    return name


def primary_keys(body: dict[str, Any]) -> list[str]:
    """Return the names of the key columns asked for."""
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
    value = body.get("records")
    if value is None:
        raise Refusal(400, "The 'records' field is required.", code="missing_required_field", field="records")
    found = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(record, dict) for record in found):
        raise Refusal(400, "'records' must be a list of objects.", code="schema_mismatch", field="records")
    if not 1 <= len(found) <= MAX_RECORDS:
        message = f"'records' must hold 1 to {MAX_RECORDS} records, not {len(found)}."
        raise Refusal(400, message, code="invalid_field_value", field="records")
    return cast("list[dict[str, Any]]", found)


def fault_of(record: dict[str, Any], keys: Sequence[str]) -> str | None:
    """Return why a single record is rejected, or None when it is not."""
    for column, value in record.items():
        if isinstance(value, dict | list):
            return f"Column '{column}' holds a nested value."
    missing = [key for key in keys if record.get(key) is None]
    if missing:
        return f"Primary key column '{missing[0]}' has no value."
    return None if record else "The record has no columns."


def key_of(record: dict[str, Any], keys: Sequence[str]) -> str:
    """Return what identifies a record; 1 and 1.0 are one JSON number."""
    values = [record[key] for key in keys]
    plain = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return json.dumps(plain, ensure_ascii=False)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise Refusal(400, f"'{field}' must be a string.", code="invalid_field_value", field=field)
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
