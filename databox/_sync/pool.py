"""Threads that send while the caller's own thread reads. The counterpart is `_async/pool.py`."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Pool"]

R = TypeVar("R")


class _Stopped(Exception):
    """A wait was interrupted because the run is being stopped: ends a thread's call, whose result nobody takes."""


class Pool(Generic[R]):
    """Runs several calls concurrently; their results are taken one by one."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._threads: list[threading.Thread] = []
        self._calls: SimpleQueue[Callable[[], R] | None] = SimpleQueue()
        self._results: SimpleQueue[R | BaseException] = SimpleQueue()
        self._stopping = threading.Event()
        self.busy = 0
        """Calls whose results have not been taken."""

    def start(self, call: Callable[[], R]) -> None:
        """Run a call concurrently with the caller."""
        self.busy += 1
        if len(self._threads) < min(self.busy, self._workers):
            thread = threading.Thread(target=self._work, name="databox-ingest", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put(call)

    def take(self) -> R:
        """Wait for the next result."""
        return self._taken(self._results.get())

    def take_within(self, seconds: float) -> R | None:
        """Wait for the next result, at most for the given number of seconds."""
        try:
            result = self._results.get(timeout=seconds)
        except Empty:
            return None
        return self._taken(result)

    def ready(self) -> bool:
        """Whether a result is available."""
        return not self._results.empty()

    def taken_at_once(self) -> list[R]:
        """Return the available results."""
        found: list[R] = []
        while True:
            try:
                found.append(self._taken(self._results.get_nowait()))
            except Empty:
                return found

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is stopped."""
        if self._stopping.wait(seconds):
            raise _Stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Wait for requests in flight, at most for their time-out; waits between them end now.
        if error is not None:
            self._stopping.set()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            with suppress(RuntimeError):  # an interrupt may have come before it was started
                thread.join()

    def _taken(self, result: R | BaseException) -> R:
        self.busy -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._results.put(call())
            except BaseException as error:  # noqa: BLE001 - a bug in the call is the caller's to see
                self._results.put(error)
