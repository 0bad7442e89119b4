"""Generate from every form and twist, then from combinations of twists, and check that the client sends the same.

    python -m tests.pipeline [--minutes N] [--seed N]

The tests do the same up to what the generator reads, and let it see a few; here it sees all, which takes seconds for
each. Of the forms, the types are checked as well.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.pipeline.conftest import REAL
from tests.pipeline.forms import FORMS, described
from tests.pipeline.requests_of import requests_of, type_fault
from tests.pipeline.twists import TWISTS, WRITINGS, twisted
from tests.reference import REFERENCE
from tools.spec.document import SpecError, dump, silent
from tools.spec.generate import write_package


def cases(end: float, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield descriptions with their names: each form and twist once, then a few twists together until the end."""
    document = REFERENCE
    yield from ((form, described(form, document)) for form in FORMS)
    yield from ((name, WRITINGS["yaml"](twisted({name}, document))) for name in TWISTS)
    while time.monotonic() < end:
        names, writing = set(chance.sample(list(TWISTS), chance.randint(2, 6))), chance.choice(list(WRITINGS))
        yield f"{' + '.join(sorted(names))} as {writing}", WRITINGS[writing](twisted(names, document))


def fault_of(content: bytes, expected: object, types: bool) -> str | None:
    """Return what is wrong with the code that comes of a description."""
    with tempfile.TemporaryDirectory() as folder:
        description, package = Path(folder) / "other.yaml", Path(folder) / "made" / "databox_openapi"
        description.write_bytes(content)
        package.parent.mkdir()
        try:
            write_package(REAL, description, package, silent)
            sent = requests_of(package)
        except (SpecError, AssertionError) as error:
            return str(error)
        if sent != expected:
            return "the client sends something else"
        return type_fault(package) if types else None


def main() -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Generate from the same API in many forms.")
    parser.add_argument("--minutes", type=float, default=4, help="how long; each form and twist is done once anyway")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    end, done, failed = time.monotonic() + given.minutes * 60, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        description, package = Path(folder) / "reference.yaml", Path(folder) / "made" / "databox_openapi"
        description.write_bytes(dump(REFERENCE))
        package.parent.mkdir()
        write_package(REAL, description, package, silent)
        expected = requests_of(package)
    for name, content in cases(end, random.Random(given.seed)):
        found = fault_of(content, expected, types=name in FORMS)
        done, failed = done + 1, failed + bool(found)
        if found:
            print(f"{name}: {found}", file=sys.stderr)
    print(f"{done} descriptions of the same API (seed {given.seed}); with {failed} the client would not send the same.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
