"""What will be sent, shown before anything is: how each file is read, and what each column is."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from databox.cli.inputs import Inputs
from databox.cli.output import counted

__all__ = ["as_document", "show"]

_LISTED = 40


def show(inputs: Inputs, console: Console) -> None:
    """Show what each file and column is taken for."""
    for records in inputs.looked_at:
        rows = "" if records.total_rows is None else f", {counted(records.total_rows, 'row')}"
        console.print(Text.assemble((records.name, "bold"), f": {records.description}{rows}"))
        for note in records.notes[1 if records.is_guess else 0 :]:
            console.print(Text(note, style="yellow"))
    if not inputs.columns:
        return
    table = Table(box=None, pad_edge=True, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Column", overflow="fold")
    table.add_column("Type", no_wrap=True)
    table.add_column("First value", overflow="ellipsis", no_wrap=True, max_width=28)
    table.add_column("", style="dim")
    for column in inputs.columns[:_LISTED]:
        style = "yellow" if column.type == "empty" or " or " in column.type or "most are" in column.note else ""
        table.add_row(Text(column.name), Text(column.type, style), Text(column.example), Text(column.note))
    console.print(table)
    if len(inputs.columns) > _LISTED:
        console.print(f"  and {len(inputs.columns) - _LISTED} more columns")


def as_document(inputs: Inputs) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "files": [{"name": each.name, "readAs": each.description, "notes": each.notes} for each in inputs.looked_at],
        "columns": [
            {"name": each.name, "type": each.type, "note": each.note, "example": each.example}
            for each in inputs.columns
        ],
    }
