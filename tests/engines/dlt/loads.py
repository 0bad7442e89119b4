"""What tests of the dlt destination have in common."""

from collections.abc import Callable
from typing import Any

import dlt
import pytest
from dlt.common.destination.exceptions import DestinationException
from dlt.pipeline.exceptions import PipelineStepFailed

from databox import Databox, DataSource
from databox.sandbox import Sandbox

ROWS = [{"id": n, "amount": n * 1.5} for n in range(250)]
NOW = {"Retry-After": "0"}


def table(rows: Any = ROWS, *, name: str = "orders", key: str | None = "id", **hints: Any) -> Any:
    hints |= {"primary_key": key} if key else {}
    return dlt.resource(rows, name=name, **({"write_disposition": "merge" if key else "append"} | hints))


def stored(box: Sandbox, client: Databox, source: DataSource, name: str = "orders") -> list[dict[str, Any]]:
    (dataset,) = (dataset for dataset in client.data_sources.list_datasets(source) if dataset.title == name)
    return sorted(box.rows(dataset), key=lambda row: row.get("id", 0))


def sent(box: Sandbox) -> list[bytes]:
    return [request.body for request in box.requests if request.method == "POST" and request.path.endswith("/data")]


def cause(failure: pytest.ExceptionInfo[PipelineStepFailed], kind: type[Exception]) -> str:
    """What the destination raised."""
    error: BaseException | None = failure.value
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    assert error is not None, f"{failure.value!r} does not stem from {kind.__name__}"
    return str(error)


def refused(run: Callable[[], object]) -> str:
    """What the destination says when it cannot load, as dlt shows it: without the way that it came by."""
    with pytest.raises(PipelineStepFailed) as failure:
        run()
    message = cause(failure, DestinationException)
    assert message in str(failure.value)
    assert "Traceback" not in str(failure.value)
    return message
