"""What the triggers that watch many items have in common. They only read."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.watch import Watch
from airflow_provider_messaging.triggers._base import MOST_FAILURES, WaitingTrigger

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

    :param settled: what is known already, items by state; these are not looked at.
    :param poll_interval: seconds between two polls; it grows up to `max_poll_interval` while nothing happens.
    :param max_concurrency: looks at the same time.
    """

    named = "references"
    """The argument that holds the items, and what names them in the outcome."""
    endpoint: str
    """The endpoint that a look asks."""

    def __init__(
        self,
        *,
        settled: Mapping[str, Sequence[str]] | None = None,
        poll_interval: float,
        max_poll_interval: float,
        max_concurrency: int,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.settled = {name: list(known) for name, known in (settled or {}).items()}
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.max_concurrency = max_concurrency

    @abstractmethod
    def make_watch(self) -> Watch:
        """Return what is watched.

        :raises ConfigurationError: if the options make no sense.
        """

    @abstractmethod
    def flow_of(self, api: Api) -> Callable[[str], Flow[str]]:
        """Return the look at one item."""

    def going_on(self, watch: Watch) -> Self:
        """Return the same trigger, for what a watch has left open."""
        return type(self)(**{**self.serialize()[1], self.named: watch.open, "settled": watch.settled()})

    async def wait(self) -> dict[str, Any]:
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        watch = self.make_watch()
        failures = 0
        pause = self.poll_interval
        async with self.connected() as (api, transport):
            flow_of = self.flow_of(api)
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
