"""What is left out of a package, for any rows, however they lie in its files."""

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from dlt.common.json import json
from hypothesis import given

from databox.integrations.dlt_memory import DIGEST
from databox.integrations.dlt_rows import File, look, rows_of
from databox.integrations.dlt_schema import refusals, shown

SMALL = st.integers(0, 4)
ROWS = st.lists(st.fixed_dictionaries({"id": SMALL, "version": st.none() | SMALL, "text": SMALL.map(str)}), max_size=12)
COLUMNS = {"id": {"data_type": "bigint"}, "version": {"data_type": "bigint"}, "text": {"data_type": "text"}}


def table(**columns: Any) -> dict[str, Any]:
    return {"name": "orders", "columns": {name: {**hints, **columns.get(name, {})} for name, hints in COLUMNS.items()}}


def as_one(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["id"], row["version"], row["text"]


def looked_at(
    table: dict[str, Any], files: list[list[dict[str, Any]]], stored: Iterable[bytes] = ()
) -> tuple[list[tuple[Any, ...]], list[bytes], list[str]]:
    """Return the rows that are sent, what they are known again by, and what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        there = [File(f"orders.{n}.typed-jsonl", Path(folder) / f"orders.{n}.0.typed-jsonl") for n in range(len(files))]
        for file, rows in zip(there, files, strict=True):
            file.path.write_bytes(b"".join(json.typed_dumpb(row) + b"\n" for row in rows))
        seen = look(table, there, stored=Counter(stored), lenient=False)
        sent = [
            as_one(row) for file in there for row in rows_of(file.path, table["columns"], seen.left_out[file.job_id])
        ]
    every = b"".join(bytes(digests) for digests in seen.digests.values())
    return sent, [every[n : n + DIGEST] for n in range(0, len(every), DIGEST)], seen.problems


@given(st.lists(ROWS, max_size=3), ROWS, ROWS)
def test_as_many_rows_are_left_out_as_are_stored(
    files: list[list[dict[str, Any]]], before: list[dict[str, Any]], gone: list[dict[str, Any]]
) -> None:
    """However much of what is stored comes again, no row more is left out, and none twice."""
    _, stored, _ = looked_at(table(), [before])
    sent, digests, problems = looked_at(table(), [*files, before], stored)
    given_rows = Counter(as_one(row) for rows in [*files, before] for row in rows)
    assert Counter(sent) + Counter(map(as_one, before)) == given_rows
    assert len(digests) == len(sent)
    assert problems == []
    without, _, _ = looked_at(table(), files, looked_at(table(), [gone])[1])
    assert Counter(without) == Counter(as_one(row) for rows in files for row in rows) - Counter(map(as_one, gone))


@given(st.lists(ROWS, max_size=3), st.sampled_from(["asc", "desc"]))
def test_the_newest_row_of_each_key_is_sent(files: list[list[dict[str, Any]]], order: str) -> None:
    sent, _, problems = looked_at(table(id={"primary_key": True}, version={"dedup_sort": order}), files)
    given_rows = [as_one(row) for rows in files for row in rows]
    assert problems == []
    assert sorted(key for key, _, _ in sent) == sorted({key for key, _, _ in given_rows})
    best = max if order == "desc" else min
    for row in sent:
        assert row in given_rows
        versions = [version for key, version, _ in given_rows if key == row[0] and version is not None]
        assert row[1] == (best(versions) if versions else None)


@given(st.lists(ROWS, min_size=1, max_size=3))
def test_a_key_may_come_again_within_a_file_alone(files: list[list[dict[str, Any]]]) -> None:
    sent, _, problems = looked_at(table(id={"primary_key": True}), files)
    assert sent == [as_one(row) for rows in files for row in rows]
    apart = Counter(key for rows in files for key in {row["id"] for row in rows})
    assert bool(problems) == any(count > 1 for count in apart.values())


@given(st.text(min_size=1).filter(lambda name: name not in {"description"}), st.sampled_from([True, "on", 1, {"a": 1}]))
def test_a_hint_that_is_not_known_is_refused(hint: str, value: Any) -> None:
    """Whatever comes with a newer dlt."""
    unknown = table(version={f"x-{hint}-of-2030": value})
    (reason,) = refusals([unknown])
    assert f"Table 'orders': column 'version' has the hint x-{hint}-of-2030" in reason
    (reason,) = refusals([{**table(), f"x-{hint}-of-2030": value}])
    assert f"it has the hint x-{hint}-of-2030" in reason
    assert list(refusals([table(version={f"x-{hint}-of-2030": None})])) == []


def test_names_are_shown_as_people_know_them() -> None:
    assert shown("orders") == "'orders'"
    assert shown("orders▶items▶parts") == "'parts' in 'items' in 'orders'"
