"""`databox dataset ingest`: files into a dataset."""

import contextlib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from databox import Databox, InvalidRecordError, OnRefusal, Verify
from databox.cli import dry_run, preview
from databox.cli.failures import REFUSED
from databox.cli.inputs import Inputs
from databox.cli.output import Json
from databox.cli.progress_line import Bar, Lines, Watch
from databox.cli.sending import sent
from databox.cli.sources import files_of, rows_of
from databox.cli.terminal import console, echo_json, errors
from databox.cli.values import Keys, columns_of, delimiter_of, header_of, keys_of, share_of
from databox.ingest.settings import Settings

__all__ = ["ingest"]


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


class Misfit(StrEnum):
    """What to do with a value that is not what its column is."""

    stop = "raise"
    null = "null"


_VERIFY: dict[Verification, Verify | None] = {
    Verification.counts: "counts",
    Verification.status: "status",
    Verification.none: None,
}
_ON_REFUSAL: dict[Refusal, OnRefusal] = {Refusal.isolate: "isolate", Refusal.report: "report"}
READING = "How files are read"
PATIENCE = 300.0
AT_FIRST = 5.0
"""Seconds to wait for an address where nobody answers from the start: it is more likely a wrong one than an outage."""


def ingest(
    context: typer.Context,
    dataset_id: Annotated[str, typer.Argument(metavar="DATASET_ID", help="The dataset's id.")],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Files to send; - is standard input.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("--file", metavar="FILE", help="A file to send; may be given several times.")
    ] = None,
    records: Annotated[str | None, typer.Option(metavar="JSON", help="Rows themselves, as a JSON array.")] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A database to read, with --query; else DATABOX_DATABASE_URL is its address."),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="A query whose rows to send, or @ and the name of its file.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What :name stands for in the query, as text.")
    ] = None,
    primary_keys: Keys = None,
    verify: Annotated[
        Verification,
        typer.Option(
            help="Ask what became of each batch (counts), read the list (status), or stop at accepted (none)."
        ),
    ] = Verification.counts,
    verify_timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for outcomes, after the last batch.")
    ] = 300.0,
    patience: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help=f"Wait so long for a service that takes nothing: {PATIENCE:g} without, but {AT_FIRST:g} for one that "
            "cannot be reached at all.",
        ),
    ] = None,
    on_refusal: Annotated[
        Refusal,
        typer.Option(help="Find the rows that a batch is refused for and send the others, or report the batch."),
    ] = Refusal.isolate,
    journal: Annotated[
        Path | None, typer.Option(help="A file that keeps what was sent, so that a second run goes on from there.")
    ] = None,
    dead_letter: Annotated[
        Path | None, typer.Option(help="A file for the rows that do not make it; it can be ingested again.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Requests in flight at most.")] = 4,
    limit_share: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Use this share of the key's limit, such as 0.5 or 50%.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Read, convert and size all rows, and send nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing unless something is wrong.")] = False,
    as_json: Json = False,
    format: Annotated[
        Format | None, typer.Option(help="By the name or the content without.", rich_help_panel=READING)
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Found without.", rich_help_panel=READING)] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="A character, or comma, semicolon, tab, pipe.", rich_help_panel=READING)
    ] = None,
    header: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Names, when no line has them.", rich_help_panel=READING)
    ] = None,
    skip_lines: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Lines, or rows of a sheet, above the header; 0: the first line is the header.",
            rich_help_panel=READING,
        ),
    ] = None,
    skip_footer: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Lines at the end that are no rows, such as totals; 0: the last line is a row.",
            rich_help_panel=READING,
        ),
    ] = None,
    pad: Annotated[
        bool,
        typer.Option("--pad", help="Columns that a row or a file lacks are null.", rich_help_panel=READING),
    ] = False,
    max_field: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Characters that a field may have.", rich_help_panel=READING),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A workbook's sheet: its name, or its number from 0.", rich_help_panel=READING
        ),
    ] = None,
    rows_at: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where in a JSON object the rows are, such as data.", rich_help_panel=READING
        ),
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="A file without rows is fine.", rich_help_panel=READING)
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TYPE",
            help="What a column is: text, number, date, datetime, boolean, date:%d/%m/%Y.",
            rich_help_panel=READING,
        ),
    ] = None,
    decimal: Annotated[str | None, typer.Option(help="The decimal mark, , or .", rich_help_panel=READING)] = None,
    dayfirst: Annotated[
        bool | None,
        typer.Option("--dayfirst/--no-dayfirst", help="Whether 03/04/2025 is in April.", rich_help_panel=READING),
    ] = None,
    date_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Such as %d/%m/%Y.", rich_help_panel=READING)
    ] = None,
    null: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Means nothing, such as n/a.", rich_help_panel=READING)
    ] = None,
    misfits: Annotated[
        Misfit,
        typer.Option(help="Stop at a value that does not fit its column, or send null.", rich_help_panel=READING),
    ] = Misfit.stop,
) -> None:
    """Send the rows of files, or of a query, into a dataset, and account for every one.

    Without either, rows come from standard input. What each column is taken for is shown before anything is sent.
    """
    keys = keys_of(primary_keys)
    settings = Settings(
        primary_keys=tuple(keys or ()),
        concurrency=concurrency,
        verify=_VERIFY[verify],
        verify_timeout=verify_timeout,
        patience=PATIENCE if patience is None else patience,
        on_refusal=_ON_REFUSAL[on_refusal],
        journal=journal,
        dead_letter=dead_letter,
    )
    limit = share_of(limit_share)
    client = None if dry else Databox(rate_limit=limit)  # a missing key is told before a large file is read
    reading: dict[str, Any] = {
        "format": format and format.value,
        "encoding": encoding,
        "delimiter": delimiter_of(delimiter),
        "header": header_of(header),
        "skip_lines": skip_lines,
        "skip_footer": skip_footer,
        "pad": pad,
        "max_field": max_field,
        "sheet": sheet,
        "rows_at": rows_at,
        "allow_empty": allow_empty,
        "columns": columns_of(column),
        "decimal": decimal,
        "dayfirst": dayfirst,
        "date_format": date_format,
        "nulls": tuple(null or ()),
        "misfits": misfits.value,
    }
    files = [*(file or ()), *(paths or ())]
    if database is None and query is None:
        if param:
            raise typer.BadParameter("is for a query: give --query.", param_hint="--param")
        sources = files_of(files, records)
    else:
        if files or records is not None:
            raise typer.BadParameter("either a query or files.", param_hint="--query")
        sources = [rows_of(database, query, param, reading)]
    inputs = Inputs(sources, reading)
    with contextlib.closing(inputs):
        _check_keys(inputs, settings.primary_keys)
        if not quiet:
            preview.show(inputs, errors())
        if client is None:
            _show_estimate(dry_run.estimate(inputs, settings, limit), inputs, quiet=quiet, as_json=as_json)
            return
        meter = (Bar if sys.stderr.isatty() else Lines)(
            lambda: inputs.fraction, limit, asks_each=settings.verify == "counts"
        )
        with client:
            watch = Watch(None if quiet else meter, AT_FIRST if patience is None else None)
            ending = sent(client, dataset_id, inputs, settings, watch, context.obj or sys.argv[1:])
    if as_json:
        echo_json(ending.as_document() | preview.as_document(inputs))
    if not as_json and not quiet:
        ending.show(console())
    elif not ending.ok:
        ending.show(errors())
    raise typer.Exit(0 if ending.ok else REFUSED)


def _check_keys(inputs: Inputs, keys: tuple[str, ...]) -> None:
    """Refuse a key that no file has as a column."""
    names = {column.name for column in inputs.columns}
    for key in keys:
        if names and key not in names:
            raise InvalidRecordError(
                f"There is no column {key!r} to be a primary key. There are: {', '.join(map(repr, sorted(names)))}.",
                column=key,
            )


def _show_estimate(found: dry_run.Estimate, inputs: Inputs, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        echo_json(found.as_document() | preview.as_document(inputs))
    elif not quiet or found.invalid:
        found.show(console())
    raise typer.Exit(REFUSED if found.invalid else 0)
