"""The trigger that starts DAGs when feedback comes in, against the sandbox and Airflow's own shared streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger
from tests.triggers.watching import AssetState, Triggerer

encode_trigger = pytest.importorskip("airflow.serialization.encoders", reason="came with Airflow 3.2").encode_trigger

pytestmark = pytest.mark.airflow33

NOW = datetime.now(UTC)
BEGIN = NOW - timedelta(hours=50)
OPTIONS: dict[str, Any] = {
    "start": BEGIN,
    "lag": 0,
    "look_back": timedelta(days=3),
    "poll_interval": 0.1,
    "late_interval": 0.1,
}


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All watchers find the sandbox."""


@pytest.fixture
def state() -> AssetState:
    return AssetState()


@asynccontextmanager
async def triggerer() -> AsyncIterator[Triggerer]:
    """A triggerer that ends with the block, without a word to anyone."""
    running = Triggerer()
    try:
        yield running
    finally:
        await running.stop()


def watcher(**options: Any) -> FeedbackEventTrigger:
    return FeedbackEventTrigger(**{**OPTIONS, **options})


_seeds: Iterator[int] = iter(range(1, 10_000))


def seed(sandbox: Sandbox, rows: int, kind: str = "bounces", *, at: datetime = NOW - timedelta(hours=30)) -> None:
    """Add rows that happened within the minute after `at`."""
    end = at + timedelta(seconds=59)
    sandbox.seed(kind, rows, at.isoformat(), end.isoformat(), seed=next(_seeds))


def total(payloads: list[dict[str, Any]]) -> int:
    return sum(payload["count"] for payload in payloads)


def polls(sandbox: Sandbox, operation: str = "bounces") -> int:
    return len(sandbox.requests(operation=operation))


async def settle(running: Triggerer, sandbox: Sandbox, more: int = 12) -> None:
    """Return after some more requests: whatever was to be reported, and confirmed, is."""
    before = polls(sandbox)
    await running.until(lambda: polls(sandbox) >= before + more)


async def test_a_batch_counts_what_is_new_by_kind_and_type(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 40)
    seed(sandbox, 5, "complaints")
    seed(sandbox, 3, "list_unsubscribes")
    async with triggerer() as running:
        running.start(watcher(), state)
        await running.until(lambda: running.events)
        await settle(running, sandbox)
    (payload,) = running.payloads()
    assert payload["count"] == 48
    assert payload["kinds"] == {"bounces": 40, "complaints": 5, "list_unsubscribes": 3}
    assert set(payload["bounce_types"]) == {"hard", "soft", "spam"}
    assert sum(payload["bounce_types"].values()) == 40


async def test_the_window_of_a_batch_holds_all_that_it_counts(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 30)
    async with triggerer() as running:
        running.start(watcher(kinds=["bounces"]), state)
        await running.until(lambda: running.events)
    (payload,) = running.payloads()
    start, end = datetime.fromisoformat(payload["start"]), datetime.fromisoformat(payload["end"])
    assert len(list(MarigoldHook().iter_bounces(start, end))) == 30
    assert start.date() == (end - timedelta(microseconds=1)).date()
    assert end - start <= timedelta(seconds=61)


async def test_a_batch_names_nobody(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 4)
    async with triggerer() as running:
        running.start(watcher(), state)
        await running.until(lambda: running.events)
    (payload,) = running.payloads()
    expected = {"vendor", "marigold_conn_id", "account_id", "batch_id", "number", "start", "end"}
    assert set(payload) == expected | {"count", "kinds", "bounce_types"}
    assert "@" not in json.dumps(payload)
    assert "seed-" not in json.dumps(payload)


async def test_only_the_types_asked_for_are_reported(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 40)
    async with triggerer() as running:
        running.start(watcher(kinds=["bounces"], bounce_types=["Hard"]), state)
        await running.until(lambda: running.events)
        await settle(running, sandbox)
    (payload,) = running.payloads()
    assert list(payload["bounce_types"]) == ["hard"]
    assert 0 < payload["count"] < 40


