"""The commands, one function each."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from databox.sandbox import Sandbox
from databox.version import VERSION

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)


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


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="The loopback port; 0 takes a free one.")] = 8700,
    state: Annotated[Path | None, typer.Option(help="A file that keeps the world between runs.")] = None,
    processing_delay: Annotated[float, typer.Option(help="Seconds until an ingestion takes effect.")] = 0.0,
    rate_limit: Annotated[int | None, typer.Option(help="Requests a second to allow.")] = None,
    api_key: Annotated[str | None, typer.Option(help="The key to accept; made up without.")] = None,
) -> None:
    """Serve a Databox API of your own until Ctrl-C."""
    try:
        box = Sandbox(rate_limit, processing_delay, state, port, api_key).start()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        typer.echo(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.", err=True)
        raise typer.Exit(2) from None
    stop = threading.Event()

    def interrupted(number: int, frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    typer.echo(f"The sandbox listens at {box.url}. Point a client at it with:")
    typer.echo(f"export DATABOX_API_URL={box.url}")
    typer.echo(f"export DATABOX_API_KEY={box.api_key}")
    # A wait without an end cannot be interrupted on Windows.
    while not stop.wait(0.5):
        pass
    box.close()
