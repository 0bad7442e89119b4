"""`databox sandbox`: serves the API on a loopback port."""

import contextlib
import shlex
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from databox.cli.signals import handled
from databox.cli.terminal import console, echo_error
from databox.sandbox import Sandbox

__all__ = ["sandbox"]


def sandbox(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="NUMBER", help="The loopback port; 0 chooses a free one.")
    ] = 8700,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="A file that keeps its data between runs.")] = None,
    processing_delay: Annotated[
        float, typer.Option(metavar="SECONDS", help="The time until an ingestion takes effect.")
    ] = 0.0,
    processing_polls: Annotated[
        int, typer.Option(metavar="NUMBER", help="How often to ask for an ingestion until it takes effect.")
    ] = 0,
    rate_limit: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Requests allowed a second, and 10,000 an hour; else there is no limit."),
    ] = None,
    retry_after: Annotated[bool, typer.Option(help="Whether a 429 says how long to wait.")] = True,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The loopback address to listen on.")] = "127.0.0.1",
    api_key: Annotated[str | None, typer.Option(metavar="KEY", help="The key to accept; else a random one.")] = None,
) -> None:
    """Serve the Databox API on this machine until Ctrl-C.

    A client pointed at it works as with the service; no account is needed.
    """
    stopped: list[int] = []

    def interrupted(number: int, frame: object) -> None:
        stopped.append(number)  # not an event, whose lock this thread may have at that moment

    with handled(interrupted, signal.SIGINT, signal.SIGTERM):
        try:
            box = Sandbox(
                rate_limit,
                processing_delay,
                state,
                port,
                api_key,
                processing_polls=processing_polls,
                retry_after=retry_after,
                host=host,
            ).start()
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        except OSError as error:
            echo_error(f"{host}:{port} cannot be used: {error.strerror}. Choose another with --port.")
            raise typer.Exit(2) from None
        with contextlib.closing(box):
            said = console()
            said.print(f"The sandbox listens at {box.url}. Point a client at it with:", whole=True)
            said.print(f"export DATABOX_API_URL={box.url}", whole=True)
            said.print(f"export DATABOX_API_KEY={shlex.quote(box.api_key)}", whole=True)
            while not stopped:
                time.sleep(0.1)
