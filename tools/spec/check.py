"""Say whether description, lock, generated code and facade fit together.

    python -m tools.spec.check

Changes nothing: it generates aside and compares both ways, uncommitted edits included.
"""

import hashlib
import importlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.spec.document import SpecError, load, operations, resolve_path_items
from tools.spec.generate import write_package
from tools.spec.lock import Lock, generator
from tools.spec.overlay import pins, with_our_templates
from tools.spec.project import Project
from tools.spec.validity import fault

__all__ = ["problems"]


def problems(project: Project) -> Iterator[str]:
    """Yield what does not fit, each with the remedy."""
    yield from _lock_problems(project)
    yield from _description_problems(project)
    generated = list(_generated_problems(project))
    yield from generated
    # What the facade imports must stand before the facade can be looked at.
    if not generated:
        yield from _facade_problems(project)


def _lock_problems(project: Project) -> Iterator[str]:
    lock = Lock.read(_bytes(project.lock))
    if hashlib.sha256(_bytes(project.description)).hexdigest() != lock.sha256:
        yield "openapi/databox-v1.yaml is not the file that spec.lock describes. Restore it, or run `make pull`."
    if lock.generator != generator():
        yield f"spec.lock says {lock.generator}, but {generator()} is installed. Run `make setup` or `make pull`."
    count = len(list(operations(resolve_path_items(load(project.description)))))
    if count != lock.operations:
        yield f"spec.lock counts {lock.operations} operations, the description has {count}. Run `make pull`."


def _description_problems(project: Project) -> Iterator[str]:
    document = load(project.description)
    found = fault(document)
    if found:
        yield f"openapi/databox-v1.yaml {found} Restore it, or run `make pull`."
    wanted = pins(load(project.overlay))
    present = {
        (path, method) for path, method, _ in operations(with_our_templates(resolve_path_items(document), wanted))
    }
    for pin in wanted:
        if (pin.path, pin.method) not in present:
            yield f"The description has no {pin.method.upper()} {pin.path}, which the facade needs."


def _generated_problems(project: Project) -> Iterator[str]:
    remedy = "Run `make generate`; nobody edits generated/."
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "databox_openapi"
        write_package(project, project.description, fresh, lambda line: None)
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


def _facade_problems(project: Project) -> Iterator[str]:
    """Every pinned operation must have its function in the facade."""
    try:
        facade = importlib.import_module("databox.api.operations")
    except Exception as error:  # noqa: BLE001 - code that is being edited can raise anything
        yield f"databox.api.operations cannot be imported: {type(error).__name__}: {error}. Mend it first."
        return
    for pin in pins(load(project.overlay)):
        if not callable(getattr(facade, pin.facade.replace(".", "_"), None)):
            yield f"databox.api.operations has no {pin.facade.replace('.', '_')} for {pin.method.upper()} {pin.path}."


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read {path.name}: {error.strerror}.") from None


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
        count = len(pins(load(project.overlay)))
        print(f"Description, lock and generated/ fit: {count} operations in, out, and in the facade.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
