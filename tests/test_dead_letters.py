"""Dead letters: what is in the two files, and whose lines they are."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import ConfigurationError, Databox, IngestError, read_records
from databox.ingest.batch import Batch
from databox.ingest.deadletter import DeadLetters
from databox.ingest.letter_files import Letter, LetterFiles, Own, digest_of, ours
from databox.ingest.run import Answer, Run
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.sandbox.http import get
from tests.test_ingest import adds_up, rows, stored
from tests.test_ingest_files import lines, reasons, short_waits  # noqa: F401 - a fixture

BATCHES_FAIL_WHOLE = True  # this module tests the outcomes of failed batches


def refusing(box: Sandbox, times: int = 1) -> None:
    """Make the server refuse the next batches."""
    box.inject(Fault("create_ingestion", status=400, times=times))


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Small batches, one after the other, with dead letters and a journal."""
    return {
        "batch_size": 5,
        "concurrency": 1,
        "raise_on_failure": False,
        "dead_letter": tmp_path / "dead.jsonl",
        "journal": tmp_path / "journal",
    }


# Which rows may be sent again


def test_rows_without_keys_whose_answer_was_lost_are_not_offered_again(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    box.inject(Fault("create_ingestion", drop="after", times=1))
    box.inject(Fault("create_ingestion", status=503, times=1))
    client.datasets.ingest(plain, rows(15), batch_size=5, concurrency=1, dead_letter=dead, raise_on_failure=False)
    assert lines(dead) == rows(5, 5)
    assert [(each["outcome"], each["again"]) for each in reasons(dead)] == [("ambiguous", False)] * 5 + [
        ("failed", True)
    ] * 5
    assert [each["row"] for each in reasons(dead)] == rows(10)
    with read_records(dead) as again:
        assert client.datasets.ingest(plain, again).ok
    assert stored(box, plain) == rows(15)


def test_with_keys_they_are(client: Any, dataset: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    box.inject(Fault("create_ingestion", drop="after", times=1))
    client.datasets.ingest(dataset, rows(5), on_ambiguous="report", dead_letter=dead, raise_on_failure=False)
    assert lines(dead) == rows(5)


def test_rows_without_their_key_are_invalid_and_overtake_nothing(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path
) -> None:
    """If the name of a key is mistyped, all rows would have the same key."""
    dead = tmp_path / "dead.jsonl"
    report = client.datasets.ingest(dataset.id, rows(7), primary_keys=["Id"], dead_letter=dead, raise_on_failure=False)
    assert (report.invalid, box.requests[-1].operation) == (7, "datasets.create")
    assert not dead.exists()
    assert [(each["index"], each["outcome"], each["row"]) for each in reasons(dead)] == [
        (n, "invalid", row) for n, row in enumerate(rows(7))
    ]
    assert "column 'Id' is missing" in reasons(dead)[0]["reason"]


def test_rows_that_the_server_names_are_the_rejected_ones(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    dead = tmp_path / "dead.jsonl"
    given = [{"n": 1}, {"n": "two"}, {"n": 3}, {"n": [4]}, {"n": "five"}]
    report = client.datasets.ingest(plain, given, dead_letter=dead, raise_on_failure=False)
    assert (report.appended, report.rejected, report.invalid) == (2, 2, 1)
    # Even without keys: these were certainly not stored.
    assert lines(dead) == [{"n": "two"}, {"n": "five"}]
    assert [(each["index"], each["outcome"]) for each in reasons(dead)] == [
        (1, "rejected"),
        (3, "invalid"),
        (4, "rejected"),
    ]
    counts = [(each.first_row, each.rows, each.appended, each.rejected) for each in report.batches]
    assert counts == [(0, 3, 2, 1), (3, 1, 0, 0), (4, 1, 0, 1)]


def test_they_are_so_among_invalid_rows_without_number(client: Any, plain: Any, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    given = [{"n": [n]} if n % 2 else {"n": "text" if n % 50 == 0 and n else n} for n in range(2400)]
    report = client.datasets.ingest(plain, given, dead_letter=dead, raise_on_failure=False)
    assert (report.invalid, report.rejected, report.appended) == (1200, 47, 1153)
    assert adds_up(report)
    found = [(each["index"], each["outcome"]) for each in reasons(dead)]
    assert [index for index, outcome in found if outcome == "rejected"] == list(range(50, 2400, 50))
    assert [index for index, outcome in found if outcome == "invalid"] == list(range(1, 2400, 2))


def rejecting(box: Sandbox, received: int, rejected: int) -> None:
    """Make the server reject rows without saying which."""
    counts = {
        "receivedRecordsCount": received,
        "appendedRecordsCount": received - rejected,
        "rejectedRecordsCount": rejected,
    }
    receipt = {"status": "success", "ingestionId": "i"}
    box.inject(Fault("create_ingestion", body=receipt, times=1))
    box.inject(Fault("get_ingestion", body=receipt | {"metrics": {"ingestionMetrics": counts}}, times=1))


def test_where_it_does_not_tell_which_all_of_the_batch_may_go_again_with_keys(
    client: Any, dataset: Any, box: Sandbox, options: dict[str, Any]
) -> None:
    refusing(box)
    rejecting(box, 5, 2)
    given = [*rows(5), *rows(5)]
    client.datasets.ingest(dataset, given, **options)
    # The first batch was superseded by rows that may have been stored.
    assert lines(options["dead_letter"]) == rows(5)
    told = reasons(options["dead_letter"])
    assert [(each["outcome"], each["again"]) for each in told] == [("failed", False)] * 5 + [("rejected", True)] * 5
    assert "row 5, which is newer and has the same key, may have been stored" in told[0]["reason"]


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("verify", ["counts", "status"])
def test_rows_that_a_word_alone_calls_rejected_are_offered_with_keys_only(
    client: Any, plain: Any, dataset: Any, box: Sandbox, options: dict[str, Any], keyed: bool, verify: str
) -> None:
    failed = {"status": "failed", "ingestionId": "i"}
    box.inject(Fault("create_ingestion", body={"status": "success", "ingestionId": "i"}, times=1))
    box.inject(Fault("get_ingestion", body=failed))
    box.inject(Fault("list_ingestions", body={"status": "success", "ingestions": [failed]}))
    report = client.datasets.ingest(dataset if keyed else plain, rows(5), verify=verify, **options)
    assert report.rejected == 5
    assert [each["again"] for each in reasons(options["dead_letter"])] == [keyed] * 5
    assert options["dead_letter"].exists() is keyed


def test_values_are_compared_as_json_and_not_as_text(driver: Driver, client: Any, dataset: Any, box: Sandbox) -> None:
    """1 and Decimal("1.0") were in flight together, and arrived in the wrong order."""
    from decimal import Decimal

    box.inject(Fault("create_ingestion", delay=0.3, times=1))
    box.inject(Fault("create_ingestion", delay=0.15, times=1))
    given = [{"id": 0, "v": "first"}, {"id": 1, "v": "old"}, {"id": Decimal("1.0"), "v": "new"}]
    assert client.datasets.ingest(dataset, given, batch_size=1, concurrency=4).ok
    assert {row["id"]: row["v"] for row in box.rows(dataset)} == {0: "first", 1: "new"}


# Whose lines they are


def test_the_first_goes_on_and_leaves_the_lines_of_the_second(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, options: dict[str, Any]
) -> None:
    dead = options["dead_letter"]
    dead.write_text('{"id": "mine"}\n')
    for start, name in ((0, "a"), (100, "b")):
        refusing(box, times=2)
        client.datasets.ingest(plain, rows(15, start), **(options | {"journal": tmp_path / name}))
    assert lines(dead) == [{"id": "mine"}, *rows(10), *rows(10, 100)]
    refusing(box)
    client.datasets.ingest(plain, rows(15), **(options | {"journal": tmp_path / "a"}))
    assert lines(dead) == [{"id": "mine"}, *rows(10, 100), *rows(5)]
    assert [each["row"] for each in reasons(dead)] == [*rows(10, 100), *rows(5)]
    client.datasets.ingest(plain, rows(15, 100), **(options | {"journal": tmp_path / "b"}))
    client.datasets.ingest(plain, rows(15), **(options | {"journal": tmp_path / "a"}))
    assert dead.read_text() == '{"id": "mine"}\n'
    assert not dead.with_name("dead.jsonl.reasons.jsonl").exists()
    assert stored(box, plain) == [*rows(15), *rows(15, 100)]


def test_runs_without_a_journal_only_add(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    for _ in range(3):
        refusing(box)
        client.datasets.ingest(plain, rows(2), dead_letter=dead, raise_on_failure=False)
    assert lines(dead) == rows(2) * 3
    assert len({each["run"] for each in reasons(dead)}) == 3


def test_lines_of_rows_that_a_later_run_did_not_come_to_stay_in_their_order(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any]
) -> None:
    refusing(box, times=4)
    client.datasets.ingest(plain, rows(20), **options)
    box.inject(Fault("create_ingestion", status=404, times=1))
    report = client.datasets.ingest(plain, rows(20), **options)
    assert 5 <= report.rows < 20
    assert lines(options["dead_letter"]) == rows(20)
    assert [each["index"] for each in reasons(options["dead_letter"])] == list(range(20))
    assert client.datasets.ingest(plain, rows(20), **options).ok
    assert not options["dead_letter"].exists()


def test_another_input_is_refused_and_the_files_stay(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any]
) -> None:
    refusing(box, times=2)
    client.datasets.ingest(plain, rows(20), **options)
    dead = options["dead_letter"]
    before = dead.read_bytes(), reasons(dead)
    with pytest.raises(ConfigurationError, match="another input"):
        client.datasets.ingest(plain, rows(20, 100), **options)
    assert (dead.read_bytes(), reasons(dead)) == before
    # After something was sent, the refused rows are listed, but not offered.
    refusing(box)
    with pytest.raises(IngestError, match="another input") as caught:
        client.datasets.ingest(plain, [*rows(5), *rows(15, 100)], **options)
    assert adds_up(caught.value.report)
    assert lines(dead) == rows(10)
    told = reasons(dead)
    assert [each["row"] for each in told] == [*rows(5), *rows(6, 100), *rows(5, 5)]
    assert [each["again"] for each in told] == [True] * 5 + [False] * 6 + [True] * 5
    assert client.datasets.ingest(plain, rows(20), **options).ok
    assert not dead.exists()


def test_other_dead_letters_in_a_second_run(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, options: dict[str, Any]
) -> None:
    refusing(box, times=2)
    client.datasets.ingest(plain, rows(20), **options)
    refusing(box)
    other = tmp_path / "other.jsonl"
    client.datasets.ingest(plain, rows(20), **(options | {"dead_letter": other}))
    assert not options["dead_letter"].exists()  # one of these rows is stored by now
    assert lines(other) == rows(5)


@pytest.mark.parametrize("had_letters", [True, False])
def test_a_copy_of_the_journal_that_knows_less(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any], had_letters: bool
) -> None:
    """The lines are still ours, because the reasons say whose they are."""
    refusing(box, times=4)
    client.datasets.ingest(plain, rows(10), **(options if had_letters else options | {"dead_letter": None}))
    copy = options["journal"].read_bytes()
    client.datasets.ingest(plain, rows(10), **options)
    assert lines(options["dead_letter"]) == rows(10)
    options["journal"].write_bytes(copy)
    assert client.datasets.ingest(plain, rows(10), **options).ok
    assert not options["dead_letter"].exists()


def test_none_in_a_second_run(client: Any, plain: Any, box: Sandbox, options: dict[str, Any]) -> None:
    refusing(box, times=2)
    client.datasets.ingest(plain, rows(20), **options)
    refusing(box)
    client.datasets.ingest(plain, rows(20), **(options | {"dead_letter": None}))
    assert lines(options["dead_letter"]) == rows(5)  # what it offers must not be stored


# Files that someone has edited


def without_a_line(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def with_a_mended_line(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"value":0.0', b'"value":99'))


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def without_reasons(path: Path) -> None:
    path.with_name(path.name + ".reasons.jsonl").unlink()


def with_lines_between(path: Path) -> None:
    path.write_bytes(b'{"id":"x"}\n'.join([b"", *path.read_bytes().splitlines(keepends=True)]))


@pytest.mark.parametrize(
    ("edit", "left"),
    [
        (without_a_line, []),
        (with_a_mended_line, [{"id": 0, "value": 99}]),
        (moved, []),
        (without_reasons, []),
        (with_lines_between, [{"id": "x"}] * 10),
    ],
)
def test_files_that_were_edited_in_between(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any], edit: Callable[[Path], None], left: list[Any]
) -> None:
    """Our lines are replaced wherever they are; all others stay."""
    dead = options["dead_letter"]
    refusing(box, times=2)
    client.datasets.ingest(plain, rows(20), **options)
    edit(dead)
    refusing(box)
    client.datasets.ingest(plain, rows(20), **options)
    assert lines(dead) == [*left, *rows(5)]
    assert [each["row"] for each in reasons(dead)] == rows(5)
    assert client.datasets.ingest(plain, rows(20), **options).ok
    assert (lines(dead) if dead.exists() else []) == left


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("option", ["dead_letter", "journal"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_what_is_no_regular_file_is_refused_and_stays(
    client: Any, dataset: Any, box: Sandbox, tmp_path: Path, option: str, kind: str
) -> None:
    path = tmp_path / "x"
    if kind == "device" and os.geteuid() == 0:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))  # a copy, because root could replace the real one
    elif kind == "device":
        path.symlink_to(os.devnull)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mkfifo(tmp_path / "y")
        path.symlink_to(tmp_path / "y")
    before = sorted((each.name, each.lstat().st_mode) for each in tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match=r"not a regular file|not a journal"):
        client.datasets.ingest(dataset, rows(3), **{option: path})
    assert sorted((each.name, each.lstat().st_mode) for each in tmp_path.iterdir()) == before
    assert box.rows(dataset.id) == []


def test_a_torn_last_line_is_completed_before_anything_is_added(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any]
) -> None:
    dead = options["dead_letter"]
    beside = dead.with_name("dead.jsonl.reasons.jsonl")
    for journal in (None, options["journal"], options["journal"]):
        dead.write_bytes(b'{"id": 1, "val')
        beside.write_bytes(b'{"index": 1')
        refusing(box)
        client.datasets.ingest(plain, rows(5), **(options | {"journal": journal}))
        assert dead.read_text().splitlines() == [
            '{"id": 1, "val',
            *(json.dumps(row, separators=(",", ":")) for row in rows(5)),
        ]
        assert beside.read_text().startswith('{"index": 1\n{"index":0,')
    dead.write_bytes(b'{"id": 1, "val')
    client.datasets.ingest(plain, rows(2, 100), **(options | {"journal": None}))
    assert dead.read_bytes() == b'{"id": 1, "val'  # if nothing is added, nothing is modified


def test_a_reason_that_was_torn_or_doubled_stops_no_run(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any]
) -> None:
    """A line that is no longer complete belongs to nobody, and stays."""
    beside = options["dead_letter"].with_name("dead.jsonl.reasons.jsonl")
    refusing(box, times=2)
    client.datasets.ingest(plain, rows(20), **options)
    first, second, *others = beside.read_bytes().splitlines(keepends=True)
    torn = [first.partition(b',"row":')[0] + b"\n", second[:-9] + b"\n", b'{"index":%s' % (b"9" * 5000) + first[10:]]
    beside.write_bytes(b"".join([*torn, *others, others[0]]))
    assert client.datasets.ingest(plain, rows(20), **options).ok
    assert beside.read_bytes() == b"".join(torn)
    assert not options["dead_letter"].exists()
    assert stored(box, plain) == rows(20)


def test_a_link_stays_one_and_rights_stay(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path, options: dict[str, Any]
) -> None:
    target = tmp_path / "target"
    target.write_text('{"id": "mine"}\n')
    target.chmod(0o640)
    options["dead_letter"].symlink_to(target)
    for _ in range(2):
        refusing(box)
        client.datasets.ingest(plain, rows(5), **options)
    assert options["dead_letter"].is_symlink()
    assert lines(target) == [{"id": "mine"}, *rows(5)]
    assert target.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "target.reasons.jsonl").stat().st_mode & 0o077 == 0  # customers' rows
    assert options["journal"].stat().st_mode & 0o077 == 0


