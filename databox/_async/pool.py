"""Tasks that send while the caller's own task reads. The counterpart is `_sync/pool.py`."""

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio

__all__ = ["Pool"]

R = TypeVar("R")


class Pool(Generic[R]):
    """Runs several calls concurrently; their results are taken one by one."""

    def __init__(self, workers: int) -> None:
        self._tasks = anyio.create_task_group()
        self._results: deque[R | BaseException] = deque()
        self._came = anyio.Event()
        self.busy = 0
        """Calls whose results have not been taken."""

    async def start(self, call: Callable[[], Awaitable[R]]) -> None:
        """Run a call concurrently with the caller."""
        self.busy += 1
        self._tasks.start_soon(self._run, call)

    async def take(self) -> R:
        """Wait for the next result."""
        while not self._results:
            await self._came.wait()
            self._came = anyio.Event()
        return self._taken()

    async def take_within(self, seconds: float) -> R | None:
        """Wait for the next result, at most for the given number of seconds."""
        with anyio.move_on_after(seconds):
            while not self._results:
                await self._came.wait()
                self._came = anyio.Event()
        return self._taken() if self._results else None

    def ready(self) -> bool:
        """Whether a result is available."""
        return bool(self._results)

    def taken_at_once(self) -> list[R]:
        """Return the available results."""
        found: list[R] = []
        while self.ready():
            found.append(self._taken())
        return found

    async def sleep(self, seconds: float) -> None:
        """Wait, unless the run is stopped."""
        await anyio.sleep(seconds)

    def _taken(self) -> R:
        self.busy -= 1
        result = self._results.popleft()
        if isinstance(result, BaseException):
            raise result
        return result

    async def _run(self, call: Callable[[], Awaitable[R]]) -> None:
        try:
            self._results.append(await call())
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - the caller's to see
            self._results.append(error)
        self._came.set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The block ends with all results taken, or with an error, after which the remaining calls are useless.
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
