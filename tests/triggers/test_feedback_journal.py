"""How a watcher's cursor is kept: small, complete, and readable whatever was left behind."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_messaging.core.cursor import HOUR, Arrivals, News
from airflow_provider_messaging.triggers._journal import Journal
from tests.triggers.watching import AssetState

pytestmark = pytest.mark.airflow33

DAY = 24 * HOUR
START = 20_000 * DAY
NAME = "watch"


def arrivals(events: dict[int, int]) -> Arrivals:
    listed = Arrivals(("any",))
    for event, moment in events.items():
        listed.add(event, moment, 0)
    return listed


async def opened(*stores: Any, look_back: int = DAY) -> Journal:
    return await Journal.open(stores, NAME, start=START, look_back=look_back)


async def report(journal: Journal, events: dict[int, int], until: int, *, confirm: bool = True) -> int:
    """Look at some events as a watcher does, and return how many of them are new."""
    news, listed = News(), arrivals(events)
    journal.cursor.take(listed, range(len(listed)), kind="any", until=until, news=news)
    journal.cursor.reach(until)
    await journal.commit({"count": len(news), "batch_id": news.digest()} if news else None)
    if confirm:
        await journal.confirm(max((batch["number"] for batch in journal.reported(after=0)), default=0))
    return len(news)


def a_day(events: int, *, day: int = 0) -> dict[int, int]:
    chance = random.Random(day)
    begin = START + day * DAY
    return {chance.getrandbits(64): begin + chance.randrange(DAY) for _ in range(events)}


async def test_100_000_events_a_day_take_1_mb_in_values_below_64_kb() -> None:
    store = AssetState()
    journal = await opened(store)
    for day in range(4):
        events = a_day(100_000, day=day)
        for hour in range(0, 24, 6):
            until = START + day * DAY + (hour + 6) * HOUR
            part = {event: moment for event, moment in events.items() if moment < until}
            await report(journal, part, until)
    sizes = [len(value) for value in store.values.values()]
    assert max(sizes) < 64_000
    assert sum(sizes) < 1_200_000
    again = await opened(store)
    assert await report(again, events, START + 4 * DAY) == 0


async def test_a_commit_writes_only_what_is_new() -> None:
    store = AssetState()
    journal = await opened(store)
    await report(journal, a_day(20_000), START + DAY)
    written: list[str] = []
    store.before = written.append
    assert await report(journal, {7: START + DAY + HOUR}, START + DAY + 2 * HOUR) == 1
    # One part of one hour, the head, and the confirmation.
    assert written.count("set") == 3


async def test_hours_that_are_too_far_back_are_deleted() -> None:
    store = AssetState()
    journal = await opened(store)
    await report(journal, a_day(1_000), START + DAY)
    assert len(store.values) == 2 + 24
    await report(journal, {7: START + 5 * DAY}, START + 5 * DAY + HOUR)
    assert len(store.values) == 2 + 1


async def test_hours_whose_deletion_failed_are_deleted_later() -> None:
    store = AssetState()
    journal = await opened(store)
    await report(journal, a_day(1_000), START + DAY)

    def refuse(operation: str) -> None:
        if operation == "delete":
            raise OSError("not now")

    store.before = refuse
    await report(journal, {7: START + 5 * DAY}, START + 5 * DAY + HOUR)
    assert len(store.values) == 2 + 24 + 1
    store.before = lambda operation: None
    again = await opened(store)
    await again.commit()
    assert len(store.values) == 2 + 1


async def test_what_a_store_has_lost_is_reported_again_rather_than_never(caplog: pytest.LogCaptureFixture) -> None:
    store = AssetState()
    journal = await opened(store)
    events = a_day(240)
    await report(journal, events, START + DAY)
    lost = next(key for key in store.values if key.endswith("/0"))
    hour = int(lost.split("/")[1])
    del store.values[lost]
    again = await opened(store)
    expected = sum(moment // HOUR == hour for moment in events.values())
    assert expected > 0
    assert await report(again, events, START + DAY) == expected
    assert "lost" in caplog.text


async def test_what_two_triggerers_wrote_at_once_is_reported_again_rather_than_never() -> None:
    store = AssetState()
    ours, theirs = await opened(store), await opened(store)
    at = START + HOUR
    await report(ours, {1: at}, at + HOUR)

    def end(operation: str) -> None:
        ended.append(operation)
        if len(ended) == 2:
            raise OSError("ended between the events and the head")

    ended: list[str] = []
    store.before = end
    with pytest.raises(OSError, match="ended"):
        await report(theirs, {2: at}, at + HOUR)
    store.before = lambda operation: None
    assert await report(await opened(store), {1: at, 2: at}, at + HOUR) == 2


async def test_what_a_broken_off_commit_left_behind_counts_for_nothing() -> None:
    store = AssetState()
    journal = await opened(store)
    await report(journal, {1: START}, START + HOUR)
    ended: list[str] = []

    def end(operation: str) -> None:
        ended.append(operation)
        if len(ended) == 2:
            raise OSError("ended between the events and the head")

    store.before = end
    with pytest.raises(OSError, match="ended"):
        await report(journal, {1: START, 2: START}, START + HOUR)
    store.before = lambda operation: None
    again = await opened(store)
    assert await report(again, {1: START, 2: START}, START + HOUR) == 1


async def test_a_batch_is_not_taken_for_one_of_another_triggerer() -> None:
    store = AssetState()
    ours, theirs = await opened(store), await opened(store)
    await report(ours, {1: START}, START + HOUR)
    await report(theirs, {2: START}, START + HOUR, confirm=False)
    assert [batch["number"] for batch in (await opened(store)).reported(after=0)] == [1]


async def test_a_state_of_another_version_is_refused() -> None:
    store = AssetState()
    store.values[NAME] = json.dumps({"version": 99})
    with pytest.raises(ValueError, match="delete it"):
        await opened(store)


async def test_assets_that_share_a_watcher_have_the_same_state() -> None:
    shoes, hats = AssetState(), AssetState()
    await report(await opened(shoes, hats), a_day(100), START + DAY)
    assert shoes.values == hats.values
    for left in (shoes, hats):
        assert await report(await opened(left), a_day(100), START + DAY) == 0


async def test_an_asset_that_joins_a_watcher_goes_on_where_the_other_is() -> None:
    shoes, hats = AssetState(), AssetState()
    await report(await opened(hats), a_day(100), START + DAY)
    both = await opened(shoes, hats)
    assert await report(both, a_day(100), START + DAY) == 0
    assert shoes.values == hats.values


async def test_of_two_states_the_one_that_is_behind_counts() -> None:
    shoes, hats = AssetState(), AssetState()
    await report(await opened(hats), a_day(100), START + DAY)
    await report(
        await opened(shoes), {event: at for event, at in a_day(100).items() if at < START + HOUR}, START + HOUR
    )
    both = await opened(shoes, hats)
    assert await report(both, a_day(100), START + DAY) > 50


async def test_the_accessors_of_airflow_are_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.execution_time import comms, task_runner
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    from airflow_provider_messaging.triggers._journaled import _stores

    kept: dict[tuple[str, str], Any] = {}

    class Supervisor:
        async def asend(self, message: Any) -> Any:
            at = message.name, message.key
            match message:
                case comms.SetAssetStateStoreByName():
                    kept[at] = message.value
                case comms.DeleteAssetStateStoreByName():
                    del kept[at]
                case comms.GetAssetStateStoreByName() if at in kept:
                    return comms.AssetStateStoreResult(value=kept[at])
            return comms.OKResponse(ok=True)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    accessors = AssetStateStoreAccessors(inlets=[Asset("shoes"), Asset("hats")])
    await report(await opened(*_stores(accessors)), a_day(50), START + DAY)
    await report(await opened(*_stores(accessors)), {7: START + 5 * DAY}, START + 5 * DAY + HOUR)
    assert {name for name, _ in kept} == {"shoes", "hats"}
    assert await report(await opened(*_stores(accessors)), {7: START + 5 * DAY}, START + 5 * DAY + HOUR) == 0
