"""`make contract`: fuzz for minutes, put a validating proxy between SDK and sandbox, report.

python -m tests.contract [--minutes 4]

Sandbox and client are held to the API as the tests know it, and to the description that was pulled last. Where that one
is narrower than what was seen, it is a finding about the description, and no failure.
"""

import argparse
import sys

from databox.sandbox import Sandbox
from tests.contract.fuzz import CONTRADICTIONS, fuzz
from tests.contract.proxy import ProxyError, prism, violations_in_a_workflow
from tests.contract.report import findings, rows, table, walked
from tests.reference import REFERENCE, REFERENCE_FILE
from tools.contract.description import Description
from tools.contract.recording import PROVENANCES, read_all
from tools.spec.project import Project


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Hold description, recordings, sandbox and facade against one another."
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="how long to fuzz; 0 for not at all")
    given = parser.parse_args(arguments)
    known, published = Description.of(REFERENCE), Description.published()
    if Project().description.read_bytes() == REFERENCE_FILE.read_bytes():
        fine = [_fuzzed(known, given.minutes, []), _proxied(known)]
    else:
        pulled = published.loosened()
        fine = [
            _fuzzed(known, given.minutes * 3 / 4, []),
            _fuzzed(pulled, given.minutes / 4, CONTRADICTIONS),
            _proxied(known),
            _proxied(pulled),
        ]
    fine.append(_reported(published))
    return 0 if all(fine) else 1


def _fuzzed(description: Description, minutes: float, checks: list[str]) -> bool:
    if minutes <= 0:
        return True
    print(f"Fuzzing the sandbox for {minutes:g} minutes{' by what was pulled' if checks else ''} …", flush=True)
    with Sandbox() as box:
        # Without a seed of ours: each run looks elsewhere, and says how to repeat what it found.
        limits = ["--max-time", str(max(1, round(minutes * 60))), "--max-examples", "1000000"]
        done = fuzz(box, description, arguments=[*limits, *checks])
        print(f"  {len(box.requests)} requests: {'found nothing' if done.returncode == 0 else 'found something'}")
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def _proxied(description: Description) -> bool:
    print("A workflow of each client through Prism …", flush=True)
    try:
        with Sandbox() as box, prism(box, description) as url:
            count, found = violations_in_a_workflow(url, box.api_key)
    except ProxyError as error:
        print(f"  left out: {error}")
        return True
    print(f"  {count} requests, {len(found)} violations", *found, sep="\n  ")
    return not found


def _reported(description: Description) -> bool:
    recorded = read_all(*PROVENANCES)
    with Sandbox() as box:
        narrower = findings(description, [*recorded, *walked(box)])
    if narrower:
        print("Findings about the description, which is narrower than what was seen:", *narrower, sep="\n- ")
    found = rows(description, recorded)
    print(table(found))
    return all(row.is_fine for row in found)


if __name__ == "__main__":
    sys.exit(main())
