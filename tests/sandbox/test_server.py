"""The sandbox as a thing to have: faults, recording, limits, starting, stopping, the command."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from databox.sandbox import Fault, Sandbox


def get(box: Sandbox, path: str = "/v1/accounts") -> httpx.Response:
    return httpx.get(box.url + path, headers={"x-api-key": box.api_key})


def create(box: Sandbox) -> httpx.Response:
    return httpx.post(box.url + "/v1/data-sources", headers={"x-api-key": box.api_key}, json={"title": "S"})


def sources(box: Sandbox) -> int:
    return len(get(box, "/v1/accounts/123456/data-sources").json()["dataSources"])


def test_a_status_instead_of_the_effect(box: Sandbox) -> None:
    box.inject(Fault("data_sources.create", status=503, headers={"retry-after": "1"}, times=1))
    answer = create(box)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["errors"][0]["code"] == "service_unavailable"
    assert sources(box) == 0
    assert create(box).status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ({"status": "error"}, "application/json", '{"status":"error"}'),
        ("<html>", "text/html; charset=utf-8", "<html>"),
        ("plain", "text/plain; charset=utf-8", "plain"),
        (b"\xff", "text/plain; charset=utf-8", "\ufffd"),
    ],
)
def test_any_body(box: Sandbox, body: Any, kind: str, text: str) -> None:
    box.inject(Fault("*", body=body))
    answer = get(box)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (200, kind, text)


def test_a_redirect_and_an_odd_status(box: Sandbox) -> None:
    box.inject(Fault("accounts.list", status=302, headers={"location": "/x"}, times=1))
    box.inject(Fault("accounts.list", status=520, times=1))
    assert [get(box).status_code for _ in range(3)] == [302, 520, 200]


@pytest.mark.parametrize(("drop", "made"), [("before", 0), ("after", 1)])
def test_a_dropped_connection(box: Sandbox, drop: Any, made: int) -> None:
    box.inject(Fault("create", drop=drop, times=1))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        create(box)
    assert sources(box) == made
    assert box.requests[0].status is None


def test_a_delay(box: Sandbox) -> None:
    box.inject(Fault("list", delay=0.2, times=1))
    started = time.monotonic()
    assert get(box).status_code == 200
    assert time.monotonic() - started >= 0.2


def test_names_of_operations(box: Sandbox) -> None:
    box.inject(Fault("delete", status=500, times=2))
    box.inject(Fault("datasets.create", status=500, times=1))
    headers = {"x-api-key": box.api_key}
    assert httpx.delete(box.url + "/v1/datasets/x", headers=headers).status_code == 500
    assert httpx.delete(box.url + "/v1/data-sources/1", headers=headers).status_code == 500
    assert create(box).status_code == 200


@pytest.mark.parametrize(
    "options",
    [
        {"operation": "fly"},
        {"operation": "*", "status": 99},
        {"operation": "*", "status": 600},
        {"operation": "*", "probability": 1.5},
        {"operation": "*", "times": 0},
        {"operation": "*", "delay": -1},
        {"operation": "*", "drop": "during"},
    ],
)
def test_faults_that_are_none(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each names its own field
        Fault(**options)


def test_chances_come_from_the_seed() -> None:
    def statuses(seed: int) -> list[int]:
        with Sandbox(seed=seed) as box, httpx.Client(headers={"x-api-key": box.api_key}) as http:
            box.inject(Fault("*", status=500, probability=0.5))
            return [http.get(box.url + "/v1/accounts").status_code for _ in range(40)]

    first = statuses(1)
    assert set(first) == {200, 500}
    assert statuses(1) == first != statuses(2)


def test_requests_are_recorded_and_the_key_is_masked(box: Sandbox) -> None:
    httpx.post(box.url + "/v1/data-sources?a=b", headers={"x-api-key": box.api_key}, json={"title": "S"})
    get(box, "/nothing%20here")
    first, second = box.requests
    assert (first.method, first.path, first.query, first.status) == ("POST", "/v1/data-sources", {"a": "b"}, 200)
    assert (first.operation, first.json) == ("data_sources.create", {"title": "S"})
    assert first.headers["x-api-key"] == "***"
    assert (second.path, second.operation, second.json, second.status) == ("/nothing%20here", None, None, 404)
    assert box.api_key not in repr(box.requests)


def test_resetting(box: Sandbox) -> None:
    create(box)
    box.inject(Fault("*", status=500))
    box.reset()
    assert len(box.requests) == 0
    assert sources(box) == 0


def test_the_limit_is_kept() -> None:
    with Sandbox(rate_limit=(3, 5)) as box:
        statuses = [get(box).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = get(box)
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["errors"][0]["code"] == "rate_limited"
        time.sleep(1.05)
        assert [get(box).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("limit", [0, (1, 0), (1, 2, 3), -5])
def test_limits_that_are_none(limit: Any) -> None:
    with pytest.raises(ValueError, match="rate_limit"):
        Sandbox(rate_limit=limit)


def test_a_real_key_is_refused() -> None:
    with pytest.raises(ValueError, match="real"):
        Sandbox(api_key="pak_1")


def test_it_starts_and_stops_quickly_and_leaves_no_thread() -> None:
    before = threading.active_count()
    started = time.monotonic()
    with Sandbox() as one, Sandbox() as two:
        assert one.url != two.url
        one.inject(Fault("*", delay=30))
        hanging = threading.Thread(target=lambda: pytest.raises(httpx.HTTPError, get, one))
        hanging.start()
        while not one.requests:
            time.sleep(0.01)
    hanging.join()
    assert time.monotonic() - started < 3
    assert threading.active_count() == before


def test_it_can_be_started_once_at_a_time() -> None:
    box = Sandbox()
    with box, pytest.raises(RuntimeError):
        box.start()
    with box:
        assert get(box).status_code == 200


def test_state_between_runs(tmp_path: Path) -> None:
    state = tmp_path / "world.sqlite"
    with Sandbox(state=state) as box:
        create(box)
    with Sandbox(state=state) as box:
        assert sources(box) == 1


# The command


def command(*arguments: str) -> "subprocess.Popen[str]":
    program = [sys.executable, "-W", "error", "-c", "from databox.cli import main; main()", *arguments]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_stopped(number: int, tmp_path: Path) -> None:
    with command("sandbox", "--port", "0", "--state", str(tmp_path / "w.sqlite"), "--api-key", "mine-1") as running:
        assert running.stdout
        said = "".join(running.stdout.readline() for _ in range(3))
        (url,) = re.findall(r"^export DATABOX_API_URL=(\S+)$", said, re.MULTILINE)
        assert "export DATABOX_API_KEY=mine-1" in said
        assert httpx.get(url + "/v1/accounts", headers={"x-api-key": "mine-1"}).status_code == 200
        os.kill(running.pid, number)
        _, errors = running.communicate(timeout=10)
    assert (running.returncode, errors) == (0, "")
    assert (tmp_path / "w.sqlite").exists()


def test_a_port_in_use_is_named(box: Sandbox) -> None:
    with command("sandbox", "--port", box.url.rpartition(":")[2]) as running:
        _, errors = running.communicate(timeout=10)
    assert running.returncode == 2
    assert "cannot be used" in errors
    assert "Traceback" not in errors


def test_wrong_usage_and_version() -> None:
    with command("sandbox", "--api-key", "pak_1") as running:
        _, errors = running.communicate(timeout=10)
    assert (running.returncode, "Traceback" in errors) == (2, False)
    with command("--version") as running:
        output, _ = running.communicate(timeout=10)
    assert re.fullmatch(r"databox-sdk \d+\.\d+\.\d+\n", output)
