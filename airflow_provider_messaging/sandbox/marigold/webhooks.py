"""Posting events: at least once, not always in order, a few times when nobody takes them, then never again."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Deliveries, Delivery
from airflow_provider_messaging.sandbox.marigold.cloudevents import Happening, document, happenings, identity
from airflow_provider_messaging.sandbox.marigold.outcomes import Outcome
from airflow_provider_messaging.sandbox.marigold.settings import Settings
from airflow_provider_messaging.sandbox.marigold.subscriptions import Subscription

if TYPE_CHECKING:
    import aiohttp

ATTEMPTS = 5
"""Of the vendor, over a day; then an event is a dead letter."""
AT_ONCE = 16
"""Posts at the same time."""
SECONDS = 10.0
"""For one post."""

_log = logging.getLogger("airflow_provider_messaging.sandbox")


@dataclass(slots=True)
class Emission:
    """One event for one subscription, and what has become of it."""

    happening: Happening
    subscription: Subscription
    skew: int
    delay: int
    is_lost: bool = False
    copies: int = 1
    """Posts that are to succeed."""
    posts: int = 0
    delivered_at: list[int] = field(default_factory=list)
    last: str = ""


@dataclass(order=True, slots=True)
class Post:
    """What is to be posted, and when."""

    at: int
    number: int
    emission: Emission = field(compare=False)
    attempt: int = field(compare=False, default=1)


class Webhooks:
    """The subscriptions, and the events under way to them. Lives on the server's event loop.

    :param settings: those of the moment.
    """

    def __init__(self, deliveries: Deliveries, settings: Callable[[], Settings]) -> None:
        self._deliveries = deliveries
        self._settings = settings
        self._subscriptions: dict[str, Subscription] = {}
        self._emissions: list[Emission] = []
        self._dead: list[Emission] = []
        self._waiting: list[Post] = []
        self._numbers = 0
        self._news = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def subscribe(self, subscription: Subscription) -> None:
        """Tell of all that is accepted from now on."""
        self._subscriptions[subscription.id] = subscription
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run())

    def unsubscribe(self, account: str, subscription_id: str) -> bool:
        """Post nothing more to it; tell whether there was one."""
        found = self._subscriptions.get(subscription_id)
        if found is None or found.account != account:
            return False
        del self._subscriptions[subscription_id]
        return True

    def subscriptions_of(self, account: str | None = None) -> list[Subscription]:
        return [each for each in self._subscriptions.values() if account in (None, each.account)]

    def announce(self, position: int, delivery: Delivery, outcome: Outcome) -> None:
        """Plan the events of an accepted message, with the settings of this moment."""
        if not self._subscriptions:
            return
        settings = self._settings()
        skew, delay = ticks.from_seconds(settings.clock_skew), ticks.from_seconds(settings.webhook_delay)
        for happening in happenings(position, delivery, outcome, ticks.from_seconds(settings.feedback_delay)):
            for subscription in self.subscriptions_of(delivery.account):
                if happening.type in subscription.order.types:
                    self._plan(Emission(happening, subscription, skew, delay), settings)

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event that was planned, with what has become of it."""
        for emission in self._emissions:
            yield {
                "subscription": emission.subscription.id,
                "posts": emission.posts,
                "lost": emission.is_lost,
                "delivered_at": [ticks.text(at) for at in emission.delivered_at],
                "event": self._document(emission),
            }

    def dead_letters(self) -> Iterator[dict[str, Any]]:
        """The events that nobody took."""
        for emission in self._dead:
            yield {
                "subscription": emission.subscription.id,
                "url": emission.subscription.order.url,
                "posts": emission.posts,
                "last": emission.last,
                "event": self._document(emission),
            }

    def close(self) -> None:
        """Post nothing more."""
        for task in (self._pump, *self._under_way):
            if task is not None:
                task.cancel()
        self._pump = None

    def _plan(self, emission: Emission, settings: Settings) -> None:
        chance = crc32(identity(emission.happening).encode())
        self._emissions.append(emission)
        if settings.webhook_losses and chance % settings.webhook_losses == 0:
            emission.is_lost = True
            return
        at = emission.happening.at + emission.delay
        spread = ticks.from_seconds(settings.webhook_disorder)
        self._wait(Post(at + (spread * chance >> 32), self._next(), emission))
        if settings.webhook_duplicates and (chance >> 8) % settings.webhook_duplicates == 0:
            emission.copies = 2
            other = crc32(b"copy of %d" % chance)
            self._wait(Post(at + (spread * other >> 32), self._next(), emission))

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _wait(self, post: Post) -> None:
        heapq.heappush(self._waiting, post)
        self._news.set()

    async def _run(self) -> None:
        import aiohttp

        slots = asyncio.Semaphore(AT_ONCE)
        # Neither a proxy nor a redirect may lead off this machine.
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                now = ticks.now()
                while self._waiting and self._waiting[0].at <= now:
                    await slots.acquire()
                    task = asyncio.create_task(self._deliver(session, heapq.heappop(self._waiting)))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                    task.add_done_callback(lambda _: slots.release())
                self._news.clear()
                pause = (self._waiting[0].at - ticks.now()) / ticks.SECOND if self._waiting else None
                try:
                    await asyncio.wait_for(self._news.wait(), pause)
                except TimeoutError:
                    continue

    async def _deliver(self, session: aiohttp.ClientSession, post: Post) -> None:
        emission = post.emission
        if emission.subscription.id not in self._subscriptions:
            return
        emission.posts += 1
        if await self._is_taken(session, emission):
            emission.delivered_at.append(ticks.now())
        elif post.attempt < ATTEMPTS:
            pause = ticks.from_seconds(self._settings().webhook_backoff) * 2 ** (post.attempt - 1)
            self._wait(Post(ticks.now() + pause, self._next(), emission, post.attempt + 1))
        else:
            self._dead.append(emission)

    async def _is_taken(self, session: aiohttp.ClientSession, emission: Emission) -> bool:
        order = emission.subscription.order
        headers = {**order.headers, "Content-Type": self._settings().webhook_content_type}
        body = msgspec.json.encode(self._document(emission))
        try:
            async with session.post(order.url, data=body, headers=headers, allow_redirects=False) as answer:
                emission.last = f"HTTP {answer.status}"
                return 200 <= answer.status < 300
        except Exception as error:
            # Whatever it is: the vendor would try again.
            emission.last = type(error).__name__
            _log.info("an event could not be posted: %s", emission.last)
            return False

    def _document(self, emission: Emission) -> dict[str, Any]:
        delivery = self._deliveries[emission.happening.position]
        return document(emission.happening, delivery, emission.skew, emission.delay)
