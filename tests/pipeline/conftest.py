"""A copy of the project's description and generated code, to do things to."""

import shutil
from pathlib import Path

import pytest

from tools.spec.project import Project

REAL = Project()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of what the pipeline reads and writes."""
    copy = Project(tmp_path / "project")
    shutil.copytree(REAL.description.parent, copy.description.parent)
    shutil.copytree(REAL.package, copy.package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REAL.generator_config, copy.generator_config)
    return copy


def files(project: Project) -> dict[str, bytes]:
    """Everything under the copy, to see that nothing changed."""
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file()
    }
