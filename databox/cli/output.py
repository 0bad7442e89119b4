"""How results are shown: tables and lines for people, one JSON document for programs."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

import attrs
import typer

from databox.api.answers import DATASET_METRICS
from databox.api.reading import Field, Shape
from databox.cli.terminal import Head, console, echo_json, errors, width_of
from databox.models import DatasetMetrics, ErrorDetail, Model

__all__ = ["Json", "OnlyId", "as_wire", "counted", "one_form", "show_list", "show_made", "show_one"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OnlyId = Annotated[bool, typer.Option("--id", help="Print only the new id, for scripts.")]


def as_wire(shape: Shape[Any], model: Model) -> dict[str, Any]:
    """Return a model under the API's own names, as scripts for the official client expect them."""
    # The envelope's id is left to errors: the official client shows none in lists either.
    document: dict[str, Any] = {}
    for field in shape.fields:
        value = getattr(model, field.attribute)
        inner = as_wire(DATASET_METRICS, value) if isinstance(value, DatasetMetrics) else _plain(value)
        _put(document, field.path, inner)
    return document | dict(model.extra)


def show_list(shape: Shape[Any], models: Sequence[Model], *, as_json: bool, hint: str = "") -> None:
    """Show some models, each in a line."""
    if as_json:
        echo_json([as_wire(shape, model) for model in models])
        return
    if not models:
        console().print("Nothing found.")
        return
    heads = [_label(field.path[-1]) for field in shape.fields]
    rows = [[_cell(field, model) for field in shape.fields] for model in models]
    widths = (max(map(width_of, column)) for column in zip(heads, *rows, strict=True))
    if sum(widths) + 2 * len(heads) > console().width:
        # An id that is broken over two lines cannot be copied.
        for model in models:
            show_one(as_wire(shape, model), as_json=False)
            console().print()
    else:
        console().table([Head(head) for head in heads], rows, head_style="bold")
    if hint:
        errors().print((hint, "dim"))


def show_one(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Show one thing, a line for each of its values."""
    if as_json:
        echo_json(document)
        return
    lines = dict(_flat(document))
    width = max(map(width_of, lines), default=0)
    for name, value in lines.items():
        console().print((name + " " * (width - width_of(name) + 2), "bold"), _shown(value), whole=True)


def one_form(*, as_json: bool, only_id: bool) -> None:
    """Refuse two forms of one result; called before anything is created."""
    if as_json and only_id:
        raise typer.BadParameter("choose one: --id prints the id alone, --json the document.", param_hint="--id")


def show_made(document: Mapping[str, Any], *, as_json: bool, only_id: bool) -> None:
    """Show what was created, or its id alone."""
    if only_id:
        console().print(str(document["id"]), whole=True)
    else:
        show_one(document, as_json=as_json)


def counted(number: int, what: str) -> str:
    """Return a number with what it counts."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *way, last = path
    for name in way:
        document = document.setdefault(name, {})
    document[last] = value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("Any", value)]
    return attrs.asdict(value) if isinstance(value, ErrorDetail) else value


def _cell(field: Field, model: Model) -> str:
    value = _plain(getattr(model, field.attribute))
    return _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _flat(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        label = f"{prefix}{_label(name)}"
        if isinstance(value, dict):
            found += _flat(cast("dict[str, Any]", value))
        elif isinstance(value, list):
            entries = cast("Any", value)
            if entries:
                found.append((label, "; ".join(_words(entry) for entry in entries)))
        else:
            found.append((label, value))
    return found


def _words(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    return ": ".join(str(value) for value in cast("dict[str, Any]", entry).values() if value is not None)


def _label(name: str) -> str:
    """`dataSourceId` as `Data source id`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("_", " "))
    return words[:1].upper() + re.sub(r"\b[A-Z](?=[a-z])", lambda match: match[0].lower(), words[1:])
