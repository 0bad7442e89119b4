"""What the tests of files share."""

from tests.cli.conftest import command

__all__ = ["command"]
