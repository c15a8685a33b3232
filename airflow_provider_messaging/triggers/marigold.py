"""Triggers of Marigold Engage Delivery Cloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.triggers._events import error_event
from airflow_provider_messaging.vendors.marigold.query import FeedbackQuery, count_feedback

MOST_FAILURES = 10
"""Polls in a row that may fail, each after its own retries, before the trigger gives up."""


class BounceTrigger(BaseTrigger):
    """Waits until enough feedback is there. Only reads; its event holds counts and references.

    :param marigold_conn_id: a connection of type ``marigold``.
    :param min_count: fires when at least that many rows match.
    :param poll_interval: seconds between two polls.

    The other parameters are those of `BounceSensor`.
    """

    def __init__(
        self,
        *,
        marigold_conn_id: str,
        start: str,
        end: str | None = None,
        kinds: Sequence[str] = ("bounces",),
        bounce_types: Sequence[str] = (),
        references: Sequence[str] = (),
        account_id: str | None = None,
        page_size: int = 100,
        min_count: int = 1,
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.marigold_conn_id = marigold_conn_id
        self.start = start
        self.end = end
        self.kinds = list(kinds)
        self.bounce_types = list(bounce_types)
        self.references = list(references)
        self.account_id = account_id
        self.page_size = page_size
        self.min_count = min_count
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "marigold_conn_id": self.marigold_conn_id,
                "start": self.start,
                "end": self.end,
                "kinds": self.kinds,
                "bounce_types": self.bounce_types,
                "references": self.references,
                "account_id": self.account_id,
                "page_size": self.page_size,
                "min_count": self.min_count,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``{"status": "success", "count", "by_type", "references"}``, or one with the error."""
        try:
            found = await self._wait()
        except MessagingError as error:
            yield TriggerEvent(error_event(error))
        else:
            yield TriggerEvent({"status": "success", **found})

    async def _wait(self) -> dict[str, Any]:
        hook = MarigoldHook(self.marigold_conn_id)
        client = await hook.aclient()
        query = FeedbackQuery(
            start=self.start,
            end=self.end,
            kinds=self.kinds,
            bounce_types=self.bounce_types,
            references=self.references,
            account_id=self.account_id,
            page_size=self.page_size,
        )
        failures = 0
        async with hook.async_transport(client) as transport:
            while True:
                try:
                    found = await transport.run(count_feedback(client.api, query))
                except MessagingError as error:
                    failures += 1
                    if not error.retryable or failures >= MOST_FAILURES:
                        raise
                    self.log.warning("poll %d in a row failed: %s", failures, error)
                else:
                    failures = 0
                    if found.count >= self.min_count:
                        return found.as_dict()
                    self.log.info("%d of %d rows are there", found.count, self.min_count)
                await asyncio.sleep(self.poll_interval)
