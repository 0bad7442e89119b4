# Derived from databox/_async/datasets.py by tools/unasync.py; edit that one.
"""Datasets and their ingestions: one short method for each operation, and the two that combine several.

The modules that encode and ingest are imported where they are used, so that programs that do not need them do not
pay for the import.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import attrs

from databox._sync.page import Page
from databox._sync.resources import Resource, found_or_made, pick
from databox._sync.runtime import sleep
from databox.api import operations
from databox.api.answers import Listing
from databox.api.arguments import (
    data_source_id_of,
    dataset_id_of,
    ingestion_id_of,
    keys_of,
    keys_to_ingest_by,
    page_size_of,
    seconds_of,
    text_of,
)
from databox.api.documented import MAX_RECORDS, SAFE_BODY_BYTES
from databox.errors import DataboxError, IngestionTimeoutError, NotFoundError
from databox.forks import undivided
from databox.ingest.options import OnAmbiguous, OnRefusal, Verify
from databox.models import Dataset, DataSource, Ingestion, IngestionReceipt, IngestionSummary

if TYPE_CHECKING:
    from databox.report import IngestProgress, IngestReport

__all__ = ["Datasets"]


class Datasets(Resource):
    """Tables of rows."""

    def create(
        self, title: str, *, data_source: int | DataSource, primary_keys: Sequence[str] | None = None
    ) -> Dataset:
        """Return a new, empty dataset (API: Create a dataset).

        It is retried only if the first request certainly had no effect, because titles are not unique.

        Args:
            title: a name for people; any number of datasets may share one.
            data_source: the data source to create it in, as an id or an object.
            primary_keys: the columns that identify a row. With them, a row that is sent twice is stored once. They
                cannot be changed or retrieved later.

        Raises:
            TypeError, ValueError: an argument cannot be sent; nothing was sent.
            APIError: the request failed. After a lost answer or a 5xx, check whether it exists before you try again,
                or use `ensure`.
        """
        return self._transport.send(
            operations.datasets_create(
                text_of("title", title),
                data_source_id=data_source_id_of(data_source),
                primary_keys=keys_of(primary_keys),
            )
        )

    def ensure(
        self, title: str, *, data_source: int | DataSource, primary_keys: Sequence[str] | None = None
    ) -> Dataset:
        """Return the data source's dataset with this title, and create it if there is none.

        Args:
            title: compared exactly.
            data_source: the data source to search, and to create it in, as an id or an object.
            primary_keys: for a new one. For an existing one they cannot be checked, because v1 does not report them;
                the client trusts them, and the result says so (`primary_keys_assumed`).

        Raises:
            DataboxError: several have this title; the message lists their ids.
            APIError: a request failed.
        """
        keys = keys_of(primary_keys)
        source = data_source_id_of(data_source)

        def found() -> Dataset | None:
            listing = self._transport.send(operations.data_sources_list_datasets(source))
            dataset = pick("dataset", title, listing.items)
            return dataset and attrs.evolve(dataset, primary_keys=keys, primary_keys_assumed=keys is not None)

        return found_or_made(found, lambda: self.create(title, data_source=source, primary_keys=keys))

    def delete(self, dataset: str | Dataset) -> None:
        """Delete a dataset with its rows, permanently (API: Delete a dataset).

        Args:
            dataset: the id or the object.

        Raises:
            TypeError, ValueError: the id is not valid; nothing was sent.
            APIError: the request failed.
        """
        self._transport.send(operations.datasets_delete(dataset_id_of(dataset)))

    def purge(self, dataset: str | Dataset) -> None:
        """Remove all rows of a dataset permanently, and keep the dataset (API: Purge a dataset).

        Args:
            dataset: the id or the object.

        Raises:
            TypeError, ValueError: the id is not valid; nothing was sent.
            APIError: the request failed.
        """
        self._transport.send(operations.datasets_purge(dataset_id_of(dataset)))

    def create_ingestion(self, dataset: str | Dataset, records: Iterable[Mapping[str, Any]]) -> IngestionReceipt:
        """Return the API's receipt for one batch of rows, sent in one request (API: Create an ingestion).

        Accepted is not stored: `wait_for_ingestion` returns the outcome. A request whose answer was lost is
        never retried. For more rows, retries and a report, use `ingest`.

        Args:
            dataset: the id or the object.
            records: 1 to 100 rows, each a mapping from column to value.

        Raises:
            InvalidRecordError: a row cannot be encoded, or there are no or too many rows; nothing was sent.
            TypeError, ValueError: the id is not valid; nothing was sent.
            APIError: the request failed.
        """
        with undivided:
            from databox.ingest.batch import body_of_one_request

        dataset_id, body = dataset_id_of(dataset), body_of_one_request(records)
        return self._transport.send(operations.datasets_create_ingestion(dataset_id, body, repeatable=False))

    def list_ingestions(self, dataset: str | Dataset, *, page_size: int | None = None) -> Page[IngestionSummary]:
        """Return a dataset's ingestions, page by page (API: List ingestions). Their order is not documented.

        Args:
            dataset: the id or the object.
            page_size: items per request; defaults to the API's default, about 100.

        Raises:
            TypeError, ValueError: an argument cannot be sent; nothing was sent.
            APIError: a request failed.
        """
        dataset_id = dataset_id_of(dataset)
        size = page_size_of(page_size)

        def fetch(number: int) -> Listing[IngestionSummary]:
            return self._transport.send(operations.datasets_list_ingestions(dataset_id, page=number, page_size=size))

        first = operations.datasets_list_ingestions(dataset_id, page=None, page_size=size)
        return Page(self._transport.send(first), fetch, path=first.path, asked_size=size)

    def get_ingestion(
        self, dataset: str | Dataset, ingestion_id: str | IngestionReceipt | IngestionSummary | Ingestion
    ) -> Ingestion:
        """Return the current state of an ingestion (API: Retrieve an ingestion).

        Args:
            dataset: the id or the object.
            ingestion_id: the id, or a receipt or summary that contains it.

        Raises:
            TypeError, ValueError: an id is not valid; nothing was sent.
            APIError: the request failed, or its answer is about another ingestion (InvalidResponseError).
        """
        return self._transport.send(
            operations.datasets_get_ingestion(dataset_id_of(dataset), ingestion_id_of(ingestion_id))
        )

    def wait_for_ingestion(
        self,
        dataset: str | Dataset,
        ingestion_id: str | IngestionReceipt | IngestionSummary | Ingestion,
        *,
        timeout: float = 300.0,
    ) -> Ingestion:
        """Return an ingestion once its outcome is known: rows counted, or errors.

        It polls at growing intervals, because each poll counts towards the key's limit.

        Args:
            dataset: the id or the object.
            ingestion_id: the id, or a receipt or summary that contains it. For a receipt, a 404 is retried, because
                an ingestion that was just accepted may not be visible yet.
            timeout: the maximum number of seconds to wait.

        Raises:
            IngestionTimeoutError: the outcome was still open when time ran out; the error contains the last state.
            TypeError, ValueError: an argument is invalid; nothing was sent.
            APIError: a request failed, or its answer is about another ingestion (InvalidResponseError).
        """
        with undivided:
            from databox.ingest.settle import is_settled, poll_waits

        end = time.monotonic() + seconds_of("timeout", timeout)
        waits = poll_waits()
        while True:
            problem: DataboxError
            try:
                ingestion = self.get_ingestion(dataset, ingestion_id)
            except NotFoundError as error:
                if not isinstance(ingestion_id, IngestionReceipt):
                    raise
                problem = error  # an ingestion with a receipt exists, but may not be visible yet
            else:
                if is_settled(ingestion):
                    return ingestion
                problem = IngestionTimeoutError(
                    f"Ingestion {ingestion.id} has no outcome after {timeout} seconds; its status is "
                    f"{ingestion.status!r}. Its rows may still be stored: ask again later.",
                    ingestion=ingestion,
                )
            left = end - time.monotonic()
            if left <= 0:
                raise problem
            sleep(min(next(waits), left))

    def ingest(
        self,
        dataset: str | Dataset,
        records: Iterable[Any],
        *,
        primary_keys: Sequence[str] | None = None,
        batch_size: int = MAX_RECORDS,
        max_batch_bytes: int = SAFE_BODY_BYTES,
        concurrency: int = 4,
        verify: Verify | None = "counts",
        verify_timeout: float = 300.0,
        patience: float = 300.0,
        on_refusal: OnRefusal = "isolate",
        raise_on_failure: bool = True,
        dead_letter: str | PathLike[str] | None = None,
        journal: str | PathLike[str] | None = None,
        on_ambiguous: OnAmbiguous = "auto",
        progress: "Callable[[IngestProgress], object] | None" = None,
    ) -> "IngestReport":
        """Send any number of rows in batches, verify that they are stored, and return a report; memory use is constant.

        Args:
            dataset: the id or the object.
            records: the rows: mappings, dataclasses, attrs and pydantic objects, named tuples, or a pandas, Polars,
                PyArrow or DuckDB table. They are read as they are needed.
            primary_keys: the keys that the dataset was created with; defaults to those of the Dataset object. Rows with
                the same key reach the server in order. v1 does not report a dataset's keys, so unless it was created
                with `create`, the client trusts the keys that you pass.
            batch_size: rows per request, 1 to 100.
            max_batch_bytes: the maximum size of a request body, in bytes.
            concurrency: the maximum number of requests in flight, 1 to 100.
            verify: "counts" fetches the outcome of each batch; "status" reads the list of ingestions, one request per
                page, which says less; None stops at accepted.
            verify_timeout: seconds to wait for outcomes after the last batch. Each outcome is requested at least once,
                however long that takes at the limits; 0 does not wait.
            patience: seconds to wait while the service is down: sending pauses, and one batch is retried at growing
                intervals. When time runs out, the run stops, and the rest stays unsent. 0 does not wait: a batch fails
                when its own attempts are used up.
            on_refusal: what to do if a batch is refused because of its content (400, 413, 422): "isolate" sends it
                again in smaller and smaller parts, so that only the rows at fault fail, up to 100 per run; "report"
                lets the batch fail as a whole.
            raise_on_failure: whether to raise an error if the report is not `ok`.
            dead_letter: a file for the rows that were not stored and may be sent again unchanged; pass it to `ingest`
                later. `<dead_letter>.reasons.jsonl` lists all rows that were not stored, and why. Both are appended
                to.
            journal: a file that records what was sent, so that a second run resumes where the first stopped.
            on_ambiguous: what to do if the answer to a batch was lost: "resend" it, "report" it, or "auto": resend
                if there are primary keys, which make that harmless.
            progress: called with an IngestProgress after each answer.

        Raises:
            IngestError: not every row was stored, or the source raised; its `report` says which rows were.
            ConfigurationError: the journal belongs to another input or dataset, or a file cannot be written.
            TypeError, ValueError: an argument is invalid; nothing was sent.
        """
        with undivided:
            from databox._sync.ingest import Ingest
            from databox.ingest.settings import Settings

        keys, assumed = keys_to_ingest_by(dataset, primary_keys)
        settings = Settings(
            primary_keys=keys,
            keys_assumed=assumed,
            batch_size=batch_size,
            max_batch_bytes=max_batch_bytes,
            concurrency=concurrency,
            verify=verify,
            verify_timeout=verify_timeout,
            patience=patience,
            on_refusal=on_refusal,
            dead_letter=dead_letter,
            journal=journal,
            on_ambiguous=on_ambiguous,
            progress=progress,
        )
        report = Ingest(self._transport, dataset_id_of(dataset), settings)(records)
        if raise_on_failure:
            report.raise_for_failures()
        return report
