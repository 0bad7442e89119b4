"""What the client does with a generated package: its requests, in a separate process, and its types.

python -m tests.pipeline.requests_of        prints them as JSON, with whichever databox_openapi comes first
"""

import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from databox.api import operations as facade
from tools.spec.facade import ARGUMENTS
from tools.spec.pins import PINS
from tools.spec.project import Project

__all__ = ["requests_of", "type_fault"]


def requests_of(package: Path) -> dict[str, Any]:
    """Return the 13 requests, each with all arguments and with the fewest, that are built with a generated package.

    Every module of the package is imported, too.
    """
    path = os.pathsep.join([str(package.parent), str(Project().root)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.pipeline.requests_of"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"The client cannot use what was generated:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    assert Path(found.pop("package")).parent == package
    return found


def type_fault(package: Path) -> str | None:
    """Return what the type checker has against the client with a generated package."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--follow-imports=silent"]
    command += ["--cache-dir", str(Project().root / ".cache" / "mypy-of-the-pipeline")]
    done = subprocess.run(
        [*command, str(Project().root / "databox" / "api" / "operations.py")],
        cwd=Project().root,
        env={**os.environ, "MYPYPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else None


def _built() -> dict[str, Any]:
    package = importlib.import_module("databox_openapi")
    for module in pkgutil.walk_packages(package.__path__, "databox_openapi."):
        importlib.import_module(module.name)
    found: dict[str, Any] = {"package": package.__file__}
    for pin in PINS:
        build = getattr(facade, pin.facade.replace(".", "_"))
        parameters = inspect.signature(build).parameters.values()
        most = {each.name: ARGUMENTS[each.name] for each in parameters}
        fewest = {each.name: None if "None" in str(each.annotation) else most[each.name] for each in parameters}
        for name, given in (("most", most), ("fewest", fewest)):
            made = build(**given)
            body = json.loads(made.body) if made.body else None  # fields in no order
            found[f"{pin.facade} {name}"] = [made.method, made.path, dict(made.params), body]
    return found


if __name__ == "__main__":
    print(json.dumps(_built()))