async def test_what_is_younger_than_the_lag_waits(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 3, at=datetime.now(UTC) - timedelta(seconds=65))
    async with triggerer() as running:
        running.start(watcher(lag=3600, kinds=["bounces"]), state)
        await settle(running, sandbox)
        assert running.events == []


async def test_feedback_that_comes_late_and_out_of_order_is_reported(sandbox: Sandbox, state: AssetState) -> None:
    sandbox.settings(feedback_order="shuffled")
    async with triggerer() as running:
        running.start(watcher(), state)
        for hours in (1, 40, 26, 3, 40):
            reported = total(running.payloads())
            seed(sandbox, 7, at=NOW - timedelta(hours=hours))
            await running.until(lambda reported=reported: total(running.payloads()) > reported)
        await settle(running, sandbox)
    assert total(running.payloads()) == 35
    assert [payload["number"] for payload in running.payloads()] == [1, 2, 3, 4, 5]


async def test_days_that_are_over_are_read_again_only_now_and_then(sandbox: Sandbox, state: AssetState) -> None:
    before = datetime.now(UTC).date()
    async with triggerer() as running:
        running.start(watcher(kinds=["bounces"], late_interval=3600), state)
        await settle(running, sandbox, 15)
    days = [request["query"].partition("&")[0] for request in sandbox.requests(operation="bounces")]
    # Two of them if midnight came in between.
    today = {f"start={day}" for day in (before, datetime.now(UTC).date())}
    assert sum(map(days.count, today)) >= 10
    assert all(days.count(day) == 1 for day in set(days) - today)


async def test_a_restart_repeats_nothing_and_loses_nothing(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 10)
    counts = []
    for _ in range(3):
        async with triggerer() as running:
            running.start(watcher(), state)
            await running.until(lambda running=running: running.events)
            await settle(running, sandbox)
        counts.append(total(running.payloads()))
        seed(sandbox, 4)
    assert counts == [10, 4, 4]


async def test_nothing_new_fires_nothing(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 10)
    for expected in (10, 0, 0):
        async with triggerer() as running:
            running.start(watcher(), state)
            await settle(running, sandbox, 20)
        assert total(running.payloads()) == expected


async def test_without_a_start_only_what_happens_from_then_on_counts(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 5, at=datetime.now(UTC) - timedelta(seconds=70))
    async with triggerer() as running:
        running.start(watcher(start=None), state)
        await settle(running, sandbox)
        assert running.events == []
    # The moment of the first start counts, not that of the second.
    happened = datetime.now(UTC)
    sandbox.seed("bounces", 3, happened.isoformat(), happened.isoformat(), seed=next(_seeds))
    async with triggerer() as running:
        running.start(watcher(start=None), state)
        await running.until(lambda: running.events)
    assert total(running.payloads()) == 3


async def test_a_batch_that_airflow_never_got_comes_after_the_restart(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 6)
    async with triggerer() as running:
        running.persists = False
        running.start(watcher(), state)
        await running.until(lambda: any('"batch_id"' in value for value in state.values.values()))
    seed(sandbox, 2)
    async with triggerer() as running:
        running.start(watcher(), state)
        await running.until(lambda: len(running.events) == 2)
    assert [(payload["number"], payload["count"]) for payload in running.payloads()] == [(1, 6), (2, 2)]


async def test_a_batch_that_was_not_confirmed_comes_again_to_the_letter(sandbox: Sandbox, state: AssetState) -> None:
    seed(sandbox, 6)
    async with triggerer() as running:
        running.confirms = False
        running.start(watcher(), state)
        await running.until(lambda: running.events)
    first = running.payloads()
    seed(sandbox, 2)
    async with triggerer() as running:
        running.start(watcher(), state)
        await running.until(lambda: len(running.events) == 2)
        await settle(running, sandbox)
    assert running.payloads()[:1] == first
    assert running.payloads()[1]["count"] == 2


