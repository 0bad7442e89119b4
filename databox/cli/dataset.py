"""`databox dataset`: tables of rows. `ingest` is in a module of its own."""

from itertools import islice
from typing import Annotated

import typer

from databox import Databox
from databox.api.answers import DATASET, INGESTION, INGESTION_SUMMARY
from databox.cli.confirmation import Force, confirm
from databox.cli.help import App, examples
from databox.cli.ingest import ingest
from databox.cli.output import Json, OnlyId, as_wire, one_form, show_list, show_made, show_one
from databox.cli.values import Keys, keys_of

__all__ = ["app"]

app = App("Create datasets, and send rows to them.")
app.command(
    short_help="Send rows, and account for each.",
    epilog=examples(
        "databox dataset ingest ID orders.csv --dry-run",
        "databox dataset ingest ID orders.csv --primary-keys order",
        "databox dataset ingest ID *.csv --journal sent.journal",
        "databox dataset ingest ID --query @day.sql",
        "gunzip -c a.jsonl.gz | databox dataset ingest ID -",
    ),
)(ingest)

Id = Annotated[str, typer.Argument(metavar="DATASET_ID", help="The dataset's id.")]


@app.command()
def create(
    title: Annotated[str, typer.Option(metavar="TEXT", help="A title for people; it need not be unique.")],
    data_source_id: Annotated[int, typer.Option(metavar="ID", help="The data source to create it in.")],
    primary_keys: Keys = None,
    only_id: OnlyId = False,
    as_json: Json = False,
) -> None:
    """Create a dataset.

    Its primary keys cannot be changed or looked up later.
    """
    one_form(as_json=as_json, only_id=only_id)
    with Databox() as client:
        made = client.datasets.create(title, data_source=data_source_id, primary_keys=keys_of(primary_keys))
    document = as_wire(DATASET, made)
    if primary_keys:
        document["primaryKeys"] = keys_of(primary_keys)
    show_made(document, as_json=as_json, only_id=only_id)


@app.command()
def ingestions(
    dataset_id: Id,
    page: Annotated[int, typer.Option(min=1, max=1_000_000_000, metavar="NUMBER", help="The page to show.")] = 1,
    page_size: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="Ingestions on a page.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show all pages.")] = False,
    as_json: Json = False,
) -> None:
    """List a dataset's ingestions."""
    with Databox() as client:
        first = client.datasets.list_ingestions(dataset_id, page_size=page_size)
        if everything:
            show_list(INGESTION_SUMMARY, list(first), as_json=as_json)
            return
        found = next(islice(first.by_page(), page - 1, None), None)
        items = found.items if found else ()
    hint = f"Page {page}, of {first.total:,} ingestions in all." if first.total is not None else f"Page {page}."
    show_list(INGESTION_SUMMARY, items, as_json=as_json, hint=hint)


@app.command()
def ingestion(
    dataset_id: Id,
    ingestion_id: Annotated[str, typer.Argument(metavar="INGESTION_ID", help="The ingestion's id.")],
    as_json: Json = False,
) -> None:
    """Show what became of one ingestion."""
    with Databox() as client:
        show_one(as_wire(INGESTION, client.datasets.get_ingestion(dataset_id, ingestion_id)), as_json=as_json)


@app.command()
def purge(dataset_id: Id, force: Force = False, as_json: Json = False) -> None:
    """Remove all rows of a dataset, for good.

    The dataset itself stays.
    """
    with Databox() as client:
        confirm(f"Remove all rows of dataset {dataset_id}, for good?", force)
        client.datasets.purge(dataset_id)
    show_one({"status": "success", "id": dataset_id, "message": "All rows removed."}, as_json=as_json)


@app.command()
def delete(dataset_id: Id, force: Force = False, as_json: Json = False) -> None:
    """Delete a dataset with its rows, for good."""
    with Databox() as client:
        confirm(f"Delete dataset {dataset_id} with its rows, for good?", force)
        client.datasets.delete(dataset_id)
    show_one({"status": "success", "id": dataset_id, "message": "Dataset deleted."}, as_json=as_json)
