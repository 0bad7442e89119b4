"""The `databox` command: what is common to all, and the list of them. Each has a module beside this one."""

from typing import Annotated

import typer

from databox.cli import account, auth, data_source, dataset
from databox.cli.doctor import doctor
from databox.cli.sandbox import sandbox
from databox.version import VERSION

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(auth.app, name="auth")
app.add_typer(account.app, name="account")
app.add_typer(data_source.app, name="data-source")
app.add_typer(dataset.app, name="dataset")
app.command()(doctor)
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
