"""The page under `/_sandbox/`, in a real browser."""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from databox import read_records
from databox.sandbox import Fault, Sandbox
from tests.browser.chromium import Chromium
from tests.browser.conftest import Sender
from tests.outside import TEXT, wild

WEATHER = Path(__file__).parents[2] / "databox" / "cli" / "seattle-weather.csv"
MARKUP = "<img src=x onerror=\"document.title='broken'\"></td><script>document.title='broken'</script>&amp;"


def cells(page: Chromium, table: str) -> list[list[str]]:
    """Return the texts of a table's body."""
    script = (
        "return [...document.querySelectorAll(given[0])].map((row) => [...row.cells].map((cell) => cell.innerText));"
    )
    found: list[list[str]] = page.run(script, f"{table} tbody tr")
    return found


def shows(page: Chromium, text: str, where: str = "body") -> None:
    page.until(f"{where} shows {text!r}", lambda: text in page.text(where))


def test_an_empty_sandbox(page: Chromium) -> None:
    shows(page, "No data sources yet", "nav")
    shows(page, "None yet.", "#ingestions")
    shows(page, "None yet.", "#requests")
    assert not page.run("return document.getElementById('pages').checkVisibility();")


def test_rows_counts_and_requests_appear_by_themselves(page: Chromium, sender: Sender, box: Sandbox) -> None:
    orders = sender.dataset("Orders", keys=["id"])
    sender.rows(orders, [{"id": n, "total": n * 1.5, "on": f"2025-10-{n:02}"} for n in range(1, 11)])
    shows(page, "10 rows, 3 columns, identified by id")
    assert cells(page, "#rows")[0] == ["1", "1.5", "2025-10-01"]
    assert len(cells(page, "#rows")) == 10
    sender.rows(orders, [{"id": 1, "total": 99.25}, {"id": 11, "total": None}, {"id": 12, "total": "dear"}])
    page.until("the second ingestion is shown", lambda: len(cells(page, "#ingestions")) == 2)
    newest = cells(page, "#ingestions")[0]
    assert newest[1:6] == ["success", "3", "1", "1", "1"]
    assert "Column 'total' is of type number" in newest[6]
    shows(page, "99.25", "#rows")
    shows(page, "11 rows", "#about")
    box.inject(Fault("purge", status=503))
    with httpx.Client(base_url=box.url, headers={"x-api-key": box.api_key}) as http:
        http.post(f"/v1/datasets/{orders.id}/purge")
    page.until("the request is shown", lambda: [row[3] for row in cells(page, "#requests")][:1] == ["503"])
    shown = cells(page, "#requests")
    assert shown[0][1:4] == [f"POST /v1/datasets/{orders.id}/purge", "datasets.purge", "503"]
    assert [int(row[0]) for row in shown] == sorted((int(row[0]) for row in shown), reverse=True)


def test_the_reason_of_a_rejection_can_be_read(page: Chromium, sender: Sender) -> None:
    sender.rows(sender.dataset("Orders"), [{"total": 1}, {"total": "much too dear for anybody"}])
    page.until("the ingestion is shown", lambda: cells(page, "#ingestions"))
    cell = "#ingestions tbody tr td:last-child"
    assert page.run("const has = document.querySelector(given[0]); return has.scrollWidth <= has.clientWidth;", cell)


def test_a_large_dataset_is_leafed_through(page: Chromium, sender: Sender) -> None:
    sender.rows(sender.dataset("Weather", keys=["date"]), list(read_records(WEATHER)))
    shows(page, "1,461 rows")
    shows(page, "1 to 50 of 1,461", "#place")
    assert page.run("return document.getElementById('older').disabled;")
    page.click("#newer")
    shows(page, "51 to 100 of 1,461", "#place")
    page.click("#older")
    shows(page, "1 to 50 of 1,461", "#place")


def heading(page: Chromium, text: str) -> None:
    page.until(f"the dataset shown is {text!r}", lambda: page.text("h2#dataset") == text)