async def test_watchers_of_one_account_share_one_reader(sandbox: Sandbox) -> None:
    seed(sandbox, 40)
    once: dict[str, Any] = {"kinds": ["bounces"], "late_interval": 3600}
    watchers = [watcher(bounce_types=types, **once) for types in ([], ["hard"], ["soft"], ["spam"])]
    async with triggerer() as running:
        for one in watchers:
            running.start(one, AssetState())
        await running.until(lambda: len(running.events) == 4)
        await settle(running, sandbox)
        since, seconds = sandbox.requests()[-1]["number"], 1.0
        with pytest.raises(TimeoutError):
            await running.until(lambda: False, seconds)
        asked = [request["query"] for request in sandbox.requests(operation="bounces", after=since)]
    assert 2 <= len(asked) <= seconds / OPTIONS["poll_interval"] + 1
    counts = [total(running.payloads(one)) for one in watchers]
    assert counts[0] == 40 == sum(counts[1:])


async def test_watchers_of_different_kinds_share_one_reader(sandbox: Sandbox) -> None:
    seed(sandbox, 4)
    seed(sandbox, 3, "complaints")
    bounces, complaints = watcher(kinds=["bounces"]), watcher(kinds=["complaints"])
    async with triggerer() as running:
        running.start(bounces, AssetState())
        running.start(complaints, AssetState())
        await running.until(lambda: len(running.events) == 2)
    assert (total(running.payloads(bounces)), total(running.payloads(complaints))) == (4, 3)


async def test_a_watcher_that_joins_later_gets_what_it_asks_for(sandbox: Sandbox) -> None:
    seed(sandbox, 5, at=NOW - timedelta(hours=45))
    late, early = watcher(start=NOW), watcher()
    async with triggerer() as running:
        running.start(late, AssetState())
        await settle(running, sandbox)
        running.start(early, AssetState())
        await running.until(lambda: running.events)
    assert (total(running.payloads(late)), total(running.payloads(early))) == (0, 5)


