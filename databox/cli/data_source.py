"""`databox data-source`: containers of datasets."""

from typing import Annotated

import typer

from databox import Databox
from databox.api.answers import DATA_SOURCE, DATASET
from databox.cli.confirmation import Force, confirm
from databox.cli.help import App
from databox.cli.output import Json, OnlyId, as_wire, one_form, show_list, show_made, show_one

__all__ = ["app"]

app = App("Create and delete data sources.")

Id = Annotated[int, typer.Argument(metavar="DATA_SOURCE_ID", help="The data source's number.")]


@app.command()
def create(
    title: Annotated[str, typer.Option(metavar="TEXT", help="A title for people; it need not be unique.")],
    account_id: Annotated[
        int | None, typer.Option(metavar="ID", help="The account to create it in; else the key's own.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(metavar="NAME", help="An IANA name such as Europe/Berlin.")] = None,
    only_id: OnlyId = False,
    as_json: Json = False,
) -> None:
    """Create a data source."""
    one_form(as_json=as_json, only_id=only_id)
    with Databox() as client:
        made = client.data_sources.create(title, account_id=account_id, timezone=timezone)
    show_made(as_wire(DATA_SOURCE, made), as_json=as_json, only_id=only_id)


@app.command()
def datasets(data_source_id: Id, as_json: Json = False) -> None:
    """List a data source's datasets."""
    with Databox() as client:
        show_list(DATASET, client.data_sources.list_datasets(data_source_id).items, as_json=as_json)


@app.command()
def delete(data_source_id: Id, force: Force = False, as_json: Json = False) -> None:
    """Delete a data source, for good.

    All its datasets and their rows are deleted with it.
    """
    with Databox() as client:
        confirm(f"Delete data source {data_source_id} with all its datasets and their rows, for good?", force)
        client.data_sources.delete(data_source_id)
    show_one({"status": "success", "id": data_source_id, "message": "Data source deleted."}, as_json=as_json)
