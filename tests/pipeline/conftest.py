"""Copies of the project's description and generated code, which tests may change."""

import shutil
from pathlib import Path

import pytest

from tests.reference import REFERENCE_FILE
from tools.spec.lock import Lock
from tools.spec.project import Project

REAL = Project()


@pytest.fixture
def mirror(tmp_path: Path) -> Project:
    """A copy of what the pipeline reads and writes, as it is."""
    copy = Project(tmp_path / "project")
    shutil.copytree(REAL.description.parent, copy.description.parent)
    shutil.copytree(REAL.package, copy.package, ignore=shutil.ignore_patterns("__pycache__"))
    copy.plain.parent.mkdir()
    shutil.copy(REAL.plain, copy.plain)
    shutil.copy(REAL.generator_config, copy.generator_config)
    return copy


@pytest.fixture
def project(mirror: Project) -> Project:
    """Such a copy, but with the reference as its description, whatever was pulled."""
    content = REFERENCE_FILE.read_bytes()
    mirror.description.write_bytes(content)
    lock = Lock.of(content, address="https://example.org/api.yaml", provenance="pulled", operations=13)
    mirror.lock.write_bytes(lock.write())
    return mirror


def files(project: Project) -> dict[str, bytes]:
    """Everything under the copy, to see that nothing changed."""
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file()
    }
