"""Test the description for other generators with other people's tools.

    python -m tests.description [--python PYTHON]      check it
    python -m tests.description --lock                 renew package-lock.json from package.json

Two linters must find no error in it. From it come a client by openapi-typescript with openapi-fetch, one by
@hey-api/openapi-ts, and models by datamodel-code-generator; each does all 13 operations against the sandbox, and meets
401, 404, 413 and 429. Needs Node, and an environment with datamodel-code-generator.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from databox.sandbox import Sandbox
from tools.spec.describe import main as describe
from tools.spec.pins import PINS
from tools.spec.project import Project

HERE = Path(__file__).parent
WORK = Project().root / ".cache" / "description"
DESCRIPTION = WORK / "databox-v1.yaml"
LOCK = "package-lock.json"
QUIET = {"NO_COLOR": "1", "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "DO_NOT_TRACK": "1"}


class CheckError(Exception):
    """Something is not as it should be; the message says what."""


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Hold the description against the tools of other people.")
    parser.add_argument("--python", default=sys.executable, help="of an environment with datamodel-code-generator")
    parser.add_argument("--lock", action="store_true", help="renew package-lock.json, and check nothing")
    given = parser.parse_args(arguments)
    try:
        if given.lock:
            _lock()
        else:
            _check(given.python)
    except CheckError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(python: str) -> None:
    _install()
    if describe(["--out", str(DESCRIPTION)]):
        raise CheckError("There is no description to check.")
    _run("Redocly's linter finds no error", [_tool("redocly"), "lint", "--extends=recommended", DESCRIPTION.name])
    rules = ["lint", "--ruleset", "spectral.yaml", "--fail-severity=error", DESCRIPTION.name]
    _run("Spectral's linter finds no error", [_tool("spectral"), *rules])
    made = WORK / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    _run("openapi-typescript makes types", [_tool("openapi-typescript"), DESCRIPTION.name, "-o", "made/paths.d.ts"])
    _run("@hey-api/openapi-ts makes a client", [_tool("openapi-ts"), "-i", DESCRIPTION.name, "-o", "made/hey-api"])
    _run("TypeScript takes what they made, and what uses it", [_tool("tsc"), "-p", "."])
    making = ["--input", DESCRIPTION.name, "--input-file-type", "openapi", "--output", "models_made.py"]
    making += ["--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin", "--disable-timestamp"]
    _run("datamodel-code-generator makes models", [python, "-m", "datamodel_code_generator", *making])
    _use("openapi-fetch", ["node", "compiled/openapi-fetch.js"])
    _use("@hey-api/openapi-ts", ["node", "compiled/hey-api.js"])
    _use("datamodel-code-generator's models", [python, "-W", "error", "models.py"])


def _use(name: str, command: Sequence[str]) -> None:
    """Let a client do everything against a sandbox of its own."""
    with Sandbox() as box:
        variables = {"DATABOX_API_URL": box.url, "DATABOX_API_KEY": box.api_key, "NO_PROXY": "*"}
        _run(f"{name}: all operations, 401, 404, 413 and 429", command, variables)
        asked = {request.operation for request in box.requests}
    lacking = [pin.facade for pin in PINS if pin.facade not in asked]
    if lacking:
        raise CheckError(f"{name} did not ask for {', '.join(lacking)}.")


def _install() -> None:
    """Have the tools there; as they were, when nothing has changed since."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise CheckError("There is no Node here, which this check needs; it takes version 20.19 or later.")
    WORK.mkdir(parents=True, exist_ok=True)
    for source in (*HERE.glob("*.ts"), *HERE.glob("*.json"), *HERE.glob("*.yaml"), HERE / "models.py"):
        shutil.copy(source, WORK)
    wanted, installed = (HERE / LOCK).read_bytes(), WORK / "installed.json"
    if not installed.exists() or installed.read_bytes() != wanted:
        # Scripts of packages have no business here.
        _run("npm installs the tools", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        installed.write_bytes(wanted)


def _lock() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "package.json", folder)
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True)
        lock = json.loads((Path(folder) / LOCK).read_text("utf-8"))
    for package in lock["packages"].values():
        for key in ("resolved", "funding", "deprecated", "license"):  # versions and hashes, and nobody's address
            package.pop(key, None)
    text = json.dumps(lock, indent=1)
    (HERE / LOCK).write_text(text + "\n", "utf-8")


def _tool(name: str) -> str:
    return str(WORK / "node_modules" / ".bin" / name)


def _run(what: str, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
    print(f"{what} …", flush=True)
    environ = {**os.environ, **QUIET, **(variables or {})}
    done = subprocess.run(command, cwd=WORK, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckError(f"  it does not:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