def test_its_own_input_is_refused(client: Any, plain: Any, box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    dead.write_text('{"id": 1}\n')
    (tmp_path / "link").hardlink_to(dead)
    before = len(box.requests)
    for name in (dead, tmp_path / "link", tmp_path / "." / "dead.jsonl"):
        with read_records(dead) as records, pytest.raises(ValueError, match=r"dead_letter.*which the rows come from"):
            client.datasets.ingest(plain, records, dead_letter=name)
    assert len(box.requests) == before
    with read_records(dead) as records:
        assert client.datasets.ingest(plain, records, dead_letter=tmp_path / "other").ok


def test_one_file_for_journal_and_dead_letters_is_refused(
    client: Any, plain: Any, box: Sandbox, tmp_path: Path
) -> None:
    before = len(box.requests)
    path = tmp_path / "file"
    for journal in (path, tmp_path / "file.reasons.jsonl", tmp_path / "." / "file"):
        with pytest.raises(ValueError, match="journal and dead_letter must be different files"):
            client.datasets.ingest(plain, rows(5), dead_letter=path, journal=journal)
    assert len(box.requests) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [".", "/", "a\0b", "a\0b/c", "\ud800"])
@pytest.mark.parametrize("name", ["dead_letter", "journal"])
def test_a_path_that_names_no_file_is_refused(
    client: Any, plain: Any, box: Sandbox, options: dict[str, Any], name: str, path: str
) -> None:
    with pytest.raises(ValueError, match=f"{name} must be the path of a file, not"):
        client.datasets.ingest(plain, rows(5), **(options | {name: path}))
    assert stored(box, plain) == []


