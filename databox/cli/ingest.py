"""`databox dataset ingest`: files into a dataset."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from databox import Databox, InvalidRecordError
from databox.cli import dry_run, log, preview
from databox.cli.failures import REFUSED
from databox.cli.inputs import Inputs
from databox.cli.output import Json
from databox.cli.progress_line import Bar, Lines, Watch
from databox.cli.sending import sent
from databox.cli.signals import as_interrupts
from databox.cli.sources import files_of, rows_of
from databox.cli.summary import Ending
from databox.cli.terminal import console, echo_json, errors
from databox.cli.values import (
    ON_AMBIGUOUS,
    ON_REFUSAL,
    VERIFY,
    Ambiguity,
    Format,
    Keys,
    Misfit,
    Refusal,
    Verification,
    columns_of,
    delimiter_of,
    header_of,
    keys_of,
    share_of,
)
from databox.ingest.settings import Settings

__all__ = ["ingest"]


READING = "Reading files"
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
        list[str] | None, typer.Option("--file", metavar="FILE", help="A file to send; repeat it for several.")
    ] = None,
    records: Annotated[str | None, typer.Option(metavar="JSON", help="Rows given here, as a JSON array.")] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The database for --query; by default DATABOX_DATABASE_URL."),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="A query whose rows to send, or @ and the name of its file.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="The value of :NAME in the query, as text.")
    ] = None,
    primary_keys: Keys = None,
    verify: Annotated[
        Verification,
        typer.Option(
            help="How to check that accepted rows are stored: fetch each batch's counts, read the list of ingestions "
            "(status), or not at all."
        ),
    ] = Verification.counts,
    verify_timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for outcomes after the last batch.")
    ] = 300.0,
    patience: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help=f"How long to wait for a service that accepts nothing: by default {PATIENCE:g}, but {AT_FIRST:g} if "
            "it cannot be reached from the start.",
        ),
    ] = None,
    on_refusal: Annotated[
        Refusal,
        typer.Option(help="When a batch is refused: find the rows at fault and send the others, or report the batch."),
    ] = Refusal.isolate,
    on_ambiguous: Annotated[
        Ambiguity,
        typer.Option(
            help="When a batch's answer is lost: send it again, which without primary keys may store it twice, or "
            "report it; auto sends it again if there are keys."
        ),
    ] = Ambiguity.auto,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Record what was sent, so that the next run goes on where this one stops."),
    ] = None,
    dead_letter: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to put the rows that fail; the file can be ingested again."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=100, metavar="NUMBER", help="Requests in flight at most.")] = 4,
    limit_share: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Use this share of the key's limit, such as 0.5 or 50%.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Read, convert and size all rows, but send nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing unless something is wrong.")] = False,
    as_json: Json = False,
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Print a log for machines: JSON lines, the summary last."),
    ] = False,
    format: Annotated[
        Format | None, typer.Option(help="Detected by name or content if omitted.", rich_help_panel=READING)
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Detected if omitted.", rich_help_panel=READING)
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="Or the word comma, semicolon, tab, pipe or space. Detected if omitted.",
            rich_help_panel=READING,
        ),
    ] = None,
    header: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Column names, for a file without a header.", rich_help_panel=READING),
    ] = None,
    skip_lines: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Lines, or rows of a sheet, above the header; 0 if the first line is the header.",
            rich_help_panel=READING,
        ),
    ] = None,
    skip_footer: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Lines at the end that are not rows, such as totals; 0 if the last line is a row.",
            rich_help_panel=READING,
        ),
    ] = None,
    pad: Annotated[
        bool,
        typer.Option("--pad", help="Columns missing from a row or a file are null.", rich_help_panel=READING),
    ] = False,
    max_field: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="The most characters in one field.", rich_help_panel=READING),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A sheet of a workbook: its name, or its number from 0.", rich_help_panel=READING
        ),
    ] = None,
    rows_at: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where in a JSON object the rows are, such as data.", rich_help_panel=READING
        ),
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accept a file without rows.", rich_help_panel=READING)
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TYPE",
            help="A column's type: text, number, date, datetime, boolean, or date:%d/%m/%Y.",
            rich_help_panel=READING,
        ),
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(
            metavar="MARK", help="The decimal mark, ',' or '.'. Detected if omitted.", rich_help_panel=READING
        ),
    ] = None,
    dayfirst: Annotated[
        bool | None,
        typer.Option("--dayfirst/--no-dayfirst", help="Whether 03/04/2025 is in April.", rich_help_panel=READING),
    ] = None,
    date_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="The format of dates, such as %d/%m/%Y.", rich_help_panel=READING),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A text that stands for null, such as n/a.", rich_help_panel=READING),
    ] = None,
    misfits: Annotated[
        Misfit,
        typer.Option(help="When a value does not fit its column: stop, or read it as null.", rich_help_panel=READING),
    ] = Misfit.stop,
) -> None:
    """Send the rows of files or of a query into a dataset, and account for every one.

    Without a file or query, rows come from standard input. How each column was understood is shown before anything is
    sent.
    """
    if as_json and log_json:
        raise typer.BadParameter("choose one: --json prints one document, --log-json lines.", param_hint="--log-json")
    keys = keys_of(primary_keys)
    settings = Settings(
        primary_keys=tuple(keys or ()),
        concurrency=concurrency,
        verify=VERIFY[verify],
        verify_timeout=verify_timeout,
        patience=PATIENCE if patience is None else patience,
        on_refusal=ON_REFUSAL[on_refusal],
        on_ambiguous=ON_AMBIGUOUS[on_ambiguous],
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
        if not quiet and log_json:
            log.write("start", datasetId=dataset_id, dryRun=dry, **preview.as_document(inputs))
        elif not quiet:
            preview.show(inputs, errors())
        if client is None:
            found = dry_run.estimate(inputs, settings, limit)
            _tell(found, inputs, quiet=quiet, as_json=as_json, log_json=log_json)
        meter = (log.Log if log_json else Bar if sys.stderr.isatty() else Lines)(
            lambda: inputs.fraction, limit, asks_each=settings.verify == "counts"
        )
        with client, as_interrupts():
            watch = Watch(None if quiet else meter, AT_FIRST if patience is None else None)
            ending = sent(client, dataset_id, inputs, settings, watch, context.obj or sys.argv[1:])
            _tell(ending, inputs, quiet=quiet, as_json=as_json, log_json=log_json)


def _check_keys(inputs: Inputs, keys: tuple[str, ...]) -> None:
    """Refuse a key that no file has as a column."""
    names = {column.name for column in inputs.columns}
    for key in keys:
        if names and key not in names:
            raise InvalidRecordError(
                f"There is no column {key!r} to be a primary key. There are: {', '.join(map(repr, sorted(names)))}.",
                column=key,
            )


def _tell(result: dry_run.Estimate | Ending, inputs: Inputs, *, quiet: bool, as_json: bool, log_json: bool) -> NoReturn:
    """Show what became of it, or would, in the form that is wanted; leave with the exit code that says so too."""
    if log_json:
        log.summarise(result.as_document())
    elif as_json:
        echo_json(result.as_document() | preview.as_document(inputs))
    elif not quiet:
        result.show(console())
    if not result.ok and (quiet or as_json or log_json):
        result.show(errors())
    raise typer.Exit(0 if result.ok else REFUSED)
