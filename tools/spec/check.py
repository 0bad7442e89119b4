"""Check whether description, lock, generated code and facade are consistent.

    python -m tools.spec.check

Changes nothing: it generates into a temporary folder and compares both ways, including uncommitted edits.
"""

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.spec.describe import described
from tools.spec.document import SpecError, content_of, load, operations, silent
from tools.spec.generate import write_package
from tools.spec.lock import Lock, generator
from tools.spec.normalise import corrected, plain
from tools.spec.pins import PINS
from tools.spec.project import Project
from tools.spec.validity import read
from tools.spec.wire import facts_of

__all__ = ["problems"]


def problems(project: Project) -> Iterator[str]:
    """Yield inconsistencies, each with the remedy."""
    document = read(project.description).document
    yield from _lock_problems(project, document)
    generated = list(_generated_problems(project))
    yield from generated
    yield from _plain_problems(project)
    # The modules that the facade imports must exist before the facade can be checked.
    if not generated:
        yield from _facade_problems(project, document)


def _lock_problems(project: Project, document: dict[str, Any]) -> Iterator[str]:
    lock = Lock.read(content_of(project.lock))
    if hashlib.sha256(content_of(project.description)).hexdigest() != lock.sha256:
        yield "openapi/databox-v1.yaml is not the file that spec.lock describes. Restore it, or run `make pull`."
    if lock.generator != generator():
        yield f"spec.lock says {lock.generator}, but {generator()} is installed. Run `make setup` or `make pull`."
    count = len(list(operations(plain(document))))
    if count != lock.operations:
        yield f"spec.lock counts {lock.operations} operations, the description has {count}. Run `make pull`."


def _generated_problems(project: Project) -> Iterator[str]:
    remedy = "Run `make generate`; nobody edits generated/."
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "databox_openapi"
        write_package(project, project.description, fresh, silent)
        wanted, present = _files(fresh.parent), _files(project.package.parent)
    for name in sorted(wanted.keys() | present.keys()):
        if name not in present:
            yield f"generated/{name} is missing. {remedy}"
        elif name not in wanted and not name.startswith(f"{project.package.name}/"):
            yield f"generated/{name} does not belong there. Delete it; only the package is generated."
        elif name not in wanted:
            yield f"generated/{name} does not belong there. {remedy}"
        elif wanted[name] != present[name]:
            yield f"generated/{name} is not what the generator writes. {remedy}"


def _plain_problems(project: Project) -> Iterator[str]:
    if described(project, project.description, silent) != content_of(project.plain):
        yield "conformance/databox-v1.yaml is not what `make generate` writes. Run it; nobody edits that file."


def _facade_problems(project: Project, document: dict[str, Any]) -> Iterator[str]:
    """Everything that the client sends or reads must be in the description, by its name on the wire."""
    try:
        from tools.spec.facade import of_the_client, unmet

        relied = of_the_client()
    except Exception as error:  # noqa: BLE001 - code that is being edited can raise anything
        yield f"databox.api.operations cannot be imported: {type(error).__name__}: {error}. Fix it first."
        return
    yield from unmet(relied, facts_of(corrected(document, load(project.overlay))))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def main(project: Project | None = None) -> int:
    """Run as a command; return the exit status."""
    project = project or Project()
    try:
        found = list(problems(project))
    except SpecError as error:
        found = [str(error)]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"Description, lock, generated/ and client fit: {len(PINS)} operations, every field sent and read.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
