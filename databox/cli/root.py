"""The `databox` command: what is common to all, and the list of them. Each has a module beside this one."""

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from databox.cli import account, auth, data_source, dataset
from databox.cli.doctor import doctor
from databox.cli.failures import REFUSED, USAGE, as_document, exit_code, is_foreseen, words
from databox.cli.help import App
from databox.cli.log import Warnings, summarise
from databox.cli.streams import lasting
from databox.cli.terminal import LogFormatter, console, echo_error, echo_fault, echo_json, errors
from databox.version import VERSION

__all__ = ["run"]

# Typer has its own copy of click or click itself, by its version; this is the class in either.
_UsageError: type = typer.BadParameter.__mro__[1]

_INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""

app = App("Work with Databox from the command line.")
app.add_typer(auth.app, name="auth")
app.add_typer(account.app, name="account")
app.add_typer(data_source.app, name="data-source")
app.add_typer(dataset.app, name="dataset")
app.command(short_help="Check key, address, network and clock.")(doctor)


def run(arguments: Sequence[str]) -> None:
    """Run the command and leave with its exit code: one message, no traceback, unless it is a fault of the program."""
    with lasting() as streams:
        # What the library warns of is for the person as well, and what its libraries do.
        handler = Warnings() if "--log-json" in arguments else logging.StreamHandler(sys.stderr)
        handler.setFormatter(LogFormatter("%(message)s"))
        logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
        logging.captureWarnings(True)
        code = _code_of(list(arguments))
        problem = streams.problem()
        if problem:
            echo_error(
                f"Standard output could not be written: {problem.strerror}. What it lacks was done all the same."
            )
    # The code of `ingest` tells what became of the rows. Of others, which return none, the output is the result.
    sys.exit((REFUSED if problem else 0) if code is None else code)


def _code_of(arguments: list[str]) -> int | None:
    """Run the command; return its exit code, or None when it only printed its result."""
    try:
        code: int | None = _app_for(arguments)(
            args=arguments, prog_name="databox", obj=arguments, standalone_mode=False
        )
    except Exception as error:  # noqa: BLE001 - nobody else shows it
        if isinstance(error, _UsageError):
            return _told(error, arguments)
        if not is_foreseen(error):
            if "--log-json" in arguments:
                summarise({"status": "error", "message": f"{type(error).__name__}: {error}"})
            echo_fault(error)
            return REFUSED
        _document(arguments, as_document(error))
        echo_error(words(error))
        return exit_code(error)
    if code == _INTERRUPTED:
        _document(arguments, {"status": "interrupted", "message": "Interrupted."})
        echo_error("Interrupted.")
        return REFUSED
    return code


def _document(arguments: Sequence[str], document: dict[str, Any]) -> None:
    """Give a program what ended the command, where it wants a document or a log."""
    if "--log-json" in arguments:
        summarise(document)
    elif "--json" in arguments:
        echo_json(document)


def _told(error: Any, arguments: Sequence[str]) -> int:
    """Say what is wrong with the arguments."""
    message = error.format_message()
    if error.ctx and message == error.ctx.get_help():  # no command was given
        for line in message.split("\n"):
            errors().print(line)
        return USAGE
    _document(arguments, {"status": "error", "message": message})
    if error.ctx:
        for line in error.ctx.get_usage().split("\n"):
            errors().print(line)
        errors().print(f"Try '{error.ctx.command_path} --help' for help.")
    echo_error(message)
    return USAGE


def _app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the command. Only who may want the sandbox pays for the import of a web server."""
    if arguments[:1] not in (["auth"], ["account"], ["data-source"], ["dataset"], ["doctor"]) and not _has("sandbox"):
        from databox.cli.demo import demo
        from databox.cli.sandbox import sandbox

        app.command(short_help="Send real rows to a sandbox, to see it.")(demo)
        app.command(short_help="Serve the API on this machine, for tests.")(sandbox)
    return app


def _has(name: str) -> bool:
    return any(command.callback and command.callback.__name__ == name for command in app.registered_commands)


def _show_version(wanted: bool) -> None:
    if wanted:
        console().print(f"databox-sdk {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Work with Databox from the command line."""
