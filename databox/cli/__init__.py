"""The `databox` command."""

import sys
from collections.abc import Sequence

from databox.display import visible

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and leave with its exit code: 0 fine, 1 the API said no or rows were lost, 2 wrong usage.

    Args:
        arguments: what follows the command's name; the process's own without.
    """
    try:
        from databox.cli.root import run
    except ImportError as error:
        from databox.clash import REMEDY, is_there

        # Typer and Rich come with an extra.
        message = f'The command needs its extra: pip install "databox-sdk[cli]" ({visible(str(error))})'
        print(REMEDY if is_there() else message, file=sys.stderr)  # by the door that there is without them
        sys.exit(2)
    run(sys.argv[1:] if arguments is None else list(arguments))
