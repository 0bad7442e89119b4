"""Test a client in any language with the cases in `cases/`.

    python conformance/run.py [--strict] [--area AREA]... [--case ID]... [--timeout SECONDS] -- COMMAND...

COMMAND starts an adapter: a program that reads a line of JSON from standard input for each case and writes one to
standard output. For {"id", "area", "input"} it answers {"id", "result"}, or {"id", "unsupported": true} if its
language or client does not have the feature, or {"id", "error": "the reason"}. Its standard error is passed on.

Unsupported cases fail in the areas that every client has; with --strict, in all. The exit status is 0 if no case
failed, 1 if one did, and 2 if nothing could be run. Needs only Python 3.11.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # as a script, it has only its own folder

from conformance.compare import differences
from conformance.program import Adapter, Broken
from conformance.server import Server
from conformance.world import World

Json = dict[str, Any]

CASES = Path(__file__).resolve().parent / "cases"
SERVED = {"calls", "ingest", "recovery", "wire", "pace", "files"}
"""Areas whose cases need a server."""
OPTIONAL = {"limits", "pace", "order", "keys", "patience", "recovery", "files", "encoding"}
"""Areas that are optional for a small client, which sends one batch after the other and writes no files."""
PREFIX = "/v1/datasets/dataset"
"""The path of the dataset that rows are ingested into."""
KEY = "conformance-key-0123456789"
"""The key that adapters send. Nothing that they write may contain it."""


def cases(area: str | None = None) -> Iterator[tuple[str, Json]]:
    """Yield all cases of an area, or of all, each with its area."""
    for path in sorted(CASES.glob("*.json")):
        document = json.loads(path.read_text("utf-8"))
        if area in (None, document["area"]):
            for case in document["cases"]:
                yield document["area"], case


def problems(adapter: Adapter, area: str, case: Json) -> list[str] | None:
    """Return what is wrong with an adapter's answer to a case, or None if it does not support it."""
    try:
        if area in SERVED:
            return _problems_when_served(adapter, area, case)
        answer = adapter.ask({"id": case["id"], "area": area, "input": case["input"]})
    except Broken as error:
        return [f"the adapter failed: {error}"]
    if answer.get("unsupported"):
        return None
    return _told(answer) or differences(case["expected"], answer.get("result"))


def _told(answer: Json) -> list[str]:
    """Return what is wrong with an answer, whatever the case expects."""
    if "error" in answer:
        return [f"the adapter reported an error: {answer['error']}"]
    return ["the adapter's answer contains the key"] if KEY in json.dumps(answer) else []


# Cases with a server


def _problems_when_served(adapter: Adapter, area: str, case: Json) -> list[str] | None:
    given = case["input"]
    world = World(given.get("primary_keys", []), given.get("stored")) if given.get("serves") else None
    results: list[Json] = []
    with tempfile.TemporaryDirectory() as name, Server(given["script"], world, adapter.kill) as server:
        folder = Path(name)
        _write_files(folder, given.get("found", {}))
        for changes in ({}, *given.get("then", [])):
            asked = _merged(given, changes)
            server.killed = False
            try:
                question = _question(asked, folder, server.url)
                answer = adapter.ask({"id": case["id"], "area": area, "input": question})
            except Broken:
                if not server.killed:
                    raise
                adapter.close()
                answer = {"result": {"killed": True}}
            if answer.get("unsupported"):
                return None
            if wrong := _told(answer):
                return wrong
            # Without the name of the folder, which may by chance contain a number that the message must contain.
            result = json.loads(json.dumps(answer["result"]).replace(name, ""))
            results.append(result | _files(folder))
        for path in folder.iterdir():
            if KEY.encode() in path.read_bytes():
                return [f"the file {path.name} contains the key"]
        result = results[-1] | _seen(server, world) | {"before": results[:-1]}
        expected = dict(case["expected"])
        times = expected.pop("times", [])
        return server.problems + differences(expected, result) + [p for each in times for p in late(server, **each)]


def _merged(given: Json, changes: Json) -> Json:
    return {**given, **changes, "options": {**given.get("options", {}), **changes.get("options", {})}}


