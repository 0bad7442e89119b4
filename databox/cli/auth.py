"""`databox auth`: the key."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from databox import AuthenticationError, Databox
from databox.cli.confirmation import Force, confirm
from databox.cli.failures import REFUSED, USAGE, words
from databox.cli.help import App, examples
from databox.cli.output import Json, show_one
from databox.cli.store import store, stored_address
from databox.cli.terminal import console, echo_error, errors
from databox.config import Config, config_file, load_config
from databox.errors import APIError, ConfigurationError
from databox.secret import Secret, secret_of

__all__ = ["app"]

app = App("Store an API key, and validate it.")


@app.command(context_settings={"allow_extra_args": True}, epilog=examples("databox auth login < key.txt"))
def login(
    context: typer.Context,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The key. Every user of this machine can see it in the list of processes, and it stays in the "
            "shell's history: leave it out to be asked for it, or use standard input.",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Store an API key and its address.

    The official client uses the same file, which only you can read.

    The command asks for the key without showing it, or reads it from standard input.

    The address is DATABOX_API_URL, else the stored one, else that of the service. A key stored for another address is
    replaced only if you agree.
    """
    given = secret_of(api_key)
    del api_key
    if context.args:  # click would quote them
        raise typer.BadParameter("It takes no argument. Give the key when you are asked for it, or on standard input.")
    config = load_config(given or _asked(), None)
    path = config_file()
    _refuse_to_mix(config)
    _ask_to_replace(config, path, force)
    validated = True
    try:
        with Databox(config.key.reveal(), config.base_url) as client:
            client.auth.validate_key()
    except AuthenticationError:
        raise
    except APIError as error:
        validated = False
        errors().print(f"The key could not be validated, but is stored: {words(error)}")
    store(path, config)
    if os.environ.get("DATABOX_API_KEY"):
        errors().print("DATABOX_API_KEY is set, and takes precedence over the stored key.")
    if as_json:
        show_one({"status": "success", "validated": validated, "path": str(path)}, as_json=True)
    else:
        console().print(f"Stored in {path}, for {config.base_url}{', and valid' if validated else ''}.", whole=True)


@app.command()
def validate(as_json: Json = False) -> None:
    """Ask the API whether the key is valid."""
    with Databox() as client:
        client.auth.validate_key()
    if as_json:
        show_one({"status": "success"}, as_json=True)
    else:
        console().print("The API key is valid.")


def _refuse_to_mix(config: Config) -> None:
    """Never put a sandbox's key beside the address of the service, where the official client would find it."""
    if config.key.reveal().startswith("sandbox-") and config.host.partition(":")[0].endswith("databox.com"):
        raise ConfigurationError(
            f"This is a sandbox's key, and {config.base_url} is the service. Set DATABOX_API_URL to the sandbox's "
            "address to store both, or give the key of your account."
        )


def _ask_to_replace(config: Config, path: Path, force: bool) -> None:
    """Ask before a key for another address is lost, for the official client as well."""
    stored = stored_address(path)
    if force or stored in (None, config.base_url):
        return
    what = f"{path} holds a key for {stored or 'another address'}, and this one is for {config.base_url}"
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"{what}. It is left as it is. Say --force to replace key and address; or use DATABOX_API_KEY beside "
            "DATABOX_API_URL, without storing anything."
        )
    confirm(f"{what}. Replace both?", force)


def _asked() -> Secret[str]:
    if sys.stdin.isatty():
        try:
            key = Secret(getpass.getpass("API key (it is not shown): "))
        except (EOFError, KeyboardInterrupt):
            errors().print()
            errors().print("Nothing was stored.")
            raise typer.Exit(REFUSED) from None
    else:
        key = Secret(sys.stdin.readline())
    if not key.reveal().strip():
        echo_error(
            "No key was given. Keys are made in Databox under Account Management > Profile > Password & Security."
        )
        raise typer.Exit(USAGE)
    return key