# Many at the same time, and full disks


def test_runs_that_end_at_the_same_time_do_not_mix_their_lines(box: Sandbox, tmp_path: Path) -> None:
    dead = tmp_path / "dead.jsonl"
    with Databox(box.api_key, box.url, rate_limit=None, max_retries=0) as client:
        plain = client.datasets.create("D", data_source=client.data_sources.create("S"))
        box.inject(Fault("create_ingestion", status=400))

        def run(number: int) -> None:
            for _ in range(4):
                options: dict[str, Any] = {"dead_letter": dead, "raise_on_failure": False}
                if number % 2:
                    options["journal"] = tmp_path / str(number)
                client.datasets.ingest(plain, [{"id": number, "text": "x" * 50_000}] * 3, **options)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # Runs without a journal add three lines each time; runs with one replace theirs.
    expected = [number for number in range(6) for _ in range(3 if number % 2 else 12)]
    assert sorted(line["id"] for line in lines(dead)) == expected
    assert sorted(line["row"]["id"] for line in reasons(dead)) == expected
    assert [line["row"] for line in reasons(dead)] == lines(dead)


FULL = """
import resource, signal, sys
from pathlib import Path
from databox.ingest.letter_files import Letter, LetterFiles, Own
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files = LetterFiles(Path(sys.argv[1]))
letters = [Letter(n, "failed", "no", b'{"text":"%s"}' % (b"x" * 1000), True) for n in range(100)]
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
try:
    if sys.argv[2] == "add":
        files.add(letters, "aa")
    else:
        files.replace(letters, "aa", Own([], 0))
except OSError as error:
    print(error.strerror)
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)  # for coverage
"""


