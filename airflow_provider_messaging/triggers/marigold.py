"""Triggers of Marigold Engage Delivery Cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.watch import Watch
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.triggers._base import MOST_FAILURES, WaitingTrigger
from airflow_provider_messaging.triggers._feedback_events import FeedbackEventTrigger
from airflow_provider_messaging.triggers._shared import shared
from airflow_provider_messaging.triggers._watching import WatchTrigger
from airflow_provider_messaging.triggers._webhook_events import WebhookEventTrigger
from airflow_provider_messaging.vendors.marigold.query import FeedbackQuery, count_feedback
from airflow_provider_messaging.vendors.marigold.watch import (
    ARCHIVE_GOAL,
    archive_state,
    delivery_state,
    goal_of,
    profile_state,
)

__all__ = ["ArchiveTrigger", "BounceTrigger", "DeliveryTrigger", "FeedbackEventTrigger", "WebhookEventTrigger"]


class BounceTrigger(WaitingTrigger):
    """Waits until enough feedback is there. Only reads; its event holds counts and references.

    All triggers of a triggerer that ask the same of the same account share each poll; all of one connection share its
    HTTP connections.

    :param marigold_conn_id: a connection of type ``marigold``.
    :param min_count: fires when at least that many rows match.
    :param poll_interval: seconds between two polls.

    The other parameters are those of `BounceSensor`.
    """

    hook_class = MarigoldHook

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

    def query(self) -> FeedbackQuery:
        """Return what counts.

        :raises ConfigurationError: if the options make no sense.
        """
        query = FeedbackQuery(
            start=self.start,
            end=self.end,
            kinds=self.kinds,
            bounce_types=self.bounce_types,
            references=self.references,
            account_id=self.account_id,
            page_size=self.page_size,
        )
        query.check()
        return query

    async def wait(self) -> dict[str, Any]:
        query = self.query()
        failures = 0
        told: int | None = None
        hook = self.make_hook()
        client = await hook.aclient()
        place = (client.api.base_url, *sorted(client.api.overrides.items()))
        key = (client.config.cache_key, place, client.options, msgspec.json.encode(query))
        async with hook.async_transport(client) as transport:
            with shared(key) as question:
                while True:
                    pause = self.poll_interval
                    try:
                        found, age = await question.ask(
                            lambda: transport.run(count_feedback(client.api, query)), self.poll_interval
                        )
                    except MessagingError as error:
                        failures += 1
                        if not error.retryable or failures >= MOST_FAILURES:
                            raise
                        self.log.warning("poll %d in a row failed: %s", failures, error)
                    else:
                        failures = 0
                        pause = max(0.0, pause - age)
                        if found.count >= self.min_count:
                            return found.as_dict()
                        # Not at every poll: thousands of triggers would write little else.
                        if found.count != told:
                            told = found.count
                            self.log.info("%d of %d rows are there", found.count, self.min_count)
                    await asyncio.sleep(pause)


class DeliveryTrigger(WatchTrigger):
    """Waits until messages reach a state. Only reads; its event holds counts and references.

    :param marigold_conn_id: a connection of type ``marigold``.
    :param references: those to look at.
    :param settled: what is known already, references by state; these are not looked at.
    :param stop_when_lost: fire as soon as a message can't reach the state any more.
    :param poll_interval: seconds between two polls; it grows up to `max_poll_interval` while nothing happens.
    :param max_concurrency: look-ups at the same time.

    The other parameters are those of `DeliverySensor`.
    """

    hook_class = MarigoldHook
    endpoint = "track"

    def __init__(
        self,
        *,
        marigold_conn_id: str,
        references: Sequence[str],
        state: str = "delivered",
        start: str | None = None,
        settled: Mapping[str, Sequence[str]] | None = None,
        stop_when_lost: bool = True,
        poll_interval: float = 60.0,
        max_poll_interval: float = 600.0,
        max_concurrency: int = 8,
    ) -> None:
        super().__init__(
            settled=settled,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            max_concurrency=max_concurrency,
        )
        self.marigold_conn_id = marigold_conn_id
        self.references = list(references)
        self.state = state
        self.start = start
        self.stop_when_lost = stop_when_lost

    def make_watch(self) -> Watch:
        return Watch(self.references, goal_of(self.state), settled=self.settled, stop_when_lost=self.stop_when_lost)

    def flow_of(self, api: Api) -> Callable[[str], Flow[str]]:
        return partial(delivery_state, api, since=as_moment(self.start, "start"))


class ArchiveTrigger(WatchTrigger):
    """Waits until messages are archived. Only reads, exports nothing; its event holds counts and ids.

    :param marigold_conn_id: a connection of type ``marigold``.
    :param references: messages to wait for, by tracking.
    :param profile_ids: profiles to wait for instead, by listing, each until it has `min_count` messages.
    :param settled: what is known already, references or profiles by state; these are not looked at.
    :param poll_interval: seconds between two polls; it grows up to `max_poll_interval` while nothing happens.
    :param max_concurrency: look-ups at the same time.

    The other parameters are those of `ArchiveExportSensor`.
    """

    hook_class = MarigoldHook
    endpoint = "track"

    def __init__(
        self,
        *,
        marigold_conn_id: str,
        references: Sequence[str] | None = None,
        profile_ids: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        min_count: int = 1,
        settled: Mapping[str, Sequence[str]] | None = None,
        poll_interval: float = 60.0,
        max_poll_interval: float = 600.0,
        max_concurrency: int = 8,
    ) -> None:
        super().__init__(
            settled=settled,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            max_concurrency=max_concurrency,
        )
        self.marigold_conn_id = marigold_conn_id
        self.references = None if references is None else list(references)
        self.profile_ids = None if profile_ids is None else list(profile_ids)
        self.start = start
        self.end = end
        self.min_count = min_count
        self.named = "references" if profile_ids is None else "profile_ids"

    def make_watch(self) -> Watch:
        return Watch(self.references or self.profile_ids or (), ARCHIVE_GOAL, settled=self.settled)

    def flow_of(self, api: Api) -> Callable[[str], Flow[str]]:
        start, end = as_moment(self.start, "start"), as_moment(self.end, "end")
        if self.profile_ids is None:
            return partial(archive_state, api, since=start)
        return partial(profile_state, api, min_count=self.min_count, start=start, end=end)