def test_it_opens_on_the_newest_dataset_that_has_rows(window: Chromium, sender: Sender, box: Sandbox) -> None:
    for title in ("Old", "New"):
        sender.rows(sender.dataset(title), [{"n": 1}])
    sender.dataset("Empty")
    window.open(f"{box.url}/_sandbox/")
    heading(window, "New")
    sender.rows(sender.dataset("Newest"), [{"n": 1}])
    shows(window, "Newest", "nav")
    assert window.text("h2#dataset") == "New"  # which somebody may be reading
    window.open(f"{box.url}/_sandbox/")
    heading(window, "Newest")
    window.open("about:blank")


def test_a_dataset_without_rows_gives_way_to_the_first_that_gets_some(page: Chromium, sender: Sender) -> None:
    sender.dataset("Empty")
    heading(page, "Empty")
    sender.rows(sender.dataset("Full"), [{"n": 1}])
    heading(page, "Full")


def test_each_dataset_has_an_address(page: Chromium, sender: Sender, box: Sandbox) -> None:
    first, second = sender.dataset("First"), sender.dataset("Second")
    for dataset in (first, second):
        sender.rows(dataset, [{"n": n} for n in range(60)])
    shows(page, "60", f'nav [data-id="{second.id}"]')
    page.click(f'nav [data-id="{first.id}"]')
    heading(page, "First")
    assert page.run("return location.hash;") == f"#/datasets/{first.id}"
    page.click("#newer")
    shows(page, "51 to 60 of 60", "#place")
    page.click(f'nav [data-id="{second.id}"]')
    heading(page, "Second")
    shows(page, "1 to 50 of 60", "#place")
    page.run("history.back();")
    heading(page, "First")
    page.run("history.forward();")
    heading(page, "Second")
    page.run("history.go(-2);")
    heading(page, "Second")  # the newest, as nothing is asked for
    page.open("about:blank")
    page.open(f"{box.url}/_sandbox/#/datasets/{first.id}")
    heading(page, "First")
    sender.client.datasets.delete(first)
    shows(page, f"There is no dataset {first.id}. Choose another.", "#about")
    assert page.text("#rows") == ""
    page.click(f'nav [data-id="{second.id}"]')
    heading(page, "Second")


@pytest.mark.parametrize("hash_", ["#/datasets/%", "#/datasets/none", "#/datasets/<b>x</b>", "#/datasets/%E2%80%AE"])
def test_an_address_of_no_dataset(page: Chromium, sender: Sender, box: Sandbox, hash_: str) -> None:
    sender.rows(sender.dataset("D"), [{"n": 1}])
    page.open("about:blank")
    page.open(f"{box.url}/_sandbox/{hash_}")
    shows(page, "There is no dataset", "#about")
    shows(page, "None yet.", "#ingestions")
    assert page.run("return document.querySelectorAll('main b').length;") == 0
    assert wild(page.text().replace("\t", " "), lines=True) == ""


def test_the_ingestions_are_those_of_the_dataset_that_is_shown(page: Chromium, sender: Sender) -> None:
    rare, busy = sender.dataset("Rare"), sender.dataset("Busy")
    sender.rows(rare, [{"n": 1}, {"n": 2}, {"n": 3}])
    sender.rows(busy, [{"n": n} for n in range(55)], batch_size=1)
    shows(page, "55", f'nav [data-id="{busy.id}"]')
    page.click(f'nav [data-id="{rare.id}"]')
    page.until("its one ingestion is shown", lambda: [row[2] for row in cells(page, "#ingestions")] == ["3"])
    page.click(f'nav [data-id="{busy.id}"]')
    page.until("the latest are shown", lambda: [row[2] for row in cells(page, "#ingestions")] == ["1"] * 50)


def test_where_titles_repeat_the_ids_are_shown(page: Chromium, sender: Sender) -> None:
    twins = [sender.dataset("Orders", source=source) for source in ("North", "South")]
    alone = sender.dataset("Returns", source="South")
    shows(page, "Returns", "nav")
    said = page.text("nav")
    assert all(twin.id in said for twin in twins)
    assert alone.id not in said
    sources = [
        str(each.id) for each in sender.client.accounts.list_data_sources(sender.client.accounts.list().items[0].id)
    ]
    small = page.run("return [...document.querySelectorAll('nav h2 small')].map((each) => each.textContent);")
    assert len(sources) == 3
    assert small == sources[1:]


