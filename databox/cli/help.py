"""How help is shown: at any width no name is cut off, options stand in groups, and examples stay whole lines."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

__all__ = ["App", "Command", "examples"]

_WIDE = 78
"""Columns from which on a description stands beside its option, and not below it."""


class Command(TyperCommand):
    """A command whose options are shown in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, each group under its heading."""
        groups: dict[str, list[tuple[str, str]]] = {}
        shown = [(param, record) for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        for param, (name, words) in shown:
            is_argument = param.param_type_name == "argument"
            group = getattr(param, "rich_help_panel", None) or ("Arguments" if is_argument else "Options")
            # From 0.28 on, Typer writes the Python type behind an argument's name.
            name = name.partition(" <")[0] if is_argument else name
            groups.setdefault(group, []).append((name, words))
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records, col_max=30 if formatter.width >= _WIDE else 8)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, without braces around what has to be given, or brackets around others."""
        return [
            piece.strip("{}").replace("[[", "[").replace("]...]...", "]...")
            for piece in super().collect_usage_pieces(ctx)
        ]


class App(typer.Typer):
    """A group of commands, with plain help: tables of boxes cut names off where there is little room."""

    def __init__(self, help: str | None = None, **options: Any) -> None:
        settings = {"max_content_width": 100}
        super().__init__(
            help=help,
            no_args_is_help=True,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
            context_settings=settings,
            **options,
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command."""
        return super().command(name, cls=Command, **options)


def examples(*lines: str) -> str:
    """Return an epilog of commands, which are not wrapped, so that they can be copied."""
    return "\n".join(("\b", "Examples:", *lines))