async def test_another_account_has_a_reader_of_its_own() -> None:
    assert watcher().shared_stream_key() == watcher(kinds=["bounces"], start=None).shared_stream_key()
    assert watcher().shared_stream_key() != watcher(account_id="other").shared_stream_key()
    assert watcher().shared_stream_key() != watcher(marigold_conn_id="other").shared_stream_key()


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls be repeated almost at once."""
    build = MarigoldHook.build_client

    def impatient(self: MarigoldHook, parts: Any) -> Any:
        client = build(self, parts)
        return replace(client, api=replace(client.api, retry=RetryPolicy(max_attempts=2, base=0.01)))

    monkeypatch.setattr(MarigoldHook, "build_client", impatient)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize(
    "fault", [{"fault": "status", "status": 500, "times": 8}, {"fault": "status", "status": 403, "times": 2}]
)
async def test_trouble_with_the_vendor_is_waited_out(
    sandbox: Sandbox, state: AssetState, fault: dict[str, Any]
) -> None:
    seed(sandbox, 9)
    sandbox.faults([{"vendor": "marigold", "operation": "bounces", **fault}])
    async with triggerer() as running:
        running.start(watcher(), state)
        await running.until(lambda: running.events)
        await settle(running, sandbox)
    assert total(running.payloads()) == 9


async def test_a_connection_that_is_missing_is_looked_up_again(
    sandbox: Sandbox, state: AssetState, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(sandbox, 9)
    async with triggerer() as running:
        running.start(watcher(marigold_conn_id="shoes"), state)
        with pytest.raises(TimeoutError):
            await running.until(lambda: running.events, 1)
        monkeypatch.setenv("AIRFLOW_CONN_SHOES", sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
        await running.until(lambda: running.events)
    assert total(running.payloads()) == 9


@pytest.mark.usefixtures("quickly")
async def test_one_kind_that_fails_holds_up_no_watcher_of_another(sandbox: Sandbox) -> None:
    seed(sandbox, 4)
    seed(sandbox, 4, "complaints")
    sandbox.faults([{"vendor": "marigold", "operation": "complaints", "fault": "status", "status": 403}])
    async with triggerer() as running:
        running.start(watcher(), AssetState())
        running.start(watcher(kinds=["bounces"]), AssetState())
        await running.until(lambda: running.events)
        await settle(running, sandbox)
        assert total(running.payloads()) == 4
        sandbox.clear_faults()
        await running.until(lambda: total(running.payloads()) == 12)


@pytest.mark.parametrize("operation", ["get", "set"])
async def test_trouble_with_the_state_store_loses_and_repeats_nothing(
    sandbox: Sandbox, state: AssetState, operation: str
) -> None:
    seed(sandbox, 6)
    left = iter(range(200))

    def fail_now_and_then(asked: str) -> None:
        if asked == operation and next(left, 1) % 3 == 0:
            raise OSError("the database is locked")

    async with triggerer() as running:
        state.before = fail_now_and_then
        running.start(watcher(), state)
        await running.until(lambda: running.events)
        for _ in range(3):
            reported = total(running.payloads())
            seed(sandbox, 2)
            await running.until(lambda reported=reported: total(running.payloads()) > reported)
        await settle(running, sandbox)
    assert [payload["count"] for payload in running.payloads()] == [6, 2, 2, 2]


async def test_an_asset_without_a_state_store_fires_nothing(sandbox: Sandbox) -> None:
    seed(sandbox, 6)
    async with triggerer() as running:
        running.start(watcher(), None)
        with pytest.raises(TimeoutError):
            await running.until(lambda: running.events, 0.5)


async def test_it_runs_as_the_trigger_of_an_asset_only() -> None:
    with pytest.raises(ConfigurationError, match="AssetWatcher"):
        await anext(watcher().run())


def test_equal_watchers_are_one_trigger() -> None:
    ours = watcher(kinds=["complaints", "bounces"], lag=timedelta(minutes=5), bounce_types=("soft", "HARD"))
    theirs = watcher(kinds=("bounces", "complaints"), lag=300, bounce_types=["hard", "soft"], start=BEGIN.isoformat())
    assert ours.serialize() == theirs.serialize()
    stored = encode_trigger(ours)
    assert BaseEventTrigger.hash(*ours.serialize()) == BaseEventTrigger.hash(stored["classpath"], stored["kwargs"])


def test_a_stored_watcher_is_made_anew_with_every_option() -> None:
    options: dict[str, Any] = {
        "marigold_conn_id": "shoes",
        "kinds": ["complaints"],
        "bounce_types": ["hard"],
        "account_id": "other",
        "start": "2026-03-10T12:00:00Z",
        "lag": 1.0,
        "look_back": 2.0,
        "poll_interval": 3.0,
        "late_interval": 4.0,
        "page_size": 5,
    }
    path, kwargs = FeedbackEventTrigger(**options).serialize()
    assert kwargs == json.loads(json.dumps(options))
    assert path == "airflow_provider_messaging.triggers.marigold.FeedbackEventTrigger"
    assert FeedbackEventTrigger(**kwargs).serialize() == (path, kwargs)


def test_an_asset_takes_it() -> None:
    asset = Asset("feedback", watchers=[AssetWatcher(name="marigold", trigger=watcher())])
    assert asset.watchers[0].trigger.serialize() == watcher().serialize()


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"kinds": ["opens"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"bounce_types": ["medium"]}, "bounce_types"),
        ({"start": "yesterday"}, "start"),
        ({"lag": -1}, "lag"),
        ({"look_back": float("nan")}, "look_back"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"late_interval": 0}, "late_interval"),
        ({"page_size": 0}, "page_size"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_when_the_dag_is_read(options: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        watcher(**options)
    assert refused.value.setting == setting
