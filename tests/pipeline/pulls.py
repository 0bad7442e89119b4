"""A dry run of the first real pull: pull the same API in several forms, and check that everything still works.

    python -m tests.pipeline.pulls [--forms swashbuckle,strict] [--targets check,test] [FILE …]

For each form: a copy of the project, `make pull`, `make generate`, and then, without a hand touching anything, `make
check`, `make test`, `make slow` and `make contract`. All of the suite is affected, as generated code builds every
request of the client. Several forms share the cases of the slow tests among them: after each pull every test runs,
and after all together every case. A form that is pulled alone has all cases to itself. The engines' tests are not run
again: they send the same requests. A test that fails is run once more, as what is asked here is whether it depends on
the description.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.pipeline.conftest import REAL
from tests.pipeline.forms import FORMS, described
from tests.reference import REFERENCE

MOST_LIKELY = ("dotnet", "swashbuckle", "strict", "nameless_and_more")
"""What an ASP.NET service's description looks like, today and some years ago; one that is narrower than the API; and
one that has more to it."""
TARGETS = ("check", "test", "slow", "contract")
SUITES = ("test", "slow")
MAY_CHANGE = (
    "CHANGELOG.md",
    "conformance/databox-v1.yaml",
    "generated/",
    "openapi/databox-v1.yaml",
    "openapi/spec.lock",
)


def copied(folder: Path) -> Path:
    """Return a copy of the project, with its own history and our environment."""
    copy = folder / "project"
    listed = ["git", "-C", str(REAL.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source, target = REAL.root / name, copy / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for name in (".venv", ".cache"):  # what was installed once
        if (REAL.root / name).exists():
            (copy / name).symlink_to(REAL.root / name)
    git = ["git", "-C", str(copy), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return copy


def faults(content: bytes, targets: list[str], share: str) -> list[str]:
    """Return what goes wrong after a pull of a description, with a share of the slow tests' cases."""
    with tempfile.TemporaryDirectory() as folder:
        project = copied(Path(folder))
        source = Path(folder) / "published.yaml"
        source.write_bytes(content)
        for target in (f"pull SPEC_URL={source.as_uri()}", "generate", *targets):
            found = _made(project, target, *([f"TESTS=--share={share}"] if target == "slow" else []))
            if found and target in SUITES:
                # What a description breaks is broken again; what is not depends on the machine, and other runs tell it.
                print(f"  What failed, once more: {found[-2000:]}", flush=True)
                # Of all tests, because which cases of a test are slow is decided among those that are collected.
                found = _made(project, target, 'TESTS=--last-failed -m ""')
            if found:
                return [f"make {target.partition(' ')[0]}: {found}"]
        status = ["git", "-C", str(project), "status", "--porcelain", "--untracked-files=all"]
        changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout.splitlines()
        return [f"it changed {line[3:]}" for line in changed if not line[3:].startswith(MAY_CHANGE)]


def _made(project: Path, target: str, *variables: str) -> str | None:
    began = time.monotonic()
    # The environment is the one that is there: nothing is to be installed, and the copy comes before the original.
    command = ["make", "-o", ".venv/.ready", "-o", ".venv/.locked", *target.split(), *variables]
    command += ["MINUTES=0"] if target == "contract" else []
    path = os.pathsep.join([str(project), str(project / "generated")])
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        command, cwd=project, env=environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    print(f"  make {target.partition(' ')[0]}: {time.monotonic() - began:.0f} s", flush=True)
    return f"{done.stdout[-4000:]}{done.stderr[-4000:]}" if done.returncode else None


def main() -> int:
    """Run as a command; return the exit status."""
    parser = argparse.ArgumentParser(description="Pull the same API in several forms, and run everything.")
    parser.add_argument("files", nargs="*", type=Path, help="descriptions of the same API, in the place of the forms")
    parser.add_argument("--forms", default=",".join(MOST_LIKELY), help=f"of {', '.join(FORMS)}")
    parser.add_argument("--targets", default=",".join(TARGETS), help="what to make after the pull")
    given = parser.parse_args()
    chosen = {file.name: file.read_bytes() for file in given.files}
    chosen = chosen or {form: described(form, REFERENCE) for form in given.forms.split(",")}
    failed = 0
    for number, (name, content) in enumerate(chosen.items(), 1):
        print(f"{name}:", flush=True)
        found = faults(content, given.targets.split(","), f"{number}/{len(chosen)}")
        failed += bool(found)
        for fault in found:
            print(fault, file=sys.stderr)
    print(f"After {len(chosen) - failed} of {len(chosen)} pulls everything goes on as before.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
