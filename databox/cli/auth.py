"""`databox auth`: the key."""

import getpass
import os
import sys
from typing import Annotated

import typer

from databox import AuthenticationError, Databox
from databox.cli.failures import REFUSED, USAGE
from databox.cli.output import Json, show_one
from databox.cli.store import store_key
from databox.cli.terminal import console, echo_error, errors
from databox.config import config_file, load_config
from databox.errors import APIError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The API key.")


@app.command()
def login(
    api_key: Annotated[
        str | None, typer.Option(help="The key. Others can see it in the shell's history; better be asked for it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Store an API key for this and the official client, readable by you alone.

    It is asked for without echo, or read from standard input: databox auth login < key.txt
    """
    key = load_config(api_key or _asked(), None).key  # checked for what no header can carry
    path = config_file(os.environ)
    validated = True
    try:
        with Databox(api_key=key.reveal()) as client:
            client.auth.validate_key()
    except AuthenticationError:
        raise
    except APIError as error:
        validated = False
        errors().print(f"The key could not be validated, and is stored all the same: {error}")
    store_key(path, key)
    if os.environ.get("DATABOX_API_KEY"):
        errors().print("DATABOX_API_KEY is set, and goes before what is stored.")
    if as_json:
        show_one({"status": "success", "validated": validated, "path": str(path)}, as_json=True)
    else:
        console().print(f"Stored in {path}{', and valid' if validated else ''}.", whole=True)


@app.command()
def validate(as_json: Json = False) -> None:
    """Ask the API whether the key is valid."""
    with Databox() as client:
        client.auth.validate_key()
    if as_json:
        show_one({"status": "success"}, as_json=True)
    else:
        console().print("The API key is valid.")


def _asked() -> str:
    if sys.stdin.isatty():
        try:
            key = getpass.getpass("API key (it is not shown): ")
        except (EOFError, KeyboardInterrupt):
            errors().print()
            errors().print("Nothing was stored.")
            raise typer.Exit(REFUSED) from None
    else:
        key = sys.stdin.readline()
    if not key.strip():
        echo_error(
            "No key was given. Keys are made in Databox under Account Management > Profile > Password & Security."
        )
        raise typer.Exit(USAGE)
    return key
