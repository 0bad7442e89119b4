"""Detects a file's format by its name, its first bytes, or the beginning of its text."""

from pathlib import PurePath
from typing import Literal, get_args

from databox.files.documents import holds_lines
from databox.files.source import Source
from databox.files.text import head_text

__all__ = ["FORMATS", "Format", "format_by_content", "format_by_name"]

Format = Literal["csv", "tsv", "json", "jsonl", "parquet", "excel"]
FORMATS: tuple[Format, ...] = get_args(Format)

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PARTS = (b"[Content_Types].xml", b"docProps/", b"xl/", b"_rels/", b"opendocument.spreadsheet")
"""The names of the first entries of a workbook's archive."""
_OTHER_PARTS = (b"word/", b"ppt/")


def format_by_name(source: Source) -> Format | None:
    """Return the format by a file's name, otherwise by its first bytes, or None."""
    path = PurePath(source.name)
    if path.suffix.lower() in {".gz", ".gzip", ".zst", ".zstd"}:
        path = path.with_suffix("")
    found = _SUFFIXES.get(path.suffix.lower())
    head = source.head
    if head.startswith(b"PAR1"):
        return found or "parquet"
    if head.startswith(_WORKBOOKS) and (found == "excel" or _is_workbook(head)):
        return "excel"
    if found == "excel":
        return None  # many programs write text tables with such a name
    return found


def format_by_content(source: Source, encoding: str, *, is_csv: bool, is_json: bool = False) -> Format:
    """Return the format by the beginning of the text, if the file's name does not determine it.

    Args:
        source: the file.
        encoding: the codec's name.
        is_csv: whether the caller passed CSV-only options.
        is_json: whether the caller said where in a JSON object the rows are.
    """
    found = format_by_name(source)
    if found is None and is_csv:
        return "csv"
    if found not in {"json", None}:
        return found or "csv"
    if is_json:
        return "json"
    start = head_text(source, encoding).lstrip("\ufeff \t\r\n")
    if start[:1] == "{" and holds_lines(start):
        return "jsonl"
    return found or ("json" if start[:1] in {"[", "{"} and start else "csv")


def _is_workbook(head: bytes) -> bool:
    if head.startswith(_WORKBOOKS[1]):
        return "Workbook".encode("utf-16-le") in head or "Book".encode("utf-16-le") in head
    return any(part in head[:4096] for part in _PARTS) and not any(part in head for part in _OTHER_PARTS)