def test_a_chart_says_what_it_shows(page: Chromium, sender: Sender) -> None:
    dataset = sender.dataset("Sales")
    sender.rows(dataset, [{"on": f"2025-10-{n:02}", "total": n * n} for n in range(1, 29)])
    page.until("there is a chart", lambda: page.run("return !!document.querySelector('#chart svg path');"))
    label = page.run("return document.querySelector('#chart svg').getAttribute('aria-label');")
    assert label == page.text("#chart figcaption")
    assert "total by on, 2025-10-01 to 2025-10-28: 1 to 784" in label
    line = page.run("return document.querySelector('#chart path.line').getAttribute('d');")
    assert line.count("L") == 27
    assert "NaN" not in line


def test_the_chart_is_of_all_rows_in_their_order_in_time(page: Chromium, sender: Sender) -> None:
    """A concurrent ingest stores batches in any order; the line must not jump over what came earlier."""
    rows = [{"on": f"{1900 + n}-01-01", "total": n} for n in range(1200)]
    sender.rows(sender.dataset("Long"), rows[600:] + rows[:600])
    shows(page, "total by on, 1900-01-01 to 3099-01-01", "#chart")


def test_the_chart_of_more_rows_than_it_draws_says_which_it_shows(page: Chromium, sender: Sender) -> None:
    sender.rows(sender.dataset("Long"), [{"total": n if n % 4 == 0 else -n} for n in range(4100)])
    shows(page, "total, row 1 to row 4099: -4098 to 4092 (one row in 3 of 4,100)", "#chart")


def test_the_chart_says_how_many_rows_it_cannot_show(page: Chromium, sender: Sender) -> None:
    sender.rows(sender.dataset("Gaps"), [{"total": 1}, {"total": None}, {"total": 3}])
    shows(page, "total, row 1 to row 3: 1 to 3 (1 without a value left out)", "#chart")


@pytest.mark.parametrize(
    "rows",
    [
        [{"n": 1}],
        [{"n": 5}, {"n": 5}],
        [{"n": None}, {"n": None}],
        [{"on": "2025-10-01", "n": 1}, {"on": "2025-10-01", "n": 2}],
        [{"n": -3}, {"n": -1}],
        [{"n": 1e308}, {"n": -1e308}],
        [{"text": "a"}, {"text": "b"}],
    ],
)
def test_a_chart_of_odd_rows(page: Chromium, sender: Sender, rows: list[dict[str, object]]) -> None:
    sender.rows(sender.dataset("Odd"), rows)
    page.until("the rows are shown", lambda: len(cells(page, "#rows")) == len(rows))
    assert "NaN" not in page.run("return document.getElementById('chart').outerHTML;")
    assert "Infinity" not in page.run("return document.getElementById('chart').outerHTML;")


def test_data_is_text_and_never_markup(page: Chromium, sender: Sender, box: Sandbox) -> None:
    dataset = sender.dataset(MARKUP, source=MARKUP, keys=[MARKUP])
    sender.rows(dataset, [{MARKUP: MARKUP, "n": 1}, {MARKUP: "2", "n": MARKUP}])
    with httpx.Client() as http:
        http.get(box.url + "/v1/<img src=x onerror=alert(1)>")
    shows(page, MARKUP, "nav")
    shows(page, MARKUP, "h2#dataset")
    shows(page, MARKUP, "#rows thead")
    page.until("the row is shown", lambda: cells(page, "#rows") == [[MARKUP, "1"]])
    assert page.run("return document.title;") == "Databox sandbox"
    assert page.run("return document.querySelectorAll('main img, nav img, body script').length;") == 0


def test_columns_may_have_any_name(page: Chromium, sender: Sender) -> None:
    names = ["constructor", "__proto__", "toString", "", " ", "__defineGetter__"]
    sender.rows(sender.dataset("Names"), [dict.fromkeys(names, "x"), {"other": 1}])
    page.until("the rows are shown", lambda: len(cells(page, "#rows")) == 2)
    assert cells(page, "#rows") == [["x"] * len(names) + [""], [""] * len(names) + ["1"]]
    heads = page.run("return [...document.querySelectorAll('#rows th')].map((head) => head.firstChild.textContent);")
    assert heads == [*names, "other"]


