"""The paths of the pipeline's files."""

from pathlib import Path

import attrs

__all__ = ["ADDRESS", "Project"]

ADDRESS = "https://developers.databox.com/_bundle/api/@v1/api.databox.com.yaml"


@attrs.frozen
class Project:
    """The files that the pipeline reads and writes, under one folder."""

    root: Path = Path(__file__).resolve().parent.parent.parent

    @property
    def description(self) -> Path:
        """The published description, never edited."""
        return self.root / "openapi" / "databox-v1.yaml"

    @property
    def overlay(self) -> Path:
        """Our corrections to it."""
        return self.root / "openapi" / "overlay.yaml"

    @property
    def error_codes(self) -> Path:
        """The reference's facts about errors that the description lacks."""
        return self.root / "openapi" / "error-codes.yaml"

    @property
    def plain(self) -> Path:
        """The description for other generators, for authors of clients."""
        return self.root / "conformance" / "databox-v1.yaml"

    @property
    def lock(self) -> Path:
        """Where it came from."""
        return self.root / "openapi" / "spec.lock"

    @property
    def changelog(self) -> Path:
        """The changelog."""
        return self.root / "CHANGELOG.md"

    @property
    def generator_config(self) -> Path:
        """The generator's configuration."""
        return self.root / "generator-config.yaml"

    @property
    def package(self) -> Path:
        """The generated package."""
        return self.root / "generated" / "databox_openapi"
