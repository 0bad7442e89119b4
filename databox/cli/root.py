"""The `databox` command: what is common to all, and the list of them. Each has a module beside this one."""

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from databox.cli import account, auth, data_source, dataset
from databox.cli.doctor import doctor
from databox.cli.failures import USAGE, as_document, exit_code, is_foreseen, words
from databox.cli.output import echo_error, echo_json
from databox.errors import DataboxError
from databox.version import VERSION

__all__ = ["run"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(auth.app, name="auth")
app.add_typer(account.app, name="account")
app.add_typer(data_source.app, name="data-source")
app.add_typer(dataset.app, name="dataset")
app.command()(doctor)


def run(arguments: Sequence[str]) -> None:
    """Run the command and leave with its exit code: one message, no traceback, unless it is a fault of the program."""
    # What the library warns of is for the person as well.
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr, force=True)
    as_json = "--json" in arguments
    try:
        _app_for(arguments)(args=list(arguments), prog_name="databox", obj=list(arguments))
    except SystemExit as leaving:
        if leaving.code == USAGE and as_json and "--help" not in arguments:
            echo_json({"status": "error", "message": "Wrong usage; standard error says what is wrong."})
        raise
    except (DataboxError, OSError, ImportError, LookupError, TypeError, ValueError) as error:
        if not is_foreseen(error):
            raise
        if as_json:
            echo_json(as_document(error))
        echo_error(words(error))
        sys.exit(exit_code(error))


def _app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the command. Only who may want the sandbox pays for the import of a web server."""
    if arguments[:1] not in (["auth"], ["account"], ["data-source"], ["dataset"], ["doctor"]) and not _has("sandbox"):
        from databox.cli.demo import demo
        from databox.cli.sandbox import sandbox

        app.command()(demo)
        app.command()(sandbox)
    return app


def _has(name: str) -> bool:
    return any(command.callback and command.callback.__name__ == name for command in app.registered_commands)


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
