"""The three standard streams, so that what was done is told rightly even where nothing can be written."""

import contextlib
import io
import os
import sys
from collections.abc import Generator
from typing import Any, cast

__all__ = ["Streams", "lasting"]


class _Lasting:
    """A stream whose writes never raise: after the first that fails, everything goes nowhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.problem: OSError | None = None
        """Why what was written is lost, unless the reader went away, as `head` does when it has enough."""

    def write(self, text: str) -> int:
        """Write, or do as if."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or do as if."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.problem = self.problem or error
        # What is still in the buffer would fail again when the interpreter ends, which changes the exit code.
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Streams:
    """What became of standard output."""

    def __init__(self, stdout: _Lasting) -> None:
        self._stdout = stdout

    def problem(self) -> OSError | None:
        """Write what is still to be written; return why the result, or some of it, could not be."""
        self._stdout.flush()
        return self._stdout.problem


@contextlib.contextmanager
def lasting() -> Generator[Streams]:
    """Let the streams take any character, also one that the terminal's encoding lacks, and never fail; then restore
    them. One that is closed is as good as the null device."""
    before = sys.stdin, sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        streams: list[Any] = []
        for stream, mode in zip(cast("tuple[Any, ...]", before), "rww", strict=True):
            if stream is None:
                stream = opened.enter_context(open(os.devnull, mode, encoding="utf-8"))
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace" if mode == "r" else "backslashreplace")
            streams.append(stream if mode == "r" else _Lasting(stream))
        sys.stdin, sys.stdout, sys.stderr = streams
        try:
            yield Streams(streams[1])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdin, sys.stdout, sys.stderr = before
