"""`python -m databox.cli`: the command, where it is not on the path."""

from databox.cli import main

main()