def _question(given: Json, folder: Path, url: str) -> Json:
    """Return the adapter's input: without the members that only the runner uses, and with paths of files."""
    kept = {name: value for name, value in given.items() if name not in ("script", "then", "found", "serves", "stored")}
    options = dict(kept.pop("options", {}))
    for name, file in (("journal", "journal"), ("dead_letter", "dead.jsonl")):
        if options.get(name):
            options[name] = str(folder / file)
    return {**kept, **({"options": options} if "options" in given and options else {}), "base_url": url}


def _write_files(folder: Path, found: Json) -> None:
    """Create the files that exist before the first run of a case."""
    names = {"dead_letters": "dead.jsonl", "reasons": "dead.jsonl.reasons.jsonl", "journal": "journal"}
    for name, text in found.items():
        (folder / names[name]).write_text(text, "utf-8")


def _files(folder: Path) -> Json:
    """Return the lines of the dead letters and of their reasons, and the names of all files."""
    letters, reasons = folder / "dead.jsonl", folder / "dead.jsonl.reasons.jsonl"
    lines = letters.read_text("utf-8").splitlines() if letters.exists() else []
    told = reasons.read_text("utf-8").splitlines() if reasons.exists() else []
    return {
        "dead_letters": lines,
        "reasons": [_row(line) for line in told],
        "files": sorted(p.name for p in folder.iterdir()),
    }


def _row(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line


def _seen(server: Server, world: World | None) -> Json:
    """Return what the server received, in the form of the cases."""
    came = server.requests
    bodies = [request.body.decode("utf-8", "replace") for request in came if request.body]
    return {
        "requests": [{"method": each.method, "target": each.target, "headers": each.headers} for each in came],
        "paths": [each.target.removeprefix(PREFIX) for each in came],
        "bodies": [_row(body) for body in bodies],
        "sent": bodies,
        "count": len(came),
        "at_once": server.at_once,
        "stored": world.stored if world else None,
    }


def late(server: Server, to: int, at_least: float, after: int | None = None) -> list[str]:
    """Return whether a request arrived too early after the answer to another one, or after the start of the case.

    A busy machine makes it arrive later, never earlier.
    """
    came = server.requests
    if to >= len(came) or (after is not None and (after >= len(came) or came[after].answered is None)):
        return [f"request {to} was not received"]
    start = server.started if after is None else came[after].answered or 0.0
    seconds = came[to].arrived - start
    since = "the start" if after is None else f"the answer to request {after}"
    if seconds >= at_least:
        return []
    return [f"request {to} arrived {seconds:.3f} s after {since}, not at least {at_least} s"]


# The command


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Test a client with the cases.")
    parser.add_argument("--strict", action="store_true", help="unsupported cases fail in every area")
    parser.add_argument("--area", action="append", help="run the cases of this area; may be repeated")
    parser.add_argument("--case", action="append", help="run this case; may be repeated")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for an answer")
    parser.add_argument("command", nargs="+", help="the command that starts the adapter, after --")
    given = parser.parse_args(arguments)
    chosen = [
        (area, case)
        for area, case in cases()
        if not (given.area or given.case) or area in (given.area or ()) or case["id"] in (given.case or ())
    ]
    if not chosen:
        print(f"There are no such cases. Areas: {', '.join(sorted({area for area, _ in cases()}))}.", file=sys.stderr)
        return 2
    adapter = Adapter(given.command, given.timeout)
    counts: dict[str, list[int]] = {}
    try:
        for area, case in chosen:
            found = problems(adapter, area, case)
            if found is None and (given.strict or area not in OPTIONAL):
                found = [f"unsupported, which {'--strict' if given.strict else f'the area {area}'} does not allow"]
            place = 2 if found is None else 1 if found else 0
            counts.setdefault(area, [0, 0, 0])[place] += 1
            if found:
                print("\n  ".join([f"{case['id']}: {case['why']}", *found]))
    except OSError as error:
        print(f"Could not start {given.command[0]}: {error.strerror}.", file=sys.stderr)
        return 2
    finally:
        adapter.close()
    for area, (passed, failed, unsupported) in counts.items():
        print(f"{area:14}{passed:4} passed{failed:4} failed{unsupported:4} unsupported")
    return 1 if any(failed for _, failed, _ in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
