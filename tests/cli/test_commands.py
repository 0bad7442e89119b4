"""All commands except ingest."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pytest

from databox.cli.store import store
from databox.config import Config
from databox.sandbox import Fault, Sandbox
from databox.secret import Secret
from tests.cli.conftest import Command, Terminal
from tests.ports import Port
from tests.programs import unmeasured
from tests.scripted import ScriptedServer, answer


def config() -> Path:
    return Path(os.environ["HOME"], ".config", "databox-cli", "config.json")


# auth


def test_login_stores_a_valid_key_for_its_owner_alone(command: Command, box: Sandbox) -> None:
    config().parent.mkdir(parents=True)
    config().write_text(json.dumps({"apiKey": "old", "apiUrl": box.url, "theme": "dark"}))
    config().chmod(0o644)
    done = command("auth", "login", stdin=f"{box.api_key}\n".encode())
    assert (done.code, done.err) == (0, "")
    assert "and valid" in done.out
    assert box.api_key not in done.out
    assert json.loads(config().read_text()) == {"apiKey": box.api_key, "apiUrl": box.url, "theme": "dark"}
    assert stat.S_IMODE(config().stat().st_mode) == 0o600
    assert list(config().parent.iterdir()) == [config()]
    assert command("auth", "validate").out == "The API key is valid.\n"


def test_login_takes_the_key_as_the_official_client_does(command: Command, box: Sandbox) -> None:
    config().parent.mkdir(parents=True)
    config().write_text(json.dumps({"apiUrl": box.url}))
    done = command("auth", "login", "--api-key", box.api_key, "--json")
    assert done.json == {"status": "success", "validated": True, "path": str(config())}


def test_a_wrong_key_is_not_stored(command: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    done = command("auth", "login", stdin=b"wrong-key-0123456789\n")
    assert done.code == 1
    assert "401" in done.err
    assert "wrong-key" not in done.out + done.err
    assert not config().exists()


def test_a_key_that_cannot_be_validated_now_is_stored(
    command: Command, closed_port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOX_API_URL", closed_port.url)
    monkeypatch.setattr("databox._sync.transport.wait_before_retry", lambda *_, **__: None)
    done = command("auth", "login", stdin=b"some-key-0123456789\n")
    assert done.code == 0
    assert "could not be validated" in done.err
    assert json.loads(config().read_text()) == {"apiKey": "some-key-0123456789", "apiUrl": closed_port.url}


REAL = {"apiKey": "pak_a-real-key-0123456789", "apiUrl": "https://api.databox.com"}


@pytest.mark.parametrize("stored", [REAL, {"apiKey": REAL["apiKey"]}, REAL | {"apiUrl": "http://127.0.0.1:1"}])
@pytest.mark.parametrize("arguments", [[], ["--api-key", "KEY"]])
def test_a_key_for_another_address_is_not_replaced_unasked(
    command: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch, stored: dict[str, str], arguments: list[str]
) -> None:
    """The official client would send the sandbox's key to the service, and the real key would be lost."""
    config().parent.mkdir(parents=True)
    config().write_text(json.dumps(stored))
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    given = [box.api_key if argument == "KEY" else argument for argument in arguments]
    done = command("auth", "login", *given, stdin=f"{box.api_key}\ny\n".encode())
    assert done.code == 2
    assert "holds a key for" in done.err
    assert "--force" in done.err
    assert "real-key" not in done.err
    assert json.loads(config().read_text()) == stored
    assert not box.requests
    done = command("auth", "login", *given, "--force", stdin=f"{box.api_key}\n".encode())
    assert done.code == 0
    assert json.loads(config().read_text()) == {"apiKey": box.api_key, "apiUrl": box.url}
    monkeypatch.delenv("DATABOX_API_URL")
    assert command("auth", "validate").code == 0


