"""Generate from every form and twist, then from twists thrown together, and hold the code against `generated/`.

    python -m tests.pipeline [--minutes N] [--seed N]

The tests do the same up to what the generator reads; here the generator runs, which takes seconds for each.
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
from tests.pipeline.twists import TWISTS, WRITINGS, twisted
from tools.spec.document import SpecError, load
from tools.spec.generate import write_package


def cases(end: float, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield descriptions with their names: each form and twist once, then a few twists together until the end."""
    document = load(REAL.description)
    yield from ((form, described(form, document)) for form in FORMS)
    yield from ((name, WRITINGS["yaml"](twisted({name}, document))) for name in TWISTS)
    while time.monotonic() < end:
        names, writing = set(chance.sample(list(TWISTS), chance.randint(2, 6))), chance.choice(list(WRITINGS))
        yield f"{' + '.join(sorted(names))} as {writing}", WRITINGS[writing](twisted(names, document))


def fault_of(content: bytes) -> str | None:
    """Return what is wrong with the code that comes of a description."""
    with tempfile.TemporaryDirectory() as folder:
        description, package = Path(folder) / "other.yaml", Path(folder) / "made"
        description.write_bytes(content)
        try:
            write_package(REAL, description, package, lambda line: None)
        except SpecError as error:
            return str(error)
        made, ours = (
            {path.relative_to(top): path.read_bytes() for path in top.rglob("*.py")} for top in (package, REAL.package)
        )
    differ = sorted(str(name) for name in made.keys() | ours.keys() if made.get(name) != ours.get(name))
    return f"{', '.join(differ)} came out differently" if differ else None


def main() -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Generate from the same API in many forms.")
    parser.add_argument("--minutes", type=float, default=4, help="how long; each form and twist is done once anyway")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    end, done, failed = time.monotonic() + given.minutes * 60, 0, 0
    for name, content in cases(end, random.Random(given.seed)):
        found = fault_of(content)
        done, failed = done + 1, failed + bool(found)
        if found:
            print(f"{name}: {found}", file=sys.stderr)
    print(f"{done} descriptions of the same API (seed {given.seed}); {failed} gave other code, or none.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
