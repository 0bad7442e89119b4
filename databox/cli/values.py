"""Values of options: their words to what the library takes."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from databox import OnAmbiguous, OnRefusal, Verify
from databox.limit.rate import DOCUMENTED, RateLimit

__all__ = [
    "ON_AMBIGUOUS",
    "ON_REFUSAL",
    "VERIFY",
    "Ambiguity",
    "Format",
    "Keys",
    "Misfit",
    "Refusal",
    "Verification",
    "columns_of",
    "delimiter_of",
    "header_of",
    "keys_of",
    "params_of",
    "query_of",
    "share_of",
]

Keys = Annotated[
    list[str] | None,
    typer.Option("--primary-keys", metavar="COLUMN", help="A column that identifies a row; repeat it, or give a,b."),
]


class Format(StrEnum):
    """What a file may be."""

    csv = "csv"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"
    excel = "excel"


class Verification(StrEnum):
    """How to learn what became of the accepted rows."""

    counts = "counts"
    status = "status"
    none = "none"


class Refusal(StrEnum):
    """What to do with a batch that is refused."""

    isolate = "isolate"
    report = "report"


class Ambiguity(StrEnum):
    """What to do with a batch whose answer was lost."""

    auto = "auto"
    resend = "resend"
    report = "report"


class Misfit(StrEnum):
    """What to do with a value that is not what its column is."""

    stop = "raise"
    null = "null"


VERIFY: dict[Verification, Verify | None] = {
    Verification.counts: "counts",
    Verification.status: "status",
    Verification.none: None,
}
ON_AMBIGUOUS: dict[Ambiguity, OnAmbiguous] = {
    Ambiguity.auto: "auto",
    Ambiguity.resend: "resend",
    Ambiguity.report: "report",
}
ON_REFUSAL: dict[Refusal, OnRefusal] = {Refusal.isolate: "isolate", Refusal.report: "report"}

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}


def keys_of(values: Sequence[str] | None) -> list[str] | None:
    """Return the names of key columns, given one by one or with commas between them."""
    names = [name.strip() for value in values or () for name in value.split(",")]
    if not all(names):
        raise typer.BadParameter("a name is empty.", param_hint="--primary-keys")
    return names or None


def columns_of(values: Sequence[str] | None) -> dict[str, str]:
    """Return the declared types of columns, given as name=type."""
    declared: dict[str, str] = {}
    for value in values or ():
        name, equals, kind = value.rpartition("=")
        if not equals or not name or not kind:
            raise typer.BadParameter(f"{value!r} is not like amount=number.", param_hint="--column")
        if name in declared:
            raise typer.BadParameter(f"{name!r} is declared twice.", param_hint="--column")
        declared[name] = kind
    return declared


def delimiter_of(value: str | None) -> str | None:
    """Return a delimiter, given as itself or in a word."""
    return value if value is None else _DELIMITERS.get(value.lower(), value)


def header_of(value: str | None) -> list[str] | None:
    """Return column names, given with commas between them."""
    return None if value is None else [name.strip() for name in value.split(",")]


def query_of(value: str) -> str:
    """Return the text of a query, given as itself or as @ and the name of a file."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{value[1:]} is not UTF-8. Save it as UTF-8.", param_hint="--query") from None


def params_of(values: Sequence[str] | None) -> dict[str, str] | None:
    """Return the parameters of a query, given as name=value."""
    params: dict[str, str] = {}
    for value in values or ():
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{value!r} is not like since=2025-12-31.", param_hint="--param")
        if name in params:
            raise typer.BadParameter(f"{name!r} is given twice.", param_hint="--param")
        params[name] = text
    return params or None


def share_of(value: str | None) -> RateLimit:
    """Return the documented limit, or a share of it that is given as 0.5 or 50%."""
    if value is None:
        return DOCUMENTED
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise typer.BadParameter(f"{value!r} is not a share such as 0.5 or 50%.", param_hint="--limit-share")
    per_second, per_hour = int(DOCUMENTED.per_second * share), int(DOCUMENTED.per_hour * share)
    return RateLimit(max(1, per_second), max(1, per_hour))
