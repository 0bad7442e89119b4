"""The page of errors has a section for every class and outcome, with the message that the library really produces.

`python -m tests.test_error_page` renews the messages in the page.
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import databox
from databox import Databox, IngestError
from databox.errors import DataboxError
from databox.report import Outcome
from databox.sandbox import Fault, Sandbox

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
_MASKED = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|req[-_]\w+|127\.0\.0\.1:\d+|Errno \d+|\d+\.\d s\b"
)  # what is different each time
ROWS = [{"id": 1, "total": 9.5}, {"id": 2, "total": 3.0}]
STATUSES = {
    "BadRequestError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "RequestTooLargeError": 413,
    "RateLimitError": 429,
    "ServerError": 503,
}
CLASSES = [
    name
    for name in databox.__all__
    if isinstance(kind := getattr(databox, name), type) and issubclass(kind, DataboxError)
]


def sections() -> dict[str, str]:
    """Return the text under each third-level heading, by its anchor on GitHub and on the site."""
    parts = re.split(r"^### (.+)\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", name).lower().replace(" ", "-"): body
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.fixture
def client(box: Sandbox) -> Iterator[Databox]:
    with Databox(box.api_key, box.url, rate_limit=None, max_retries=0, timeout=5) as client:
        yield client


def answered(status: int) -> Callable[[Databox, Sandbox], Any]:
    def provoke(client: Databox, box: Sandbox) -> None:
        box.inject(Fault("*", status=status))
        client.accounts.list()

    return provoke


def without_a_key(client: Databox, box: Sandbox) -> None:
    Databox("")


def nobody_there(client: Databox, box: Sandbox) -> None:
    gone = Sandbox().start()
    gone.close()
    with Databox("a-key", gone.url, max_retries=0) as alone:
        alone.accounts.list()


def too_slow(client: Databox, box: Sandbox) -> None:
    box.inject(Fault("*", delay=5.0))
    client.with_options(timeout=0.2).accounts.list()


def a_page_for_people(client: Databox, box: Sandbox) -> None:
    box.inject(Fault("*", status=200, body="<html>Sign in</html>"))
    client.accounts.list()


def dataset(client: Databox, keys: list[str] | None = None) -> databox.Dataset:
    return client.datasets.create("Orders", data_source=client.data_sources.create("Shop"), primary_keys=keys)


def infinite(client: Databox, box: Sandbox) -> None:
    made = dataset(client)
    client.datasets.create_ingestion(made.id, [{"id": 1, "total": float("inf")}])


def still_open(client: Databox, box: Sandbox) -> None:
    made = dataset(client)
    box.inject(Fault("get_ingestion", status=503))
    with Sandbox(processing_delay=3600) as slow, Databox(slow.api_key, slow.url) as patient:
        at = dataset(patient)
        receipt = patient.datasets.create_ingestion(at.id, ROWS)
        patient.datasets.wait_for_ingestion(at.id, receipt.ingestion_id, timeout=0.2)
    assert made


def ends_as(outcome: str) -> Callable[[Databox, Sandbox], Any]:
    def provoke(client: Databox, box: Sandbox) -> None:
        rows: list[dict[str, Any]] = ROWS
        if outcome == "ambiguous":
            box.inject(Fault("create_ingestion", drop="after"))
        if outcome == "failed":
            box.inject(Fault("create_ingestion", status=422, when={"column": "id", "value": 2}))
        if outcome == "invalid":
            rows = [ROWS[0], {"id": 2, "total": float("inf")}]
        client.datasets.ingest(dataset(client), rows, batch_size=1, concurrency=1, patience=0)

    return provoke


PROVOKED: dict[str, Callable[[Databox, Sandbox], Any]] = {
    **{name: answered(status) for name, status in STATUSES.items()},
    "ConfigurationError": without_a_key,
    "APIConnectionError": nobody_there,
    "APITimeoutError": too_slow,
    "InvalidResponseError": a_page_for_people,
    "InvalidRecordError": infinite,
    "IngestionTimeoutError": still_open,
    "IngestError": ends_as("failed"),
}
OUTCOMES = ["failed", "invalid", "ambiguous"]


def masked(text: str) -> str:
    return " ".join(_MASKED.sub("…", text).split())


def test_every_class_and_every_outcome_has_its_section() -> None:
    found = sections()
    assert set(CLASSES) - set(PROVOKED) == {"DataboxError", "APIError", "APIStatusError"}
    for name in [*CLASSES, *get_args(Outcome), "rejected", "uncounted", "unverified"]:
        assert "**Remedy:**" in found[name.lower()], name
        assert "**Cause:**" in found[name.lower()], name


@pytest.mark.parametrize("name", PROVOKED)
def test_the_message_of_a_class_is_what_the_library_says(
    name: str, client: Databox, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DATABOX_API_KEY", "DATABOX_API_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DataboxError) as caught:
        PROVOKED[name](client, box)
    assert type(caught.value).__name__ == name
    assert told(name) == masked(str(caught.value))


@pytest.mark.parametrize("word", OUTCOMES)
def test_the_message_of_an_outcome_is_what_the_library_says(word: str, client: Databox, box: Sandbox) -> None:
    with pytest.raises(IngestError) as caught:
        ends_as(word)(client, box)
    assert getattr(caught.value.report, word) > 0
    assert told(word) == masked(str(caught.value))
    (note,) = caught.value.__notes__
    assert f"databox.errors#{word}" in note
    assert set(re.findall(r"databox\.errors#([\w-]+)", note)) <= set(sections())


def told(name: str) -> str:
    block = re.search(r"^```text\n(.*?)^```", sections()[name.lower()], re.MULTILINE | re.DOTALL)
    assert block, name
    return masked(block[1])


def renewed(text: str) -> str:
    """Return the page with the messages that the library produces now."""
    for name, provoke in {**PROVOKED, **{word: ends_as(word) for word in OUTCOMES}}.items():
        with Sandbox() as box, Databox(box.api_key, box.url, rate_limit=None, max_retries=0, timeout=5) as client:
            try:
                provoke(client, box)
            except DataboxError as error:
                lines = [
                    textwrap.fill(_MASKED.sub("…", line), 76, break_on_hyphens=False)
                    for line in str(error).splitlines()
                ]
                said = "\n".join(lines)
        before, _, after = text.partition(f"\n### {name}\n\n```text\n")
        rest = after.partition("\n```")[2]
        text = f"{before}\n### {name}\n\n```text\n{said}\n```{rest}"
    return text


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
