"""Which type a column gets, and which records are rejected because of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox import IngestError
from databox.sandbox import Sandbox
from databox.sandbox.inference import LONGEST_TEXT, MOST_COLUMNS, misfit, widened
from tests.drive import Driver
from tests.sandbox.http import ask, dataset_in, get

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9), st.dates().map(str)
)


def taken(records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    types: dict[str, str] = {}
    fitting = []
    for record in records:
        if misfit(record, types) is None:
            types |= widened(record, types)
            fitting.append(record)
    return fitting, types


@given(st.lists(st.dictionaries(st.sampled_from("ab"), scalars), max_size=20))
def test_columns_hold_what_their_type_says(records: list[dict[str, Any]]) -> None:
    fitting, types = taken(records)
    for name, type_ in types.items():
        values = [record[name] for record in fitting if record.get(name) is not None]
        numeric = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if type_ == "number":
            assert len(numeric) == len(values)
        if type_ == "datetime":
            assert all(isinstance(value, str) and len(value) >= 10 for value in values)
    assert all(record in fitting for record in records if all(value is None for value in record.values()))


@given(
    st.lists(st.one_of(st.none(), st.integers(), st.floats(allow_nan=False)), max_size=9),
    st.sampled_from(["a", True, "2025-10-01"]),
)
def test_a_column_of_numbers_takes_numbers_and_null(numbers: list[Any], other: Any) -> None:
    fitting, types = taken([{"n": 0}, *({"n": number} for number in numbers), {"n": other}])
    assert len(fitting) == len(numbers) + 1
    assert types == {"n": "number"}


@pytest.mark.parametrize(
    ("values", "type_", "fits"),
    [
        (["2025-10-01", "2025-10-01T12:00:00Z", "2025-10-01 12:00:00.123456+02:00"], "datetime", 3),
        (["2025-10-01", "tomorrow", 5], "string", 3),
        (["2025-10-01", 5], "datetime", 1),
        (["2025-02-30"], "string", 1),
        (["a", 1, True, "2025-10-01"], "string", 4),
        ([True, "yes", 0], "string", 3),
        ([None, 1.5, "x"], "number", 2),
        (["x" * (LONGEST_TEXT + 1), "x" * LONGEST_TEXT], "string", 1),
        (["ü" * (LONGEST_TEXT // 2 + 1), "ü" * (LONGEST_TEXT // 2)], "string", 1),
    ],
)
def test_types(values: list[Any], type_: str, fits: int) -> None:
    fitting, types = taken([{"c": value} for value in values])
    assert (types, len(fitting)) == ({"c": type_}, fits)


def test_a_rejected_record_is_counted_named_and_not_stored(driver: Driver, box: Sandbox) -> None:
    client = driver.client(box.api_key, box.url)
    dataset = client.datasets.create("D", data_source=client.data_sources.create("S"), primary_keys=["id"])
    given = [{"id": n, "amount": "seven" if n == 7 else n * 1.5} for n in range(20)]
    with pytest.raises(IngestError, match="Column 'amount' is of type number, and the value is a string") as caught:
        client.datasets.ingest(dataset, given)
    report = caught.value.report
    assert (report.accepted, report.appended, report.rejected) == (20, 19, 1)
    assert box.rows(dataset) == [row for row in given if row["id"] != 7]


def test_a_purged_dataset_has_no_columns(box: Sandbox) -> None:
    path = f"/v1/datasets/{dataset_in(box)}"
    for value in (1, "a"):
        ask(box, "POST", f"{path}/data", json={"records": [{"c": value}]})
        assert len(box.rows(path.rpartition("/")[2])) == 1
        ask(box, "POST", f"{path}/purge")


def test_a_dataset_has_so_many_columns_and_no_more(box: Sandbox) -> None:
    dataset = dataset_in(box)
    at = f"/v1/datasets/{dataset}"
    most = {f"c{n}": n for n in range(MOST_COLUMNS)}
    for record in (most, {"c0": 1}, {"one more": 1}, {"c1": 2}):
        ask(box, "POST", f"{at}/data", json={"records": [record]})
    assert box.rows(dataset) == [most, {"c0": 1}, {"c1": 2}]
    (said,) = [
        each["errors"][0]["message"] for each in get(box, "/_sandbox/overview").json()["ingestions"] if each["errors"]
    ]
    assert said == f"The dataset has {MOST_COLUMNS} columns and would get 1 more; the maximum is {MOST_COLUMNS}."