def test_values_are_shown_as_they_are(page: Chromium, sender: Sender) -> None:
    sender.rows(sender.dataset("Values"), [{"t": "", "b": True, "z": None, "u": "Ünïcode 🦊", "l": "x" * 5000}])
    page.until("the row is shown", lambda: cells(page, "#rows"))
    assert cells(page, "#rows")[0][:4] == ["", "true", "null", "Ünïcode 🦊"]
    assert page.run("return document.documentElement.scrollWidth <= innerWidth;")


def test_whole_numbers_beyond_what_a_browser_counts(page: Chromium, sender: Sender) -> None:
    sender.rows(sender.dataset("Big"), [{"id": 9007199254740993}])
    page.until("the row is shown", lambda: cells(page, "#rows"))
    assert cells(page, "#rows") == [["9007199254740993"]]


def test_the_key_is_nowhere(page: Chromium, sender: Sender, box: Sandbox) -> None:
    sender.rows(sender.dataset("Secret"), [{"id": 1}])
    with httpx.Client(base_url=box.url, headers={"x-api-key": box.api_key}) as http:
        http.get("/v1/accounts", params={"key": box.api_key}, headers={"authorization": f"Bearer {box.api_key}"})
    page.until("the request is shown", lambda: "accounts.list" in page.text("#requests"))
    assert box.api_key not in page.run("return document.documentElement.outerHTML;")
    asked = [address for address in page.requested() if address.startswith("http")]
    assert not [address for address in asked if box.api_key in address]


def test_everything_comes_from_the_sandbox(page: Chromium, sender: Sender, box: Sandbox) -> None:
    sender.rows(sender.dataset("D"), [{"on": "2025-10-01", "n": 1}, {"on": "2025-10-02", "n": 2}])
    shows(page, "2 rows")
    addresses = {address for address in page.requested() if not address.startswith("data:")}
    assert {address for address in addresses if not address.startswith(f"{box.url}/_sandbox/")} == set()
    assert f"{box.url}/_sandbox/overview" in addresses


def test_the_policy_lets_nothing_else_run(page: Chromium) -> None:
    page.run(
        """const script = document.createElement('script');
        script.textContent = "document.title = 'broken'";
        document.body.append(script);
        const picture = new Image();
        picture.src = 'http://elsewhere.example/x.png';
        await fetch('http://elsewhere.example/').catch(() => {});
        await new Promise((done) => setTimeout(done, 100));"""
    )
    assert page.run("return document.title;") == "Databox sandbox"
    complaints = page.complaints()
    assert len([each for each in complaints if "Content Security Policy" in each]) >= 3
    assert not [address for address in page.requested() if "elsewhere.example" in address and "127" in address]


def test_a_sandbox_that_is_gone_and_comes_back(window: Chromium) -> None:
    with Sandbox() as first:
        window.open(f"{first.url}/_sandbox/")
        shows(window, "0 requests", "#state")
        first.close()
        shows(window, "No answer from the sandbox", "#state")
        first.start()
        shows(window, "0 requests", "#state")
        window.open("about:blank")
    window.complaints()  # of the connection that was refused


def test_what_waits_is_processed_at_the_press_of_a_button(window: Chromium) -> None:
    with Sandbox(processing_delay=math.inf) as box, httpx.Client(base_url=box.url) as http:
        http.headers["x-api-key"] = box.api_key
        source = http.post("/v1/data-sources", json={"title": "S"}).json()["id"]
        dataset = http.post("/v1/datasets", json={"title": "D", "dataSourceId": source}).json()["id"]
        http.post(f"/v1/datasets/{dataset}/data", json={"records": [{"n": 1}, {"n": 2}]})
        window.open(f"{box.url}/_sandbox/")
        shows(window, "processing", "#ingestions")
        assert cells(window, "#ingestions")[0][2:6] == ["2", "–", "–", "–"]
        window.click("#process")
        shows(window, "success", "#ingestions")
        shows(window, "2 rows", "#about")
        window.open("about:blank")


