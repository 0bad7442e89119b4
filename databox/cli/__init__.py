"""The `databox` command."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command."""
    try:
        from databox.cli.app import app
    except ImportError as error:  # typer comes with an extra
        print(f'The command needs its extra: pip install "databox-sdk[cli]" ({error})', file=sys.stderr)
        sys.exit(2)
    app()
