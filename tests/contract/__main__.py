"""`make contract`: fuzz for minutes, put a validating proxy between SDK and sandbox, report.

python -m tests.contract [--minutes 4]
"""

import argparse
import sys

from databox.sandbox import Sandbox
from tests.contract.fuzz import fuzz
from tests.contract.proxy import ProxyError, prism, violations_in_a_workflow
from tests.contract.report import rows, table
from tools.contract.description import Description
from tools.contract.recording import read_all


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Hold description, recordings, sandbox and facade against one another."
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="how long to fuzz; 0 for not at all")
    given = parser.parse_args(arguments)
    description = Description.published()
    fine = [_fuzzed(description, given.minutes), _proxied(description), _reported(description)]
    return 0 if all(fine) else 1


def _fuzzed(description: Description, minutes: float) -> bool:
    if minutes <= 0:
        return True
    print(f"Fuzzing the sandbox for {minutes:g} minutes …", flush=True)
    with Sandbox() as box:
        # Without a seed of ours: each run looks elsewhere, and says how to repeat what it found.
        limits = ["--max-time", str(max(1, round(minutes * 60))), "--max-examples", "1000000"]
        done = fuzz(box, description, arguments=limits)
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
    found = rows(description, read_all("documentation", "live"))
    print(table(found))
    return all(row.is_fine for row in found)


if __name__ == "__main__":
    sys.exit(main())
