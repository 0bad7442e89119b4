"""`databox account`: what the key can reach."""

from typing import Annotated

import typer

from databox import Databox
from databox.api.answers import ACCOUNT, DATA_SOURCE, TIME_ZONE
from databox.cli.help import App
from databox.cli.output import Json, show_list

__all__ = ["app"]

app = App("List accounts and what is in them.")


@app.command("list")
def list_accounts(as_json: Json = False) -> None:
    """List the accounts of the key's user."""
    with Databox() as client:
        show_list(ACCOUNT, client.accounts.list().items, as_json=as_json)


@app.command()
def timezones(as_json: Json = False) -> None:
    """List the time zones of data sources."""
    with Databox() as client:
        show_list(TIME_ZONE, client.accounts.list_timezones().items, as_json=as_json)


@app.command("data-sources")
def data_sources(
    account_id: Annotated[int, typer.Argument(metavar="ACCOUNT_ID", help="The account's number.")],
    as_json: Json = False,
) -> None:
    """List an account's data sources."""
    with Databox() as client:
        show_list(DATA_SOURCE, client.accounts.list_data_sources(account_id).items, as_json=as_json)
