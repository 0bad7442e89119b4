"""Asking before something is gone for good."""

import sys
from typing import Annotated

import typer

from databox.cli.failures import REFUSED, USAGE
from databox.cli.terminal import echo_error, errors

__all__ = ["Force", "confirm"]

Force = Annotated[bool, typer.Option("--force", help="Do not ask for confirmation.")]


def confirm(question: str, force: bool) -> None:
    """Return when the person agrees; leave otherwise. The question goes to standard error."""
    if force:
        return
    errors().print(f"{question} [y/N] ", end="")
    answer = sys.stdin.readline()
    if not answer:
        errors().print()
        echo_error("Cannot ask for confirmation: standard input is closed or empty. Use --force to go ahead.")
        raise typer.Exit(USAGE)
    if answer.strip().lower() not in {"y", "yes"}:
        errors().print("Nothing was done.")
        raise typer.Exit(REFUSED)