@pytest.mark.parametrize("way", ["add", "replace"])
@pytest.mark.parametrize("content", [b"", b'{"id":1}\n', b'{"id":1'])
def test_on_a_full_disk_the_files_are_as_they_were(tmp_path: Path, way: str, content: bytes) -> None:
    dead = tmp_path / "dead.jsonl"
    if content:
        dead.write_bytes(content)
        dead.with_name("dead.jsonl.reasons.jsonl").write_bytes(b"{}\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = [sys.executable, "-W", "error", "-c", FULL, str(dead), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_process_that_is_killed_leaves_no_waiting_rows(box: Sandbox, tmp_path: Path) -> None:
    program = """
import os, signal, sys
from databox import Databox
def source():
    yield from ({"id": n} for n in range(500))
    os.kill(os.getpid(), signal.SIGKILL)
with Databox(rate_limit=None) as client:
    client.datasets.ingest(sys.argv[1], source(), dead_letter=sys.argv[2], verify=None)
"""
    with Databox(box.api_key, box.url, rate_limit=None) as client:
        plain = client.datasets.create("D", data_source=client.data_sources.create("S"))
    environ = {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url}
    command = [sys.executable, "-c", program, plain.id, str(tmp_path / "dead.jsonl")]
    assert subprocess.run(command, env=environ, timeout=120, check=False).returncode == -9
    assert list(tmp_path.iterdir()) == []
    get(box)  # so that what was on its way is not counted to the next test


# Without I/O, or nearly


@pytest.mark.parametrize(
    ("lines_of_it", "owners", "own", "found"),
    [
        ([4], [True], 1, [4]),
        ([4], [], 1, [4]),  # the reasons are gone
        ([4], [False], 1, []),  # ours was removed, another run's is left
        ([4, 9], [True, False], 1, [4]),
        ([4, 9], [False, True], 1, [9]),
        ([4, 9], [True], 1, [9]),  # someone else's was there first
        ([4, 9], [False, True, True], 2, [9]),
        ([4, 9], [True, True], 2, [4, 9]),
        ([], [True], 1, []),
        ([4, 7, 9], [False, True, False], 1, [7]),
        ([4, 7, 9], [False, True, True], 1, [9]),  # someone has duplicated a reason
    ],
)
def test_which_of_several_equal_lines_are_ours(
    lines_of_it: list[int], owners: list[bool], own: int, found: list[int]
) -> None:
    assert ours(lines_of_it, owners, own) == found


OPS = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "run", "foreign"]), st.integers(0, 2), st.lists(st.integers(0, 3), max_size=5)
    ),
    max_size=12,
)


