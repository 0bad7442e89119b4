"""The page is usable without a mouse and with a screen reader."""

from typing import Any

import pytest

from databox.sandbox import Sandbox
from tests.browser.chromium import Chromium
from tests.browser.conftest import Sender
from tests.browser.test_page import shows

CONTRAST = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const over = ([r, g, b, a = 1], under) => [r, g, b].map((part, place) => part * a + under[place] * (1 - a));
const ground = (element) => {
  if (!element) return [255, 255, 255];
  const own = parse(getComputedStyle(element).backgroundColor);
  return (own[3] ?? 1) === 1 ? own.slice(0, 3) : over(own, ground(element.parentElement));
};
const light = (colour) => {
  const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = colour.map((part) => linear(part / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
return [...document.querySelectorAll('body *')]
  .filter((each) => each.checkVisibility() && !each.disabled)
  .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((each) => {
    const under = ground(each);
    const [high, low] = [light(over(parse(getComputedStyle(each).color), under)), light(under)].sort((a, b) => b - a);
    return [each.tagName, each.textContent.slice(0, 30), (high + 0.05) / (low + 0.05)];
  })
  .filter(([, , ratio]) => ratio < 4.5);
"""


@pytest.fixture
def filled(page: Chromium, sender: Sender) -> Chromium:
    """The page of a sandbox with two datasets, an error, and an ingestion with a rejected row."""
    sender.rows(sender.dataset("Second", source="Later"), [{"n": 1}, {"n": "one"}])
    first = sender.dataset("First", keys=["on"])
    sender.rows(first, [{"on": f"2025-10-{n:02}", "n": n, "note": None} for n in range(1, 29)])
    sender.client.request("GET", "/v1/accounts")
    shows(page, "28", "nav")
    page.run("location.hash = document.querySelector('nav a').hash;")
    shows(page, "Second", "h2#dataset")
    return page


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out(filled: Chromium, dark: bool) -> None:
    filled.look(width=1280, height=900, dark=dark)
    filled.run("await new Promise((done) => setTimeout(done, 1500));")  # what is new fades
    assert filled.run(CONTRAST) == []


def tree(page: Chromium) -> list[dict[str, Any]]:
    """Return what assistive technology is told, as role and name."""
    nodes = page.command("Accessibility.getFullAXTree")["nodes"]
    return [
        {"role": node["role"]["value"], "name": node.get("name", {}).get("value", "")}
        for node in nodes
        if not node["ignored"]
    ]


def test_everything_has_a_name_and_a_place(filled: Chromium) -> None:
    told = tree(filled)
    nameless = [
        node
        for node in told
        if node["role"] in {"button", "link", "region", "navigation", "image"} and not node["name"]
    ]
    assert nameless == []
    roles = [node["role"] for node in told]
    assert {"banner", "navigation", "main", "status", "heading", "table", "columnheader"} <= set(roles)
    assert [node["name"] for node in told if node["role"] == "table"] == ["Rows", "Ingestions", "Requests"]
    levels = filled.run("return [...document.querySelectorAll('h1, h2, h3')].map((each) => each.tagName);")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    assert filled.run("return document.documentElement.lang;") == "en"


def test_the_keyboard_reaches_everything_in_order(filled: Chromium) -> None:
    reached: list[str] = []
    while len(reached) < 20:
        filled.press("Tab")
        if filled.focused() in reached:  # round the page once
            break
        reached.append(filled.focused())
    expected = ["Skip to the rows", "process", "live", "Second1", "First28", "rows", "ingestions", "requests"]
    assert [each for each in reached if each in expected] == expected
    assert filled.run("return getComputedStyle(document.activeElement).outlineStyle;") == "solid"


def test_a_dataset_is_chosen_with_enter_and_keeps_the_focus(filled: Chromium, sender: Sender) -> None:
    for _ in range(5):
        filled.press("Tab")
    assert filled.focused().startswith("First")
    filled.press("Enter")
    shows(filled, "First", "h2#dataset")
    assert filled.focused().startswith("First")
    current = filled.run(
        "return [...document.querySelectorAll('nav [aria-current=true]')].map((each) => each.innerText);"
    )
    assert len(current) == 1
    sender.dataset("Third")
    shows(filled, "Third", "nav")
    assert filled.focused().startswith("First")


def test_scrolling_survives_what_comes_in(filled: Chromium, sender: Sender) -> None:
    scroll = (
        "const has = document.getElementById('requests'); if (given[0]) has.scrollTop = given[0]; return has.scrollTop;"
    )
    for _ in range(20):
        sender.client.request("GET", "/v1/accounts")
    filled.until("there is something to scroll", lambda: filled.run(scroll, 60) == 60)
    sender.dataset("Third")
    shows(filled, "Third", "nav")
    assert filled.run(scroll) == 60


def test_the_skip_link_leads_to_the_rows(filled: Chromium) -> None:
    filled.press("Tab", "Enter")
    assert filled.focused() == "main"


def test_a_screen_reader_is_not_told_the_time_each_second(filled: Chromium, box: Sandbox) -> None:
    filled.run(
        """window.changes = 0;
        new MutationObserver((seen) => { window.changes += seen.length; })
          .observe(document.querySelector('[role=status]'), { childList: true, characterData: true, subtree: true });"""
    )
    filled.run("await new Promise((done) => setTimeout(done, 2500));")
    assert filled.run("return window.changes;") == 0
    assert box.requests
