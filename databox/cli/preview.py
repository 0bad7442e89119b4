"""What will be sent, shown before anything is: how each file is read, and what each column is."""

from typing import Any

from databox.cli.inputs import Inputs
from databox.cli.output import counted
from databox.cli.terminal import Head, Terminal
from databox.files.column import Column
from databox.wording import for_command

__all__ = ["as_document", "show"]

_LISTED = 40


def show(inputs: Inputs, console: Terminal) -> None:
    """Show what each file and column is taken for."""
    for records in inputs.looked_at:
        counts = "" if records.total_rows is None else f", {counted(records.total_rows, 'row')}"
        console.print((records.name, "bold"), f": {records.description}{counts}")
        for note in records.notes[1 if records.is_guess else 0 :]:
            console.print((for_command(note), "yellow"))
    if not inputs.columns:
        return
    columns = [
        Head("Column", folds=True),
        Head("Type"),
        Head("First value", width=28),
        Head(style="dim", folds=True),
    ]
    rows = [
        (each.name, (each.type, _style(each)), each.example, for_command(each.note))
        for each in inputs.columns[:_LISTED]
    ]
    console.table(columns, rows, head_style="dim", indented=True)
    if len(inputs.columns) > _LISTED:
        console.print(f"  and {len(inputs.columns) - _LISTED} more columns")


def _style(column: Column) -> str:
    """What is doubtful about a column catches the eye."""
    doubtful = column.type == "empty" or " or " in column.type or "most are" in column.note
    return "yellow" if doubtful else ""


def as_document(inputs: Inputs) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "files": [
            {"name": each.name, "readAs": each.description, "notes": list(map(for_command, each.notes))}
            for each in inputs.looked_at
        ],
        "columns": [
            {"name": each.name, "type": each.type, "note": for_command(each.note), "example": each.example}
            for each in inputs.columns
        ],
    }
