"""What users install: the wheel alone, the demo, the command."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from databox.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent


def closure(name: str, found: dict[str, None] | None = None) -> dict[str, None]:
    """The distributions that one needs at run time, without extras, by what they declare."""
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
    """A folder with the wheel and the distributions it declares, and nothing else on the path."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for name in closure("databox-sdk"):
        for file in distribution(name).files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), tmp_path / file)
    program = f"""
import sys
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
