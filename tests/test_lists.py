"""Pages, and finding objects by title."""

from typing import Any

import pytest

from databox import DataboxError, InvalidResponseError, ServerError
from databox.sandbox import Fault, Sandbox
from tests.drive import Driver
from tests.scripted import ScriptedServer, Step, answer


def page(*ids: str, total: int | None = None, size: int = 2) -> Step:
    """One page of ingestions."""
    body: dict[str, Any] = {"status": "success", "ingestions": [{"ingestionId": name} for name in ids]}
    if total is not None:
        body["pagination"] = {"page": 1, "pageSize": size, "totalItems": total}
    return answer(200, body)


def ids(driver: Driver, pages: Any) -> list[str]:
    return [item.id for item in driver.collect(pages)]


def test_iterating_walks_every_page(driver: Driver, client: Any, dataset: Any, box: Sandbox) -> None:
    made = [client.datasets.create_ingestion(dataset, [{"id": n}]).ingestion_id for n in range(7)]
    before = len(box.requests)

    first = client.datasets.list_ingestions(dataset, page_size=3)

    assert (len(first.items), first.total) == (3, 7)
    assert repr(first).endswith("Page 1: 3 of 7 items>")
    assert len(box.requests) == before + 1  # one page at a time
    assert ids(driver, first) == made
    assert [dict(request.query) for request in box.requests[before:]] == [
        {"pageSize": "3"},
        {"page": "2", "pageSize": "3"},
        {"page": "3", "pageSize": "3"},
    ]
    assert ids(driver, first) == made  # again, from the start
    assert client.datasets.get_ingestion(dataset, first.items[0]).appended == 1  # each item may be asked for


def test_pages_one_by_one(driver: Driver, client: Any, dataset: Any) -> None:
    for n in range(5):
        client.datasets.create_ingestion(dataset, [{"id": n}])
    pages = driver.collect(client.datasets.list_ingestions(dataset, page_size=2).by_page())
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {page.total for page in pages} == {5}


def test_a_list_that_is_not_paged_is_one_page(driver: Driver, client: Any, box: Sandbox) -> None:
    accounts = client.accounts.list()
    assert accounts.total == len(accounts.items) == 3
    assert driver.collect(accounts) == list(accounts.items)
    assert len(box.requests) == 1


def test_an_empty_list(driver: Driver, client: Any, dataset: Any) -> None:
    empty = client.datasets.list_ingestions(dataset)
    assert (empty.items, empty.total, ids(driver, empty)) == ((), 0, [])


def test_without_totals_it_goes_on_while_pages_are_full(driver: Driver, server: ScriptedServer) -> None:
    server.will(page("a", "b"), page("c", "d"), page("e"))
    pages = driver.client(base_url=server.url).datasets.list_ingestions("d", page_size=2)
    assert pages.total is None
    assert ids(driver, pages) == ["a", "b", "c", "d", "e"]
    assert len(server.requests) == 3


def test_a_server_that_does_not_page_ends_the_walk(driver: Driver, server: ScriptedServer) -> None:
    server.will(page("a", "b"))
    pages = driver.client(base_url=server.url).datasets.list_ingestions("d", page_size=2)
    assert ids(driver, pages) == ["a", "b"]


def test_a_page_that_repeats_is_an_error_when_more_was_promised(driver: Driver, server: ScriptedServer) -> None:
    server.will(page("a", "b", total=4))
    pages = driver.client(base_url=server.url).datasets.list_ingestions("d")
    with pytest.raises(InvalidResponseError, match="same page"):
        driver.collect(pages)


def test_an_empty_page_ends_the_walk(driver: Driver, server: ScriptedServer) -> None:
    server.will(page("a", total=9), page(total=9))
    assert ids(driver, driver.client(base_url=server.url).datasets.list_ingestions("d")) == ["a"]


def test_a_server_may_give_smaller_pages_than_asked_for(driver: Driver, server: ScriptedServer) -> None:
    server.will(page("a", total=3, size=1), page("b", total=3, size=1), page("c", total=3, size=1))
    pages = driver.client(base_url=server.url).datasets.list_ingestions("d", page_size=1000)
    assert ids(driver, pages) == ["a", "b", "c"]


# ensure


def test_ensure_makes_once(client: Any) -> None:
    source = client.data_sources.ensure("S", account_id=123456, timezone="Europe/Berlin")
    assert client.data_sources.ensure("S", account_id=123456) == source
    first = client.datasets.ensure("D", data_source=source, primary_keys=["a"])
    again = client.datasets.ensure("D", data_source=source, primary_keys=["a"])
    assert again == first
    assert again.primary_keys == ("a",)
    assert client.datasets.ensure("D", data_source=source).primary_keys is None


def test_ensure_does_not_guess_among_several(client: Any) -> None:
    sources = [client.data_sources.create("S") for _ in range(2)]
    with pytest.raises(DataboxError, match=f"{sources[0].id}, {sources[1].id}"):
        client.data_sources.ensure("S", account_id=123456)
    sets = [client.datasets.create("D", data_source=sources[0]) for _ in range(2)]
    with pytest.raises(DataboxError, match=f"{sets[0].id}, {sets[1].id}"):
        client.datasets.ensure("D", data_source=sources[0])


def test_ensure_looks_again_when_the_answer_to_a_create_was_lost(client: Any, box: Sandbox) -> None:
    box.inject(Fault("create", drop="after", times=1))
    source = client.data_sources.ensure("S", account_id=123456)
    box.inject(Fault("create", drop="after", times=1))
    dataset = client.datasets.ensure("D", data_source=source, primary_keys=["a"])
    assert [found.id for found in client.data_sources.list_datasets(source).items] == [dataset.id]
    assert dataset.primary_keys == ("a",)


def test_ensure_reports_a_create_that_did_not_happen(client: Any, box: Sandbox) -> None:
    box.inject(Fault("create", status=500))
    with pytest.raises(ServerError):
        client.data_sources.ensure("S", account_id=123456)


def test_ensure_warns_of_another_time_zone(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    client.data_sources.ensure("S", account_id=123456, timezone="Europe/Berlin")
    client.data_sources.ensure("S", account_id=123456, timezone="UTC")
    assert "time zone" in caplog.text
