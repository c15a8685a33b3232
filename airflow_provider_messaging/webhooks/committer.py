"""Group commit: what comes in while a transaction is under way goes into the next one together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_messaging.webhooks.inbox import Inbox, Received

MOST_AT_ONCE = 1_000
"""Events of one transaction, unless a single request has more."""

_Waiting = tuple[Sequence[Received], "asyncio.Future[set[str]]"]


class Committer:
    """Stores events off the event loop. One transaction at a time: the database is faster with few large ones."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="webhooks-commit")
        self._task = asyncio.create_task(self._run())

    async def store(self, events: Sequence[Received]) -> set[str]:
        """Return the keys of those events that are new, once all of them are durable.

        :raises SQLAlchemyError: if they are not, or it is not known.
        """
        done: asyncio.Future[set[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((events, done))
        self._arrived.set()
        return await done

    async def close(self) -> None:
        """Wait for the transaction under way; what waits behind it is not stored."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._executor.shutdown)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch = self._take()
                events = [event for some, _ in batch for event in some]
                try:
                    new = await loop.run_in_executor(self._executor, self._inbox.store, events)
                except Exception as error:
                    _settle(batch, error)
                else:
                    _settle(batch, new)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        count = 0
        while self._waiting and (not batch or count + len(self._waiting[0][0]) <= MOST_AT_ONCE):
            batch.append(self._waiting.popleft())
            count += len(batch[-1][0])
        return batch


def _settle(batch: list[_Waiting], outcome: set[str] | Exception) -> None:
    left = set(outcome) if isinstance(outcome, set) else set()
    for events, done in batch:
        if done.done():
            # The request was given up.
            continue
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
            continue
        # Of two requests with the same event, one brought it.
        mine = {event.key for event in events} & left
        left -= mine
        done.set_result(mine)
