"""`make fuzz`: corrupt what comes from outside, for some minutes each; only documented results are allowed.

    python -m tests.fuzz [--minutes 1] [--targets files,journal] [--seed N]

A case is its seed, so that what was found can be tried again: `--targets files --seed 1234567 --minutes 0` is that one
case. Seeds rather than Hypothesis, as a case is a large file or a session of many requests, of which its bookkeeping
would take more than the case does.
"""

import argparse
import random
import sys

from tests.fuzz.run import TARGETS, fuzz


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Fuzz answers, files, requests to the sandbox, arguments, journals.")
    parser.add_argument("--minutes", type=float, default=1, help="for each target; 0 for one case")
    parser.add_argument("--targets", default=",".join(TARGETS), help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9), help="of the first case")
    given = parser.parse_args(arguments)
    names = [name.strip() for name in given.targets.split(",")]
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    done = [fuzz(name, seconds=given.minutes * 60, seed=given.seed) for name in names]
    print(*done, sep="\n")
    return 1 if any(each.found for each in done) else 0


if __name__ == "__main__":
    sys.exit(main())
