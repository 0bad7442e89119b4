"""The recorder against the sandbox: a complete walk, failures, interrupts, and what the recorder removes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databox.sandbox import Fault, Sandbox
from tests.programs import unmeasured
from tests.sandbox.http import sources
from tools.contract.description import Description, contradictions
from tools.contract.record import OPT_IN, main, provenance_of
from tools.contract.recording import Message, Recording, RecordingError, read, read_all, write
from tools.contract.redaction import redacted
from tools.contract.steps import STEPS
from tools.spec.project import Project

Record = Callable[..., int]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "emulated"


@pytest.fixture
def record(box: Sandbox, out: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Runs the recorder against the sandbox in this process."""
    monkeypatch.setenv(OPT_IN, "1")
    monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
    return lambda *more: main(["--base-url", box.url, "--out", str(out), *more])


def test_a_whole_walk(record: Record, box: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record() == 0
    found = read_all("emulated", folder=out.parent)
    assert {item.name for item in found} == {step.name for step in STEPS}
    assert {item.operation for item in found} == {step.operation for step in STEPS}
    assert len({item.operation for item in found}) == 13
    published = Description.published()
    for item in found:
        problems = published.response_problems(
            item.operation, item.status, item.response.content, item.response.content_type
        )
        assert contradictions(problems) == [], item.name
        assert list(item.deviations) == [problem.text for problem in problems]
    assert {item.provenance for item in found} == {"emulated"}
    refused = {step.name for step in STEPS if step.refused}
    assert {item.name for item in found if item.status != 200} == refused
    assert sources(box) == 0
    said = capsys.readouterr().out
    assert "emulated" in said
    assert ("not as described" in said) is any(item.deviations for item in found)


def test_nothing_private_is_written(record: Record, box: Sandbox, out: Path) -> None:
    record("--account", "123457")
    written = "".join(path.read_text("utf-8") for path in out.iterdir())
    for private in (box.api_key, "123456", "123457", "Acme Corp", "Bright Agency", "Corner Shop", "127.0.0.1"):
        assert private not in written
    (account,) = read(out / "list-accounts.json").response.body["accounts"]
    made = read(out / "create-data-source.json")
    assert read(out / "list-data-sources.json").path == f"/v1/accounts/{account['id']}/data-sources"
    assert made.request.body["accountId"] == account["id"]
    assert read(out / "list-datasets.json").path == f"/v1/data-sources/{made.response.body['id']}/datasets"


@pytest.mark.parametrize("said", [None, "", "0", "yes please"])
def test_it_records_only_when_told_to(
    record: Record, box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str | None
) -> None:
    if said is None:
        monkeypatch.delenv(OPT_IN)
    else:
        monkeypatch.setenv(OPT_IN, said)
    assert record() == 2
    assert f"{OPT_IN}=1" in capsys.readouterr().err
    assert len(box.requests) == 0


@pytest.mark.parametrize(
    ("base_url", "provenance"),
    [
        ("https://api.databox.com", "live"),
        ("http://api.databox.com", "emulated"),
        ("https://api.databox.com.example.org", "emulated"),
        ("https://api.databox.com/mirror", "emulated"),
        ("http://127.0.0.1:8700", "emulated"),
    ],
)
def test_only_the_real_service_is_live(base_url: str, provenance: str) -> None:
    assert provenance_of(base_url) == provenance


def test_without_a_key_or_over_an_open_network_nothing_is_sent(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--base-url", "http://databox.invalid"]) == 2
    assert "https" in capsys.readouterr().err
    monkeypatch.delenv("DATABOX_API_KEY")
    assert record() == 2
    assert "No API key" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault",
    [
        Fault("accounts.list", status=500),
        Fault("data_sources.create", status=502),
        Fault("data_sources.create", drop="before"),
        Fault("data_sources.create", drop="after"),
        Fault("data_sources.create", body={"requestId": "r", "status": "success"}),
        Fault("datasets.create", status=500),
        Fault("datasets.create", drop="after"),
        Fault("datasets.create", status=200, body="<p>hello</p>"),
        Fault("create_ingestion", status=200, body={"status": "error", "errors": [{"code": "processing_failed"}]}),
        Fault("get_ingestion", drop="before"),
        Fault("list_timezones", status=429),
        Fault("datasets.delete", status=500, times=1),
    ],
    ids=lambda fault: f"{fault.operation}-{fault.drop or fault.status or 'body'}",
)
def test_what_was_made_is_removed_after_a_failure(
    record: Record, box: Sandbox, out: Path, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    out.mkdir()
    (out / "earlier.json").write_text("{}")
    box.inject(fault)
    assert record() == 1
    assert sources(box) == 0
    assert [path.name for path in out.iterdir()] == ["earlier.json"]
    said = capsys.readouterr().err
    operation = next(step.operation for step in STEPS if step.name in said)
    assert operation in said
    assert "Nothing was written" in said
    assert box.api_key not in said


@pytest.mark.slow
def test_passing_faults_are_waited_out(record: Record, box: Sandbox) -> None:
    box.inject(Fault("*", status=503, times=2))
    box.inject(Fault("datasets.create", status=429, headers={"retry-after": "0"}, times=1))
    assert record() == 0


def test_cleaning_up_is_tried_again(record: Record, box: Sandbox) -> None:
    box.inject(Fault("datasets.create", status=500))
    box.inject(Fault("data_sources.delete", drop="before", times=1))
    box.inject(Fault("data_sources.delete", status=503, times=1))
    box.inject(Fault("list_data_sources", status=500, times=1))
    assert record() == 1
    assert sources(box) == 0


def test_what_cannot_be_removed_is_named(record: Record, box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    box.inject(Fault("datasets.create", status=500))
    box.inject(Fault("data_sources.delete", status=500))
    assert record() == 1
    said = capsys.readouterr()
    title = said.out.partition("titled '")[2].partition("'")[0]
    assert "is left" in said.err
    assert title in said.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_made_is_removed_after_an_interrupt(box: Sandbox, out: Path, number: signal.Signals) -> None:
    box.inject(Fault("create_ingestion", delay=30))
    command = [sys.executable, "-m", "tools.contract.record", "--base-url", box.url, "--out", str(out)]
    environ = unmeasured(**{OPT_IN: "1"}, DATABOX_API_KEY=box.api_key)
    with subprocess.Popen(command, cwd=Project().root, env=environ, stderr=subprocess.PIPE, text=True) as process:
        while not any(request.operation == "datasets.create_ingestion" for request in box.requests):
            assert process.poll() is None
            time.sleep(0.01)
        assert sources(box) == 1
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said == "Nothing was written. Interrupted. What it made is removed.\n"
    assert sources(box) == 0
    assert not out.exists()


@pytest.mark.slow
def test_recordings_that_no_step_makes_any_more_go(record: Record, out: Path) -> None:
    out.mkdir()
    earlier = write(recorded({}, recorded="2026-01-01"), out)
    (out / "somebody's.json").write_text("{}")
    assert record() == 0
    assert not earlier.exists()
    assert (out / "somebody's.json").exists()


@pytest.mark.slow
def test_an_open_ingestion_is_recorded_too(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPT_IN, "1")
    with Sandbox(processing_polls=1) as box:
        monkeypatch.setenv("DATABOX_API_KEY", box.api_key)
        assert main(["--base-url", box.url, "--out", str(out)]) == 0
    assert read(out / "get-ingestion-open.json").response.body["status"] == "processing"
    assert read(out / "get-ingestion.json").response.body["metrics"]["ingestionMetrics"]["appendedRecordsCount"] == 3


def test_an_answer_that_is_not_as_described_says_so(
    record: Record, box: Sandbox, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"requestId": "r", "status": "success", "datasets": [{"id": 5, "title": None, "owner": "Jane Doe"}]}
    box.inject(Fault("list_datasets", status=200, body=body, times=1))
    assert record() == 0
    found = read(out / "list-datasets.json")
    assert found.response.body["datasets"][0]["owner"].startswith("Redacted")
    assert any("datasets[].owner is not described" in deviation for deviation in found.deviations)
    assert any("is not of type 'string'" in deviation for deviation in found.deviations)
    assert found.deviations[0] in capsys.readouterr().out


def recorded(body: Any = None, text: str | None = None, **given: Any) -> Recording:
    message = Message(given.pop("headers", {}), body, text) if text is None else Message({}, text=text)
    plain = {"name": "n", "operation": "GET /v1/accounts", "provenance": "emulated", "source": "s", "method": "GET"}
    rest: dict[str, Any] = {"path": "/v1/accounts", "query": {}, "request": Message(), "status": 200}
    return Recording(**{**plain, **rest, "response": message} | given)


def hidden(*recordings: Recording) -> str:
    found = redacted(recordings, key="secret/key-1", title="ours", account_id=7654321)
    return json.dumps([item.document() for item in found])


MAIL = "jane.doe@mail.example.org"
NETWORK = "<p>Your address 203.0.113.77 or 2001:db8:85a3:0:0:8a2e:370:7334"
SECRETS = [
    recorded({"accounts": [{"id": 7654321, "name": "Jane Doe"}, {"id": 5550001, "name": "Other Ltd"}]}),
    recorded({"dataSources": [{"id": 1, "title": "Payroll"}, {"id": 9876543, "title": "ours", "by": "Jane Doe"}]}),
    recorded({"errors": [{"code": "forbidden", "message": f"Jane Doe <{MAIL}> may not see 7654321."}]}),
    recorded({"errors": [{"message": "Key secret/key-1 or secret%2Fkey-1 or pak_0 is wrong."}]}),
    recorded(text=f"{NETWORK}, ask {MAIL}"),
    recorded({"owner": {"phone": 5551234567, "tags": ["Jane Doe"]}, "accountId": "7654321"}),
    recorded({}, path="/v1/accounts/7654321/data-sources"),
    recorded({}, headers={"x-request-id": MAIL}),
]
PRIVATE = ["Jane Doe", "7654321", "5550001", "Other Ltd", "Payroll", "9876543", "jane.doe", "5551234567"]


@pytest.mark.parametrize("private", [*PRIVATE, "secret", "pak_0", "203.0", "2001:db8"])
def test_redaction(private: str) -> None:
    assert private in json.dumps([item.document() for item in SECRETS])
    assert private not in hidden(*SECRETS)


def test_redaction_is_consistent_and_keeps_what_the_api_says() -> None:
    entry = {"code": "not_found", "message": "The dataset does not exist.", "field": "datasetId", "type": "validation"}
    kept = {"requestId": "r-1", "status": "error", "errors": [entry], "created": "2025-10-01T12:00:00.000000Z"}
    counts = {"metrics": {"ingestionMetrics": {"receivedRecordsCount": 100}}, "page": 3, "ingestionSupported": True}
    (whole,) = redacted([recorded(kept | counts)], key="k" * 9, title="ours", account_id=1)
    assert whole.response.body == kept | counts
    text = hidden(*SECRETS)
    assert text.count("100001") == 4  # the account: listed, in words, as a text, in a path
    assert text.count("person1@example.com") == 3


def test_redaction_replaces_one_name_by_one_placeholder() -> None:
    found = json.loads(hidden(*SECRETS))
    name = found[0]["response"]["body"]["accounts"][0]["name"]
    assert found[1]["response"]["body"]["dataSources"][0]["by"] == name
    assert found[2]["response"]["body"]["errors"][0]["message"].startswith(name)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"provenance": "made up"}, "made up"),
        ({"operation": "Accounts_GetAccounts"}, "Accounts_GetAccounts"),
        ({"extra": 1}, "extra"),
        ({"request": {"method": "GET"}}, "'path' is a required property"),
        ({"response": {"status": 42, "headers": {}}}, "42"),
        ({"request": {"method": "GET", "path": "/v1/accounts", "headers": {"x-api-key": "a-key"}}}, "x-api-key"),
        ({"deviations": []}, "deviations"),
        ({"recorded": "yesterday"}, "yesterday"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    path = write(recorded({}, recorded="2026-01-01"), tmp_path)
    assert read(path) == recorded({}, recorded="2026-01-01")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordingError, match=named):
        read(path)


def test_a_recording_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    write(recorded({}, recorded="2026-01-01"), tmp_path / "live")
    with pytest.raises(RecordingError, match=r"n\.json|another provenance"):
        read_all("live", folder=tmp_path)
