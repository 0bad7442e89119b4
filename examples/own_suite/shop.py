"""A user's program, which the tests next to it check: it sends orders to Databox, and keeps those left over."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from databox import Databox, IngestError

KEYS = ["order"]


def send(dataset_id: str, orders: Iterable[Mapping[str, Any]], left_over: Path) -> str:
    """Send orders; return a sentence for the operator. Orders that did not arrive are in the file `left_over`.

    Raises:
        AuthenticationError: the key is wrong. Nothing was sent.
    """
    with Databox() as client:
        client.auth.validate_key()
        try:
            report = client.datasets.ingest(dataset_id, orders, primary_keys=KEYS, dead_letter=left_over)
        except IngestError as error:
            report = error.report
            return f"{report.appended + report.overwritten} of {report.rows} orders arrived. See {left_over.name}."
    return f"All {report.rows} orders arrived."
