"""The `databox` command: what is common to all, and the list of them. Each has a module beside this one."""

from typing import Annotated

import typer

from databox.cli.sandbox import sandbox
from databox.version import VERSION

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
app.command()(sandbox)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"databox-sdk {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Work with Databox from the command line."""
