"""What users install: only the wheel, the demo, the command."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from databox.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent


def closure(name: str, found: dict[str, None] | None = None) -> dict[str, None]:
    """Return the distributions that are needed at run time, without extras, according to their metadata."""
    found = {} if found is None else found
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in found:
            found[requirement.name] = None
            closure(requirement.name, found)
    return found


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_both_packages_the_plugin_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"databox", "databox_openapi", "pytest_databox.py", wheel.name.partition("-py3")[0] + ".dist-info"}
    assert {"databox/py.typed", "databox_openapi/py.typed"} <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".yaml"))]


@pytest.mark.slow
def test_the_wheel_alone_talks_to_a_sandbox(wheel: Path, tmp_path: Path) -> None:
    """A folder with the wheel and the distributions it requires, and nothing else on the path."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for name in closure("databox-sdk"):
        for file in distribution(name).files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), tmp_path / file)
    program = f"""
import sys
import sysconfig
sys.path.insert(0, {str(tmp_path)!r})
import databox
assert databox.__file__.startswith({str(tmp_path)!r})
with databox.Databox() as client:
    source = client.data_sources.create("S")
    dataset = client.datasets.create("D", data_source=source, primary_keys=["id"])
    print(client.datasets.ingest(dataset, ({{"id": n}} for n in range(250))).appended)
try:
    import databox.sandbox
except ImportError as error:
    print(error)
"""
    with Sandbox() as box:
        environ = {"DATABOX_API_KEY": box.api_key, "DATABOX_API_URL": box.url, "PATH": os.environ["PATH"]}
        command = [sys.executable, "-I", "-S", "-W", "error", "-c", program]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["250", 'The sandbox needs its extra: pip install "databox-sdk[sandbox]"']


def demo(**environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "weather.py")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DATABOX")}
    return subprocess.run(command, env=clean | environ, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_demo_loses_and_doubles_nothing() -> None:
    done = demo(DATABOX_API_KEY="never-used", DATABOX_API_URL="https://nowhere.invalid")
    assert done.stderr == ""
    assert done.returncode == 0
    first, again = re.findall(r"([\d,]+) rows read, ([\d,]+) accepted: (\S+) appended, (\S+) overwritten", done.stdout)
    assert first == ("1,461", "1,461", "1,461", "0")
    assert again == ("1,461", "1,461", "0", "1,461")
    assert "never-used" not in done.stdout


@pytest.mark.slow
def test_the_demo_goes_to_the_real_service_only_when_told_to() -> None:
    with Sandbox() as box:
        done = demo(DATABOX_API_KEY=box.api_key, DATABOX_API_URL=box.url, LIVE="1")
        assert done.returncode == 0
        assert len(box.requests) > 60
    assert "real service" in done.stdout


def test_the_demo_without_a_key_says_so() -> None:
    done = demo(LIVE="1", HOME="/nonexistent")
    assert done.returncode == 1
    assert "No API key" in done.stderr
    assert "Traceback" not in done.stderr


# Next to the vendor's older distribution

VENDORS = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "databox"
version = "2.2.2"
[tool.hatch.build.targets.wheel]
packages = ["databox"]
""",
    "databox/__init__.py": '__version__ = "2.2.2"\nfrom databox.api.default_api import DefaultApi\n'
    "from databox.models.state import State\n",
    "databox/api_client.py": "",
    "databox/configuration.py": "",
    "databox/py.typed": "",
    "databox/api/__init__.py": "",
    "databox/api/default_api.py": "class DefaultApi: ...\n",
    "databox/models/__init__.py": "from databox.models.state import State\n",
    "databox/models/state.py": "class State: ...\n",
}
"""Where version 2.2.2 of the vendor's push API client has its files."""


@pytest.fixture(scope="session")
def vendors_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with the name and layout of the vendor's."""
    folder = tmp_path_factory.mktemp("vendor")
    for name, text in VENDORS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


class Both:
    """An environment with both distributions, installed by pip in some order."""

    def __init__(self, folder: Path, wheels: list[Path]) -> None:
        self._folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self._python = str(folder / "bin" / "python")
        self._command = folder / "bin" / "databox"
        for wheel in wheels:
            self._pip("install", "--no-index", "--no-deps", str(wheel))

    def _pip(self, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--isolated", "--python", self._python, "--quiet"]
        subprocess.run([*pip, *arguments], check=True, capture_output=True)

    def mend(self, ours: Path) -> None:
        """Follow the advice of the message."""
        self._pip("uninstall", "-y", "databox", "databox-sdk")
        self._pip("install", "--no-index", "--no-deps", str(ours))

    def run(self, program: str) -> "subprocess.CompletedProcess[str]":
        return self._run(self._python, "-c", program)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._run(self._python, str(self._command), *arguments)

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        # Everything else that is needed is where the tests have it; this package is only on their path, not there.
        environ = {"PYTHONPATH": sysconfig.get_path("purelib"), "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        where = self._folder  # otherwise Python would take the package from the work tree
        return subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, check=False, timeout=120)


WAY_OUT = "pip uninstall -y databox databox-sdk, then pip install databox-sdk"
IMPORTS = ["import databox; databox.Databox", "from databox import Account", "import databox.integrations.dlt"]


@pytest.mark.slow
@pytest.mark.parametrize("ours_last", [True, False])
def test_beside_the_vendors_distribution(wheel: Path, vendors_wheel: Path, tmp_path: Path, ours_last: bool) -> None:
    """Whichever code of ours runs names the two distributions that conflict, and its advice works."""
    wheels = [vendors_wheel, wheel] if ours_last else [wheel, vendors_wheel]
    both = Both(tmp_path, wheels)
    # If the vendor's was installed last, only modules below its package are ours.
    for program in IMPORTS if ours_last else IMPORTS[2:]:
        done = both.run(program)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith("ImportError: Two distributions conflict: databox, ")
        assert WAY_OUT in last
    for arguments in (["doctor"], ["auth", "validate"], ["--version"]):
        done = both.command(*arguments)
        if ours_last:  # the command's own import fails with it
            assert WAY_OUT in done.stderr
        else:
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith("Two distributions conflict: databox, ")
            assert WAY_OUT in done.stderr
    both.mend(wheel)
    assert both.run("import databox; print(databox.Databox('some-key-0123456789'))").returncode == 0
    assert "databox-sdk" in both.command("--version").stdout


@pytest.mark.slow
def test_doctor_tells_of_the_vendors_distribution_where_the_command_still_runs(
    wheel: Path, vendors_wheel: Path, tmp_path: Path
) -> None:
    """As with versions that have other files."""
    both = Both(tmp_path, [vendors_wheel, wheel])
    shutil.rmtree(next(tmp_path.glob("lib/*/site-packages/databox/models")))
    done = both.command("doctor")
    assert done.returncode == 1
    assert "!! packages     Two distributions conflict" in done.stdout