@pytest.mark.parametrize("answer", ["y", "n"])
def test_at_a_terminal_it_asks_before_it_replaces(
    command: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    config().parent.mkdir(parents=True)
    config().write_text(json.dumps(REAL))
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    monkeypatch.setattr("getpass.getpass", lambda _: box.api_key)
    monkeypatch.setattr("databox.cli.auth.sys", Terminal(f"{answer}\n"))
    monkeypatch.setattr("databox.cli.confirmation.sys", Terminal(f"{answer}\n"))
    done = command("auth", "login")
    assert "Replace both?" in done.err
    assert done.code == (0 if answer == "y" else 1)
    assert json.loads(config().read_text())["apiKey"] == (box.api_key if answer == "y" else REAL["apiKey"])


def test_a_key_for_the_same_address_is_replaced(command: Command, box: Sandbox) -> None:
    config().parent.mkdir(parents=True)
    config().write_text(json.dumps({"apiKey": "the-old-one", "apiUrl": f"{box.url}/"}))
    assert command("auth", "login", stdin=box.api_key.encode()).code == 0
    assert json.loads(config().read_text()) == {"apiKey": box.api_key, "apiUrl": f"{box.url}/"}


def test_a_sandboxs_key_is_never_put_beside_the_address_of_the_service(command: Command) -> None:
    for force in ([], ["--force"]):
        done = command("auth", "login", *force, stdin=b"sandbox-0123456789abcdef\n")
        assert done.code == 2
        assert "DATABOX_API_URL" in done.err
        assert not config().exists()


def test_a_key_as_an_argument_is_not_repeated(command: Command) -> None:
    for arguments in (["pak_made_up"], ["--api-key", "https://x.org", "pak_made_up"]):
        done = command("auth", "login", *arguments, stdin=b"pak_made_up\n")
        assert done.code == 2
        assert "pak_" not in done.out + done.err


def test_the_help_says_who_can_see_a_key_on_the_command_line(command: Command) -> None:
    said = " ".join(command("auth", "login", "--help").out.replace("│", " ").split())
    assert "Every user of this machine can see it" in said
    assert "standard input" in said


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_a_question_for_the_key_that_is_not_answered(
    command: Command, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def ended(_: str) -> str:
        raise end

    monkeypatch.setattr("getpass.getpass", ended)
    monkeypatch.setattr("databox.cli.auth.sys", Terminal(""))
    done = command("auth", "login")
    assert (done.code, done.out, done.err) == (1, "", "\nNothing was stored.\n")
    assert not config().exists()


def test_login_tells_of_a_key_in_the_environment(databox: Command, box: Sandbox) -> None:
    done = databox("auth", "login", stdin=box.api_key.encode())
    assert (done.code, done.err) == (0, "DATABOX_API_KEY is set, and takes precedence over the stored key.\n")


@pytest.mark.parametrize("stdin", [b"", b"\n", b"two words\n"])
def test_no_key_or_none_that_could_be_one(command: Command, stdin: bytes) -> None:
    done = command("auth", "login", stdin=stdin)
    assert done.code == 2
    assert done.err.startswith("Error: ")
    assert not config().exists()


def test_a_file_that_is_something_else_is_left_alone(
    command: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOX_API_URL", box.url)
    config().parent.mkdir(parents=True)
    config().write_text("[1, 2")
    done = command("auth", "login", stdin=box.api_key.encode())
    assert done.code == 2
    assert "left as it is" in done.err
    assert config().read_text() == "[1, 2"
    config().unlink()
    config().mkdir()
    done = command("auth", "login", stdin=box.api_key.encode())
    assert done.code == 2
    assert f"{config()} cannot be read: Is a directory" in done.err
    assert not box.requests


def test_a_key_half_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    store(path, Config(Secret("the-old-key"), "https://example.org"))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Exception, match="No space left"):
        store(path, Config(Secret("the-new-key"), "https://example.org"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "config.json").symlink_to(tmp_path / "real.json")
    store(tmp_path / "config.json", Config(Secret("the-key"), "https://example.org"))
    assert (tmp_path / "config.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["apiKey"] == "the-key"


def test_validate(databox: Command, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert databox("auth", "validate", "--json").json == {"status": "success"}
    monkeypatch.setenv("DATABOX_API_KEY", "not-the-key-at-all")
    done = command("auth", "validate", "--json")
    assert (done.code, done.json["statusCode"], done.json["errors"][0]["code"]) == (1, 401, "invalid_api_key")
    assert done.err.startswith("Error: GET /v1/auth/validate-key failed with status 401")


def test_without_a_key_it_says_how_to_get_one(command: Command) -> None:
    done = command("account", "list", "--json")
    assert done.code == 2
    assert done.json["status"] == "error"
    assert "databox auth login" in done.err


# account, data-source, dataset


def test_accounts_as_the_official_client_prints_them(databox: Command) -> None:
    found = databox("account", "list", "--json").json
    assert found[0] == {"id": 123456, "name": "Acme Corp", "accountType": "organization"}
    table = databox("account", "list").out.splitlines()
    assert table[0].split() == ["Id", "Name", "Account", "type"]
    assert table[1].split() == ["123456", "Acme", "Corp", "organization"]
    assert {"timezone": "Europe/Berlin", "offset": "UTC+1"} in databox("account", "timezones", "--json").json
    assert "Europe/Berlin" in databox("account", "timezones").out
    assert databox("account", "data-sources", "123456").out == "Nothing found.\n"
    assert databox("account", "data-sources", "123456", "--json").json == []


def test_the_whole_life_of_a_data_source(databox: Command, box: Sandbox) -> None:
    create = (
        "data-source",
        "create",
        "--title",
        "ERP – größer",
        "--account-id",
        "123456",
        "--timezone",
        "Europe/Berlin",
    )
    made = databox(*create, "--json").json
    assert (made["title"], made["timezone"], made["key"]) == ("ERP – größer", "Europe/Berlin", "ingestion")
    assert "ERP – größer" in databox("account", "data-sources", "123456").out
    sales = ("dataset", "create", "--title", "Sales", "--data-source-id", made["id"])
    dataset = databox(*sales, "--primary-keys", "day", "--primary-keys", "shop,till", "--json").json
    assert dataset["primaryKeys"] == ["day", "shop", "till"]
    assert json.loads(box.requests[-1].body)["primaryKeys"] == ["day", "shop", "till"]
    (listed,) = databox("data-source", "datasets", made["id"], "--json").json
    assert listed["id"] == dataset["id"]
    assert dataset["id"] in databox("data-source", "datasets", made["id"]).out
    assert "Sales" in databox(*sales).out

    rows = '[{"day": "2025-10-01", "shop": 1, "till": 2}]'
    assert databox("dataset", "ingest", dataset["id"], "--records", rows).code == 0
    (ingestion,) = databox("dataset", "ingestions", dataset["id"], "--json").json
    assert set(ingestion) == {"ingestionId", "timestamp", "status"}
    found = databox("dataset", "ingestion", dataset["id"], ingestion["ingestionId"], "--json").json
    assert found["metrics"]["ingestionMetrics"]["appendedRecordsCount"] == 1
    assert found["metrics"]["datasetMetrics"]["columnsCount"] == 3
    assert "Appended records count" in databox("dataset", "ingestion", dataset["id"], ingestion["ingestionId"]).out
    assert databox("dataset", "ingest", dataset["id"], "--records", '[{"day": "2025-10-02", "shop": null}]').code == 1
    *_, failed = databox("dataset", "ingestions", dataset["id"], "--json").json
    words = ("dataset", "ingestion", dataset["id"], failed["ingestionId"])
    (error,) = databox(*words, "--json").json["errors"]
    assert set(error) == {"code", "message", "field", "type"}
    assert f"{error['code']}: {error['message']}" in databox(*words).out

    assert databox("dataset", "purge", dataset["id"], "--force").code == 0
    assert box.rows(dataset["id"]) == []
    assert databox("dataset", "delete", dataset["id"], "--force", "--json").json["status"] == "success"
    assert databox("data-source", "delete", made["id"], "--force").code == 0
    assert databox("account", "data-sources", "123456", "--json").json == []


def test_a_script_gets_the_new_id_and_nothing_else(databox: Command) -> None:
    source = databox("data-source", "create", "--title", "[b]1[/b]", "--account-id", "123456", "--id")
    assert (source.code, source.err) == (0, "")
    found = databox("account", "data-sources", "123456", "--json").json
    assert [str(each["id"]) for each in found] == [source.out.removesuffix("\n")]
    create = ("dataset", "create", "--title", "Set", "--data-source-id", source.out.strip(), "--primary-keys", "id")
    dataset = databox(*create, "--id")
    (listed,) = databox("data-source", "datasets", source.out.strip(), "--json").json
    assert dataset.out == f"{listed['id']}\n"


def test_two_forms_of_one_result_are_refused_before_anything_is_created(databox: Command, box: Sandbox) -> None:
    before = len(box.requests)
    for create in (("data-source", "create"), ("dataset", "create", "--data-source-id", "1")):
        done = databox(*create, "--title", "T", "--id", "--json")
        assert (done.code, done.json["status"]) == (2, "error")
        assert "--json" in done.err
    assert len(box.requests) == before


@pytest.mark.slow
def test_pages_of_ingestions(databox: Command, dataset_id: str) -> None:
    for n in range(5):
        databox("dataset", "ingest", dataset_id, "-q", "--records", json.dumps([{"id": n}]))
    list_ = ("dataset", "ingestions", dataset_id, "--page-size", "2", "--json")
    pages = [databox(*list_, "--page", page).json for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [one for page in pages for one in page] == databox(*list_, "--all").json
    done = databox(*list_[:-1])
    assert "Page 1, of 5 ingestions in all." in done.err


@pytest.mark.parametrize(
    ("words", "route"), [("dataset purge", "purge"), ("dataset delete", "delete"), ("data-source delete", "delete")]
)
def test_what_cannot_be_undone_asks(databox: Command, box: Sandbox, dataset_id: str, words: str, route: str) -> None:
    id_ = 4754489 if words.startswith("data-source") else dataset_id
    before = len(box.requests)
    refused = databox(*words.split(), id_, stdin=b"n\n")
    assert (refused.code, refused.out) == (1, "")
    assert "for good?" in refused.err
    nobody = databox(*words.split(), id_)
    assert nobody.code == 2
    assert "--force" in nobody.err
    assert len(box.requests) == before
    agreed = databox(*words.split(), id_, "--json", stdin=b"y\n")
    assert (agreed.code, agreed.json["status"]) == (0, "success")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command"),
        (["account", "data-sources", "x"], "not a valid int"),
        (["account", "data-sources", "-5"], "No such option"),
        (["account", "data-sources", "0"], "The account id must be a positive"),
        (["data-source", "create", "--title", " "], "title is empty"),
        (["dataset", "create", "--title", "T", "--data-source-id", "1", "--primary-keys", "a,"], "empty"),
        (["dataset", "create", "--title", "T"], "--data-source-id"),
        (["dataset", "ingestions", " "], "The dataset id is empty. Is a variable of the shell not set?"),
        (["dataset", "ingestion", "x", ""], "The ingestion id is empty."),
    ],
)
def test_wrong_usage_sends_nothing(databox: Command, box: Sandbox, arguments: list[str], words: str) -> None:
    before = len(box.requests)
    done = databox(*arguments)
    assert done.code == 2
    assert words in done.err
    assert len(box.requests) == before
    assert databox(*arguments, "--json").json["status"] == "error"


def test_what_the_api_refuses(databox: Command, box: Sandbox) -> None:
    done = databox("data-source", "datasets", "999", "--json")
    assert (done.code, done.json["statusCode"]) == (1, 404)
    assert done.json["requestId"] in done.err
    box.inject(Fault("accounts.list", body="<html>proxy</html>", status=200))
    done = databox("account", "list")
    assert (done.code, done.out) == (1, "")
    assert "not JSON" in done.err


def test_an_interrupted_command_says_so(box: Sandbox) -> None:
    box.inject(Fault("accounts.list", delay=60))
    environ = unmeasured(DATABOX_API_KEY=box.api_key, DATABOX_API_URL=box.url)
    program = [sys.executable, "-W", "error", "-m", "databox.cli", "account", "list", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, env=environ, stdout=pipe, stderr=pipe, text=True) as running:
        while not box.requests:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        said, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (1, "Error: Interrupted.\n")
    assert json.loads(said)["status"] == "interrupted"


# doctor


def test_doctor_on_a_good_day(databox: Command, box: Sandbox) -> None:
    done = databox("doctor")
    assert done.code == 0
    assert box.api_key not in done.out + done.err
    for words in ("databox-sdk", "Python", "from DATABOX_API_KEY", box.url, "the API accepts the key", "agrees with"):
        assert words in done.out
    assert all(check["ok"] is not False for check in databox("doctor", "--json").json["checks"])


def test_doctor_names_libraries_that_are_missing(databox: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databox.cli.doctor._LIBRARIES", ("httpx", "no-such-library"))
    assert re.search(r"libraries +httpx \d\S*, no no-such-library\n", databox("doctor").out)


def test_doctor_on_bad_days(command: Command, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No API key" in command("doctor").out
    config().parent.mkdir(parents=True)
    config().write_text(json.dumps({"apiKey": "a-wrong-key-0123456789", "apiUrl": box.url}))
    config().chmod(0o644)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.invalid")
    done = command("doctor", "--json")
    checks = {check["name"]: check for check in done.json["checks"]}
    assert done.code == 1
    assert (checks["key file"]["ok"], checks["key check"]["ok"]) == (False, False)
    assert checks["proxy"]["detail"] == "set by HTTPS_PROXY"
    assert "wrong-key" not in done.out
    assert "secret" not in done.out


def test_doctor_sees_a_clock_that_is_off_and_a_network_that_is_down(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", "some-key-0123456789")
    with ScriptedServer() as server:
        server.will(answer(401, {}, {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}))
        monkeypatch.setenv("DATABOX_API_URL", server.url)
        assert "!! clock" in command("doctor").out
        assert "some-key" not in str(server.requests)
    assert "!! network" in command("doctor").out


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ALL_PROXY", "socks://user:secret@127.0.0.1:1080"), ("NO_PROXY", "[::1"), ("SSL_CERT_FILE", "/nowhere/ca.pem")],
)
def test_an_environment_that_cannot_be_used_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", "some-key-0123456789")
    monkeypatch.setenv("HTTPS_PROXY" if variable == "NO_PROXY" else "UNUSED", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    done = command("doctor", "--json")
    checks = {check["name"]: check for check in done.json["checks"]}
    assert (done.code, checks["environment"]["ok"]) == (1, False)
    assert checks["environment"]["detail"].startswith(f"{variable} cannot be used")
    assert "network" not in checks
    assert "secret" not in done.out
    done = command("account", "list")
    assert (done.code, done.out) == (2, "")
    assert f"{variable} cannot be used" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "x"]
)
def test_doctor_takes_no_clock_for_an_absurd_one(command: Command, monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    monkeypatch.setenv("DATABOX_API_KEY", "some-key-0123456789")
    with ScriptedServer() as server:
        server.will(answer(200, {"requestId": "r", "status": "success"}, {"Date": date}))
        monkeypatch.setenv("DATABOX_API_URL", server.url)
        done = command("doctor")
    assert (done.code, "clock" in done.out) == (0, False)


@pytest.mark.parametrize("number", [2**63, "9" * 400, "9" * 5000])
@pytest.mark.parametrize(
    "words",
    [
        "dataset ingest ID a.csv --skip-lines",
        "dataset ingest ID a.csv --skip-footer",
        "dataset ingest ID a.csv --max-field",
        "dataset ingest ID a.xlsx --sheet",
        "dataset ingestions ID --page",
        "sandbox --port 0 --processing-polls",
    ],
)
def test_a_number_that_nothing_can_have(
    databox: Command, dataset_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, number: object
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    book = openpyxl.Workbook()
    book.active.append(["a"])  # type: ignore[union-attr]
    book.save(tmp_path / "a.xlsx")
    done = databox(*words.replace("ID", dataset_id).split(), number)
    assert (done.code, "Error: " in done.err) == (2, True)


def test_completion_is_there(databox: Command) -> None:
    done = databox("--help")
    assert done.code == 0
    assert "--install-completion" in done.out
