"""An event loop beside the task's main thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from airflow_provider_messaging.delivery.options import Stopped

T = TypeVar("T")


class LoopThread(Generic[T]):
    """Runs a coroutine on an event loop of its own, in a thread of its own.

    The task's main thread only waits: Airflow calls `on_kill` there, from a signal handler, and what it interrupts must
    not be the event loop.

    :param grace: seconds that the coroutine gets to end once it is stopped.
    :param interrupt: called on the loop to end the work, once it has begun; None cancels it.
    """

    def __init__(self, name: str, *, grace: float = 5.0, interrupt: Callable[[], None] | None = None) -> None:
        self._name = name
        self._grace = grace
        self._interrupt = interrupt or self._cancel
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None
        self._lock = threading.RLock()
        self.stopped = False
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the coroutine that `work` makes.

        :raises Stopped: after `stop`.
        """

        async def main() -> T:
            task = asyncio.ensure_future(work())
            with self._lock:
                self._loop, self._task = asyncio.get_running_loop(), task
                if self.stopped:
                    self._interrupt()
            try:
                return await task
            finally:
                with self._lock:
                    self._loop = None

        def target() -> None:
            try:
                self._result.append(asyncio.run(main()))
            except BaseException as error:
                self._error = error

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(target,), name=self._name, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(1.0)
        except BaseException:
            # An execution timeout, for instance: nothing goes on behind the back of a task that has ended.
            self.stop()
            thread.join(self._grace)
            raise
        if isinstance(self._error, asyncio.CancelledError) and self.stopped:
            raise Stopped("the task was asked to end")
        if self._error is not None:
            raise self._error
        return self._result[0]

    def stop(self) -> None:
        """End the work early. Safe in a signal handler of the waiting thread."""
        with self._lock:
            self.stopped = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._interrupt)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
