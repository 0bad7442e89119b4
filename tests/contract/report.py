"""Which statuses of each operation are documented, recorded, emulated and parsed; determined, not written by hand."""

import re
from collections.abc import Iterable
from typing import Any

import attrs
import httpx
from anyio.from_thread import start_blocking_portal

from databox.sandbox import Fault, Sandbox
from tests.contract.calls import VALID_BODIES, ask, expected
from tests.drive import Driver
from tests.scripted import ScriptedServer, answer
from tools.contract.description import GENERAL_STATUSES, Described, Description, contradictions
from tools.contract.recording import Message, Recording
from tools.contract.walk import Walk

__all__ = ["Row", "findings", "rows", "table", "walked"]


@attrs.frozen
class Row:
    """One status of one operation."""

    operation: str
    status: int
    documented: str
    """`page`, `general` (any operation may answer it), or `-`."""
    recorded: str
    emulated: str
    """`itself`, `on demand` (by a fault), or `not as described`."""
    parsed: str
    """What the facade makes of the answer, or `wrong`."""

    @property
    def is_fine(self) -> bool:
        """Whether it is documented, emulated as described, and parsed as it should be."""
        return self.documented != "-" and self.emulated != "not as described" and self.parsed != "wrong"


def rows(description: Description, recordings: Iterable[Recording]) -> list[Row]:
    """Return the rows, in the order of the description."""
    recorded = list(recordings)
    with Sandbox() as box, ScriptedServer() as server, start_blocking_portal() as portal:
        driver = Driver("sync", portal)
        emulated = walked(box)
        found = []
        for operation in description.ours:
            own = [item for item in [*recorded, *emulated] if item.operation == operation.key]
            for status in sorted({*operation.statuses, *(item.status for item in own)}):
                by_itself = [item for item in emulated if (item.operation, item.status) == (operation.key, status)]
                shown = by_itself or [_on_demand(box, operation, status)]
                theirs = [item for item in recorded if (item.operation, item.status) == (operation.key, status)]
                found.append(
                    Row(
                        operation.key,
                        status,
                        _documented(operation, status),
                        ", ".join(sorted({item.provenance for item in theirs})) or "-",
                        _emulated(description, shown, by_itself),
                        _parsed(driver, server, description, [*theirs, *shown]),
                    )
                )
        driver.close()
    return found


def table(found: Iterable[Row]) -> str:
    """Return the rows as lines of text."""
    names = [field.name for field in attrs.fields(Row)]
    lines = [tuple(names), *(tuple(str(value) for value in attrs.astuple(row)) for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def findings(description: Description, shown: Iterable[Recording]) -> list[str]:
    """Return in words where a description is narrower than what was shown, each thing once."""
    told: dict[str, set[str]] = {}
    for item in shown:
        sent = item.response
        for problem in description.response_problems(item.operation, item.status, sent.content, sent.content_type):
            if problem.narrower and problem.text not in item.deviations:
                told.setdefault(re.sub(r"\[\d+\]", "[]", problem.text), set()).add(item.provenance)
    return [f"{text} (seen: {', '.join(sorted(seen))})" for text, seen in told.items()]


def walked(box: Sandbox) -> list[Recording]:
    """Return what a sandbox answers to a walk."""
    with httpx.Client(base_url=box.url, headers={"x-api-key": box.api_key}, verify=False) as http:
        return list(Walk(http, title="A title").run())


def _on_demand(box: Sandbox, operation: Described, status: int) -> Recording:
    """Return what the sandbox answers when told to."""
    method, _, template = operation.key.partition(" ")
    path = template.replace("{accountId}", "1").replace("{dataSourceId}", "1")
    path = path.replace("{datasetId}", "d").replace("{ingestionId}", "i")
    box.inject(Fault(operation.facade or "*", status=status, times=1))
    body = VALID_BODIES.get(operation.key)
    answered = httpx.request(method, box.url + path, headers={"x-api-key": box.api_key}, json=body, verify=False)
    response = Message({"content-type": answered.headers["content-type"]}, answered.json())
    return Recording("on-demand", operation.key, "emulated", "-", method, path, {}, Message({}, body), status, response)


def _documented(operation: Described, status: int) -> str:
    if status in operation.statuses:
        return "page"
    return "general" if status in GENERAL_STATUSES else "-"


def _emulated(description: Description, shown: list[Recording], by_itself: list[Recording]) -> str:
    for item in shown:
        sent = item.response
        found = description.response_problems(item.operation, item.status, sent.content, sent.content_type)
        if contradictions(found):
            return "not as described"
    return "itself" if by_itself else "on demand"


def _parsed(driver: Driver, server: ScriptedServer, description: Description, shown: list[Recording]) -> str:
    names = set()
    client = driver.client(base_url=server.url)
    for item in shown:
        server.will(answer(item.status, item.response.content, dict(item.response.headers)))
        place = description.locate(item.method, item.path)
        assert place
        body: Any = item.request.body if item.status == 200 else VALID_BODIES.get(item.operation)
        outcome = ask(client, item.operation, place[1], body)
        if outcome != expected(item, place[1]):
            return "wrong"
        result = outcome.result
        kind = type(result[0] if isinstance(result, list) and result else result).__name__
        names.add(outcome.error or (f"Page[{kind}]" if isinstance(result, list) else kind.removesuffix("Type")))
    return ", ".join(sorted(names))
