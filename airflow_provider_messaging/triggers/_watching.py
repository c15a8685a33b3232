"""What the triggers that watch many items have in common. They only read."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.triggers._base import MOST_FAILURES, WaitingTrigger
from airflow_provider_messaging.vendors.marigold.watch import Watch

MOST_FAILED_LOOKS = 10
"""Looks of one poll that may fail before the rest of it is left for the next one."""
SLOWDOWN = 1.5
"""By how much a pause grows after a poll that brought no news."""

T = TypeVar("T")


class Runner(Protocol):
    async def run(self, flow: Flow[T], /) -> T: ...


class WatchTrigger(WaitingTrigger):
    """Looks at all open items, pauses, and looks again at those still open, until the watch is done.

    Its event is ``{"status": "success", …}`` with the watch's outcome: counts and ids only.
    """

    marigold_conn_id: str
    poll_interval: float
    max_poll_interval: float
    max_concurrency: int
    named = "references"

    @abstractmethod
    def make_watch(self) -> Watch:
        """Return what is watched.

        :raises ConfigurationError: if the options make no sense.
        """

    @abstractmethod
    def flow_of(self, api: Api) -> Callable[[str], Flow[str]]:
        """Return the look at one item."""

    async def wait(self) -> dict[str, Any]:
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        watch = self.make_watch()
        hook = MarigoldHook(self.marigold_conn_id)
        client = await hook.aclient()
        flow_of = self.flow_of(client.api)
        failures = 0
        pause = self.poll_interval
        async with hook.async_transport(client) as transport:
            while True:
                news, looks, error = await self._poll(transport, watch, flow_of)
                if watch.done:
                    return watch.outcome(self.named)
                self.log.info("%s", watch)
                failures = failures + 1 if error is not None and not looks else 0
                if error is not None:
                    if failures >= MOST_FAILURES:
                        raise error
                    self.log.warning("a poll met trouble: %s", error)
                pause = self.poll_interval if news else min(pause * SLOWDOWN, self.max_poll_interval)
                await asyncio.sleep(max(pause, self.poll_interval))

    async def _poll(
        self, transport: Runner, watch: Watch, flow_of: Callable[[str], Flow[str]]
    ) -> tuple[bool, int, MessagingError | None]:
        """Look once at each open item; return whether there is news, how many looks succeeded, the last error.

        :raises MessagingError: one that waiting can't mend.
        """
        items = iter(watch.open)
        errors: list[MessagingError] = []
        news, looks = False, 0

        async def work() -> None:
            nonlocal news, looks
            for item in items:
                if watch.done or len(errors) >= MOST_FAILED_LOOKS:
                    return
                try:
                    state = await transport.run(flow_of(item))
                except MessagingError as error:
                    if not error.retryable:
                        raise
                    errors.append(error)
                else:
                    looks += 1
                    news |= watch.note(item, state)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.max_concurrency, len(watch.open))):
                    group.create_task(work())
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return news, looks, errors[-1] if errors else None
