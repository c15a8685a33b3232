"""What a watcher has reported, through restarts at any point: every event once, whatever order it comes in."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_messaging.core.cursor import Arrivals, to_micros
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger
from airflow_provider_messaging.vendors.marigold.arrivals import LABELS
from tests.triggers.watching import AssetState, Killed

pytestmark = pytest.mark.airflow33

START = datetime(2026, 3, 10, 22, tzinfo=UTC)
END = START + timedelta(hours=90)
LAG = timedelta(minutes=10)
LOOK_BACK = timedelta(hours=8)
KINDS = ("bounces", "complaints", "list_unsubscribes")


@dataclass
class Event:
    number: int
    moment: datetime
    shown_at: datetime
    kind: str
    mark: int


@dataclass
class World:
    """The vendor's feedback, and what Airflow has registered."""

    events: list[Event]
    chance: random.Random
    state: AssetState
    registered: list[dict[str, Any]] = field(default_factory=list)
    doubtful: int = 0
    """Batches that Airflow had when the process ended that did not know yet."""

    def listed(self, kind: str, day: date, now: datetime) -> Arrivals:
        """What the vendor lists: in any order, a third of it twice, and not what is still to come."""
        shown = [e for e in self.events if e.kind == kind and e.shown_at <= now and e.moment.date() == day]
        shown += self.chance.sample(shown, len(shown) // 3)
        self.chance.shuffle(shown)
        arrivals = Arrivals(LABELS)
        for event in shown:
            arrivals.add(event.number * 0x9E3779B97F4A7C15 % 2**64, to_micros(event.moment), event.mark)
        return arrivals

    def died(self) -> None:
        keys = [json.loads(value) for key, value in self.state.values.items() if key.endswith("/confirmed")]
        confirmed = max((int(key.split()[0]) for key in chain(*keys)), default=0)
        self.doubtful += len({batch["number"] for batch in self.registered if batch["number"] > confirmed})


async def live(world: World, polls: Iterable[datetime], trigger: FeedbackEventTrigger) -> None:
    """Take the trigger through some polls, as Airflow's shared stream does, unless the process ends before."""
    from airflow_provider_messaging.triggers._feedback_reader import DayLook, FeedbackReader
    from airflow_provider_messaging.triggers._stream_reader import Look

    trigger.asset_state_store = world.state
    reader = FeedbackReader(conn_id="none", account_id=None, page_size=100, poll_interval=1)

    def looks_at(now: datetime) -> Iterable[Any]:
        # Not before it is needed: what is asked for depends on the looks before.
        day = min((ask.since for ask in reader._asks.values()), default=now).date()
        while day <= now.date():
            begin = datetime.combine(day, time(), UTC)
            window = Window(begin, min(begin + timedelta(days=1), now))
            arrivals = {kind: world.listed(kind, day, now) for kind in trigger.kinds}
            yield DayLook(reader=reader, at=now, window=window, arrivals=arrivals)
            day += timedelta(days=1)

    async def stream() -> AsyncIterator[Any]:
        for look in chain([Look(reader=reader, at=START)], *map(looks_at, polls)):
            yield look
            for confirm in look.confirmations:
                await confirm()

    async for event in trigger.filter_shared_stream(stream()):
        world.state.before("register")
        world.registered.append(event.payload)


async def live_and_die(world: World, polls: Iterable[datetime], steps: int) -> None:
    """The same, but the process ends after so many operations of the state store and of Airflow's database."""
    left = steps

    def step(operation: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed(operation)

    world.state.before = step
    try:
        await live(world, polls, watcher())
    except Killed:
        world.died()
    world.state.before = lambda operation: None


def watcher(**options: Any) -> FeedbackEventTrigger:
    return FeedbackEventTrigger(**{"start": START, "lag": LAG, "look_back": LOOK_BACK, **options})


def new_world(events: list[Event], seed: int) -> World:
    return World(events, random.Random(seed), AssetState())


def truth(world: World) -> Counter[str]:
    return Counter(e.kind for e in world.events if START <= e.moment < END - LAG and e.shown_at <= END)


def counted(batches: Iterable[dict[str, Any]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for batch in batches:
        counts.update(batch["kinds"])
    return counts


SEEDS = st.integers(0, 2**32)
EVENTS = st.lists(
    st.tuples(
        st.integers(-3 * 3600, 80 * 3600).map(lambda seconds: START + timedelta(seconds=seconds)),
        st.integers(0, int(LOOK_BACK.total_seconds())),
        st.sampled_from(KINDS),
        st.integers(0, len(LABELS) - 1),
    ),
    max_size=40,
).map(
    lambda rows: [
        Event(number, moment, moment + timedelta(seconds=delay), kind, mark)
        for number, (moment, delay, kind, mark) in enumerate(rows, 1)
    ]
)
POLLS = st.lists(st.integers(1, 89), max_size=30).map(
    lambda hours: [START + timedelta(hours=hour) for hour in sorted(hours)]
)


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.lists(st.tuples(POLLS, st.integers(0, 60)), max_size=6), SEEDS)
def test_every_event_is_reported_once_wherever_processes_end(
    events: list[Event], lives: list[tuple[list[datetime], int]], seed: int
) -> None:
    world = new_world(events, seed)
    # Times go on, lives overlap: an overlap is what a clock that was set back looks like.
    for polls, steps in lives:
        asyncio.run(live_and_die(world, polls, steps))
    asyncio.run(live(world, [END, END], watcher()))
    batches = {batch["number"]: batch for batch in world.registered}
    assert counted(batches.values()) == truth(world)
    assert sorted(batches) == list(range(1, len(batches) + 1))
    # What Airflow has twice is the same to the letter, and nobody could know that it had it.
    assert all(batch == batches[batch["number"]] for batch in world.registered)
    assert len(world.registered) - len(batches) <= world.doubtful


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.lists(POLLS, max_size=6), SEEDS)
def test_processes_that_end_between_two_polls_repeat_nothing(
    events: list[Event], lives: list[list[datetime]], seed: int
) -> None:
    world = new_world(events, seed)
    for polls in lives:
        asyncio.run(live(world, polls, watcher()))
    asyncio.run(live(world, [END, END], watcher()))
    assert counted(world.registered) == truth(world)
    assert [batch["number"] for batch in world.registered] == list(range(1, len(world.registered) + 1))