def test_a_page_that_is_not_live_stays_as_it_is(page: Chromium, sender: Sender) -> None:
    page.click("#live")
    assert page.run("return document.getElementById('live').getAttribute('aria-pressed');") == "false"
    sender.dataset("Unseen")
    page.requested()
    page.run("await new Promise((done) => setTimeout(done, 1500));")
    assert page.requested() == []
    page.click("#live")
    shows(page, "Unseen", "nav")


def test_a_reset_empties_the_page(page: Chromium, sender: Sender, box: Sandbox) -> None:
    sender.rows(sender.dataset("Gone"), [{"n": 1}])
    page.until("the row is shown", lambda: cells(page, "#rows"))
    box.reset()
    shows(page, "No data sources yet", "nav")
    shows(page, "0 requests", "#state")
    page.until("the rows are gone", lambda: page.text("#rows") == "")


@pytest.fixture
def other() -> Iterator[Sandbox]:
    """A server of another origin, whose pages the browser may show."""
    with Sandbox() as other:
        yield other


def test_a_page_of_another_site_gets_at_nothing(window: Chromium, sender: Sender, box: Sandbox, other: Sandbox) -> None:
    sender.dataset("Private")
    window.open(f"{other.url}/v1/accounts")  # an answer without a policy, so that its page may try anything
    tried = window.run(
        """const seen = [];
        for (const [path, options] of [['overview', {}], ['state', {}], ['reset', { method: 'POST' }],
            ['reset', { method: 'POST', mode: 'no-cors' }], ['requests', { method: 'DELETE' }],
            ['state', { method: 'POST', mode: 'no-cors', body: '{}' }]]) {
          const answer = await fetch(`${given[0]}/_sandbox/${path}`, options).catch(() => ({ type: 'error' }));
          seen.push(answer.type);
        }
        const form = document.createElement('form');
        form.method = 'post';
        form.action = `${given[0]}/_sandbox/reset`;
        document.body.append(form);
        form.submit();
        return seen;""",
        box.url,
    )
    assert tried == ["error", "error", "error", "opaque", "error", "opaque"]
    window.until("the form is refused", lambda: "loopback" in window.text())
    assert box.export_state()["dataSources"][0]["datasets"][0]["title"] == "Private"
    window.open(box.url.replace("127.0.0.1", "elsewhere.example") + "/_sandbox/overview")
    assert "Private" not in window.text()
    assert "loopback" in window.text()
    window.open("about:blank")
    window.complaints()  # of all that was refused


def test_localhost_will_do(window: Chromium, box: Sandbox) -> None:
    window.open(box.url.replace("127.0.0.1", "localhost") + "/_sandbox/")
    shows(window, "0 requests", "#state")
    window.open("about:blank")


def size_of(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_pictures_to_look_at(page: Chromium, sender: Sender, tmp_path: Path, width: int, dark: bool) -> None:
    """`pytest --basetemp=DIRECTORY` keeps them; here only what a program can tell is checked."""
    sender.rows(sender.dataset("Weather", keys=["date"]), list(read_records(WEATHER))[:300])
    page.look(width=width, height=900, dark=dark)
    shows(page, "300 rows")
    page.screenshot(tmp_path / "page.png")
    assert size_of((tmp_path / "page.png").read_bytes())[0] == pytest.approx(width, abs=20)
    assert page.run("return document.documentElement.scrollWidth <= innerWidth;")
    red, green, blue = page.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);")
    assert (max(red, green, blue) < 64) is dark


def test_no_text_turns_a_line_around_or_hides(page: Chromium, sender: Sender) -> None:
    orders = sender.dataset(f"Orders {TEXT}", keys=["id"])
    sender.rows(orders, [{"id": 1, TEXT: TEXT}])
    shows(page, "1 rows, 2 columns")
    everything = (
        "return document.body.innerText + [...document.querySelectorAll('*')].map((each) => each.title).join();"
    )
    said = page.run(everything)
    assert wild(said.replace("\t", " "), lines=True) == ""
    for words in (
        r"\x1b[2J\x1b[5;95mred",
        r"\u202etxt.exe\u2066",
        r"line\nERROR forged\r",
        r"\U000e0041",
        "[bold]d[/bold]",
    ):
        assert words in said