@given(ops=OPS)
def test_each_run_replaces_its_own_lines_and_no_others(
    ops: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against a model: a list of lines with owners, many of which are the same."""
    files = LetterFiles(tmp_path_factory.mktemp("letters") / "dead.jsonl")
    model: list[tuple[int | None, bytes]] = []
    known: dict[int, list[tuple[int, bytes]]] = {}
    for op, who, content in ops:
        if op == "foreign":
            if not any(owner is not None for owner, _ in model):  # if they are equal, later ones may be taken as ours
                model.append((None, b"foreign %d" % who))
                with files.path.open("ab") as file:
                    file.write(model[-1][1] + b"\n")
            continue
        letters = [Letter(n, "failed", "why", b"%d" % value, True) for n, value in enumerate(content)]
        if who in known:
            files.replace(letters, f"a{who}", Own(known[who], 100))
        else:
            files.add(letters, f"a{who}")
        known[who] = [(letter.index, digest_of(letter.row)) for letter in letters]
        model = [each for each in model if each[0] != who] + [(who, b"%d" % value) for value in content]
        found = files.path.read_bytes().splitlines() if files.path.exists() else []
        assert found == [line for _, line in model]
        told = files.reasons.read_text().splitlines() if files.reasons.exists() else []
        assert [json.loads(line)["run"] for line in told] == [f"a{owner}" for owner, _ in model if owner is not None]


@given(
    own=st.lists(st.integers(0, 4), max_size=6),
    others=st.lists(st.integers(0, 4), max_size=6),
    now=st.lists(st.integers(0, 4), max_size=3),
    data=st.data(),
)
def test_whatever_somebody_does_to_the_rows_no_line_of_others_goes(
    own: list[int], others: list[int], now: list[int], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = LetterFiles(tmp_path_factory.mktemp("letters") / "dead.jsonl")
    first = [Letter(n, "failed", "why", b"%d" % value, True) for n, value in enumerate(own)]
    files.add(first, "aa")
    files.add([Letter(n, "failed", "why", b"%d" % value, True) for n, value in enumerate(others)], "bb")
    found = files.path.read_bytes().splitlines() if files.path.exists() else []
    kept = [line for line in found if data.draw(st.booleans())]
    for n in range(data.draw(st.integers(0, 3))):
        kept.insert(data.draw(st.integers(0, len(kept))), b"mine %d" % n)
    files.path.write_bytes(b"".join(line + b"\n" for line in kept))

    fresh = [Letter(n, "failed", "why", b"%d" % value, True) for n, value in enumerate(now)]
    files.replace(fresh, "aa", Own([(each.index, digest_of(each.row)) for each in first], 100))

    after = files.path.read_bytes().splitlines() if files.path.exists() else []
    assert after[len(after) - len(now) :] == [b"%d" % value for value in now]
    after = after[: len(after) - len(now)]
    assert [line for line in after if line.startswith(b"mine")] == [line for line in kept if line.startswith(b"mine")]
    for value in range(5):
        line = b"%d" % value
        before, left = kept.count(line), after.count(line)
        assert left >= min(before, others.count(value))
        if value not in others:
            assert left == max(0, before - own.count(value))


def steps_for(count: int, path: Path) -> int:
    """Return how much SQLite has to do for this many rows with the same key, each refused in its own batch."""
    run = Run(1)
    dead = DeadLetters(path, "aa", keyed=True)
    for n in range(count):
        batch = Batch((n,), (b'{"id":1}',), (b"[1]",))
        dead.keep(n, batch)
        run.cut(batch)
        run.sending(n)
        run.answered(n, Answer())
    run.rows = count
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    dead._db.set_progress_handler(step, 100)
    dead.write(run, None, before=count, refused=None)
    dead.close()
    assert len(lines(path)) == count
    return steps[0]


@pytest.mark.slow
def test_a_hot_key_whose_rows_all_fail_takes_time_in_proportion(tmp_path: Path) -> None:
    few, many = (steps_for(count, tmp_path / str(count)) for count in (500, 4000))
    assert many < 12 * few


@pytest.mark.slow
def test_replacing_many_lines_takes_time_in_proportion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    def connect(name: str) -> sqlite3.Connection:
        db = real(name)
        db.set_progress_handler(step, 100)
        return db

    real = sqlite3.connect
    monkeypatch.setattr("databox.ingest.letter_files.sqlite3.connect", connect)
    found: list[int] = []
    for count in (500, 4000):
        steps[0] = 0
        files = LetterFiles(tmp_path / str(count))
        letters = [Letter(n, "failed", "no", b'{"id":%d}' % n, True) for n in range(count)]
        files.add(letters, "aa")
        files.add(letters, "bb")
        files.replace(letters, "aa", Own([(n, digest_of(letters[n].row)) for n in range(count)], count))
        found.append(steps[0])
    assert found[1] < 12 * found[0]


def test_a_hot_key_in_a_journal_takes_time_in_proportion(tmp_path: Path) -> None:
    from databox.ingest.journal import Journal

    found: list[int] = []
    for count in (200, 1600):
        for run in range(2):
            journal = Journal(tmp_path / str(count), {})
            steps = [0]

            def step(steps: list[int] = steps) -> int:
                steps[0] += 1
                return 0

            journal._file._db.execute("pragma synchronous = off")
            journal._file._db.set_progress_handler(step, 100)
            for n in range(count):
                batch = Batch((n,), (b'{"id":1}',), (b"[1]",))
                if run:
                    journal.entry(n, batch, complete=True)
                    journal.newer(batch)
                journal.sending(n, batch, whole=batch, max_batch_bytes=1000)
                journal.answered(n, "failed", None, "no")
            journal.close()
        found.append(steps[0])
    assert found[1] < 12 * found[0]


def test_numbers_beyond_a_float_come_back_as_they_were_sent(driver: Driver, box: Sandbox, tmp_path: Path) -> None:
    """Two keys that a float cannot distinguish stay two keys."""
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["k"])
    box.inject(Fault("create_ingestion", status=400, times=1))
    rows = [{"k": 2**70 + 1, "v": Decimal("0.1000000000000000000000001")}, {"k": 2**70 + 2, "v": 61440393786409381}]
    letters = tmp_path / "dead.jsonl"
    with pytest.raises(IngestError):
        client.datasets.ingest(dataset, rows, dead_letter=letters)
    written = letters.read_bytes()
    box.inject(Fault("create_ingestion", status=400, times=1))
    again = tmp_path / "again.jsonl"
    with pytest.raises(IngestError), read_records(letters) as records:
        client.datasets.ingest(dataset, driver.source(records), dead_letter=again)
    assert again.read_bytes() == written
    with read_records(letters) as records:
        assert client.datasets.ingest(dataset, driver.source(records)).appended == 2


def test_a_folder_of_earlier_dead_letters_that_is_gone(driver: Driver, box: Sandbox, tmp_path: Path) -> None:
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["k"])
    (tmp_path / "x").mkdir()
    box.inject(Fault("create_ingestion", status=400, times=1))
    rows = [{"k": n} for n in range(4)]
    with pytest.raises(IngestError):
        client.datasets.ingest(dataset, rows, journal=tmp_path / "j", dead_letter=tmp_path / "x" / "dead")
    shutil.rmtree(tmp_path / "x")
    for _ in range(2):
        report = client.datasets.ingest(dataset, rows, journal=tmp_path / "j", dead_letter=tmp_path / "dead")
        assert report.ok
        assert report.accepted == 4


class Vast(tzinfo):
    """What a value needs that there is not enough memory for."""

    def utcoffset(self, moment: datetime | None, /) -> timedelta:
        raise MemoryError

    dst = utcoffset

    def tzname(self, moment: datetime | None, /) -> str:
        return "vast"


class Huge(Mapping[str, int]):
    """A row for which there is not enough memory."""

    def __getitem__(self, name: str) -> int:
        raise MemoryError

    def __iter__(self) -> Iterator[str]:
        raise MemoryError

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("huge", [Huge(), {"n": datetime(2026, 1, 1, tzinfo=Vast())}], ids=["row", "value"])
def test_a_row_without_memory_for_it_leaves_a_report(
    driver: Driver, box: Sandbox, tmp_path: Path, huge: Mapping[str, Any]
) -> None:
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    rows = [*({"n": n} for n in range(150)), huge]
    with pytest.raises(IngestError) as caught:
        client.datasets.ingest(dataset, rows, dead_letter=tmp_path / "dead.jsonl")
    report = caught.value.report
    assert report.rows == 151
    assert (report.accepted, report.invalid) == (len(box.rows(dataset)), 1)
    assert report.unsent == 150 - report.accepted


def test_a_row_too_large_for_a_batch_of_an_earlier_run(driver: Driver, box: Sandbox, tmp_path: Path) -> None:
    """The advice helps; a larger limit would not, because batches keep theirs."""
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["k"])
    rows = [{"k": 1}, {"k": 2, "t": "x" * 200}, {"k": 3}]
    for size in (100, 100_000):
        with pytest.raises(IngestError, match="Shorten its texts") as caught:
            client.datasets.ingest(dataset, rows, journal=tmp_path / "j", max_batch_bytes=size)
        assert ("or raise max_batch_bytes" in str(caught.value)) == (size == 100)
        assert caught.value.report.invalid == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("deadly", range(5))
def test_a_replacement_that_is_cut_short_is_finished_or_undone(tmp_path: Path, deadly: int) -> None:
    """Two runs wrote the same rows; whenever the process dies, rows and reasons keep the same order."""
    files = LetterFiles(tmp_path / "dead.jsonl")
    ours_, theirs = (
        [Letter(n, "failed", "refused", b'{"k":%d}' % n, again=True) for n in numbers]
        for numbers in ((1, 2, 3), (3, 1, 2))
    )
    files.add(ours_, "aaaa")
    files.add(theirs, "bbbb")
    pid = os.fork()
    if not pid:
        left = [deadly]
        real = {name: getattr(os, name) for name in ("replace", "fsync")}

        def dying(name: str) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(0)
                return real[name](*arguments)

            return call

        for name in real:
            setattr(os, name, dying(name))
        files.replace(ours_[1:], "aaaa", Own([(n, digest_of(b'{"k":%d}' % n)) for n in (1, 2, 3)], 100))
        os._exit(0)
    os.waitpid(pid, 0)
    files.check()  # as the next run does first
    told = [json.loads(line) for line in files.reasons.read_text().splitlines()]
    assert [json.loads(line) for line in files.path.read_text().splitlines()] == [each["row"] for each in told]
    mine = [each["index"] for each in told if each["run"] == "aaaa"]
    assert mine == ([2, 3] if deadly >= 3 else [1, 2, 3])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dead.jsonl", "dead.jsonl.reasons.jsonl"]


def test_a_row_that_cannot_be_kept_stops_the_run_at_once(
    driver: Driver, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that cannot be sent do not complete a batch, so a test must not wait for one."""

    def full(*_: object) -> None:
        raise ConfigurationError("No space left on device")  # because SQLite's errors come from there

    monkeypatch.setattr("databox.ingest.deadletter.DeadLetters.keep_invalid", full)
    read: list[int] = []

    def source() -> Iterator[dict[str, Any]]:
        for n in range(1000):
            read.append(n)
            yield {}

    client = driver.client(box.api_key, box.url, rate_limit=None)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"))
    with pytest.raises(ConfigurationError, match="No space left"):
        client.datasets.ingest(dataset, source(), dead_letter=tmp_path / "dead.jsonl")
    assert read == [0]
