"""The trigger that starts DAGs on landed segments, on Airflow's own shared streams."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher, ObjectStoragePath

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.triggers.marigold import WebhookEventTrigger
from tests.segments import event, land_segment
from tests.triggers.watching import AssetState, Killed, Triggerer

encode_trigger = pytest.importorskip("airflow.serialization.encoders", reason="came with Airflow 3.2").encode_trigger

pytestmark = pytest.mark.airflow33


@pytest.fixture
def state() -> AssetState:
    return AssetState()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "webhooks"


@asynccontextmanager
async def triggerer() -> AsyncIterator[Triggerer]:
    running = Triggerer()
    try:
        yield running
    finally:
        await running.stop()


def now() -> datetime:
    return datetime.now(UTC)


def watcher(root: Path, **options: Any) -> WebhookEventTrigger:
    given = {"path": str(root), "start": now() - timedelta(hours=30), "poll_interval": 0.05, "look_back": 7200}
    return WebhookEventTrigger(**{**given, **options})


def segments(payloads: list[dict[str, Any]]) -> list[str]:
    return [name for payload in payloads for name in payload["segments"]]


async def settle(running: Triggerer, seconds: float = 0.8) -> None:
    """Let some polls pass."""
    with pytest.raises(TimeoutError):
        await running.until(lambda: False, seconds)


async def test_a_batch_tells_kinds_counts_files_and_the_window(root: Path, state: AssetState) -> None:
    moment = now().replace(microsecond=600_000) - timedelta(minutes=10)
    names = [
        land_segment(root, [event("failed", f"m-{n}", at=moment) for n in range(3)]),
        land_segment(root, [event("complaint", "m-9", at=moment - timedelta(minutes=7))], compressed=True),
    ]
    land_segment(root, [event("sent", "m-10")])
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
        await settle(running)
    [payload] = running.payloads()
    members = {"vendor", "path", "batch_id", "number", "segments", "count", "kinds", "start", "end"}
    assert set(payload) == members
    assert payload["segments"] == names
    assert (payload["count"], payload["kinds"]) == (4, {"bounces": 3, "complaints": 1})
    start, end = datetime.fromisoformat(payload["start"]), datetime.fromisoformat(payload["end"])
    assert start <= moment - timedelta(minutes=7) < start + timedelta(seconds=1)
    assert end - timedelta(seconds=1) <= moment < end


async def test_a_batch_names_nobody(root: Path, state: AssetState) -> None:
    land_segment(root, [event("failed", "order-4711", recipient="ada@example.com")])
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
    shown = json.dumps([*running.payloads(), state.values])
    assert "@" not in shown
    assert "4711" not in shown


async def test_what_lands_while_it_watches_is_reported_once(root: Path, state: AssetState) -> None:
    async with triggerer() as running:
        running.start(watcher(root, start=None), state)
        await settle(running, 0.3)
        names = []
        for number in range(4):
            names.append(land_segment(root, [event("failed", f"m-{number}")]))
            await running.until(lambda: segments(running.payloads()) == names)
        await settle(running)
    assert segments(running.payloads()) == names
    assert [payload["number"] for payload in running.payloads()] == [1, 2, 3, 4]


async def test_a_segment_that_becomes_visible_behind_newer_ones_is_reported(root: Path, state: AssetState) -> None:
    sealed = now()
    async with triggerer() as running:
        running.start(watcher(root), state)
        newer = land_segment(root, [event("failed", "m-1")], sealed_at=sealed)
        await running.until(lambda: running.events)
        late = [
            land_segment(root, [event("failed", f"m-{minutes}")], sealed_at=sealed - timedelta(minutes=minutes))
            for minutes in (50, 5)
        ]
        await running.until(lambda: len(segments(running.payloads())) == 3)
        await settle(running)
    assert segments(running.payloads())[0] == newer
    assert sorted(segments(running.payloads())[1:]) == sorted(late)


async def test_two_sealers_of_one_moment_are_told_apart(root: Path, state: AssetState) -> None:
    sealed = now()
    async with triggerer() as running:
        running.start(watcher(root), state)
        for number in range(2):
            land_segment(root, [event("failed", f"m-{number}")], sealed_at=sealed, name=f"sealer{number}")
            await running.until(lambda number=number: len(segments(running.payloads())) == number + 1)


async def test_a_restart_repeats_nothing_and_loses_nothing(root: Path, state: AssetState) -> None:
    found = []
    names: list[str] = []
    for rounds in range(3):
        names += [land_segment(root, [event("failed", f"m-{rounds}-{n}")]) for n in range(3)]
        async with triggerer() as running:
            running.start(watcher(root), state)
            await running.until(lambda running=running: running.events)
            await settle(running)
        found += segments(running.payloads())
    assert found == names


async def test_nothing_new_fires_nothing(root: Path, state: AssetState) -> None:
    land_segment(root, [event("failed", "m-1")])
    for expected in (1, 0, 0):
        async with triggerer() as running:
            running.start(watcher(root), state)
            await settle(running)
        assert len(running.events) == expected


async def test_a_watcher_that_was_off_for_days_reports_all_that_landed_meanwhile(root: Path, state: AssetState) -> None:
    began = now() - timedelta(days=4)
    async with triggerer() as running:
        running.start(watcher(root, start=began), state)
        await settle(running, 0.4)
    # As if it had been four days ago: the cursor of then, and what landed since.
    (name,) = [key for key in state.values if key.count("/") == 1]
    head = json.loads(state.values[name])
    micros = int((began - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    state.values[name] = json.dumps({**head, "watermark": micros, "horizon": micros})
    names = [
        land_segment(root, [event("failed", f"m-{hours}")], sealed_at=began + timedelta(hours=hours))
        for hours in range(1, 95, 6)
    ]
    async with triggerer() as running:
        running.start(watcher(root, start=began, max_segments=5), state)
        await running.until(lambda: len(segments(running.payloads())) >= len(names))
        await settle(running)
    assert segments(running.payloads()) == names
    assert max(len(payload["segments"]) for payload in running.payloads()) == 5


async def test_what_is_remembered_stays_small(root: Path, state: AssetState) -> None:
    land_segment(root, [event("failed", "old")], sealed_at=now() - timedelta(hours=29))
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
        await settle(running)
        land_segment(root, [event("failed", "new")])
        await running.until(lambda: len(running.events) == 2)
        await settle(running)
    (head,) = [json.loads(value) for key, value in state.values.items() if key.count("/") == 1]
    assert len(head["hours"]) == 1
    assert sum(len(value) for value in state.values.values()) < 2000


async def test_without_a_start_only_what_is_sealed_from_then_on_counts(root: Path, state: AssetState) -> None:
    land_segment(root, [event("failed", "old")], sealed_at=now() - timedelta(seconds=5))
    async with triggerer() as running:
        running.start(watcher(root, start=None), state)
        await settle(running, 0.4)
        assert running.events == []
        name = land_segment(root, [event("failed", "new")])
        await running.until(lambda: running.events)
    assert segments(running.payloads()) == [name]


async def test_a_batch_that_airflow_never_got_comes_after_the_restart(root: Path, state: AssetState) -> None:
    first = land_segment(root, [event("failed", "m-1")])
    async with triggerer() as running:
        running.persists = False
        running.start(watcher(root), state)
        await running.until(lambda: any('"batch_id"' in value for value in state.values.values()))
    second = land_segment(root, [event("failed", "m-2")])
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: len(running.events) == 2)
    assert [payload["segments"] for payload in running.payloads()] == [[first], [second]]


@pytest.mark.parametrize("steps", range(1, 14))
async def test_however_the_process_ends_each_segment_is_in_one_batch(root: Path, state: AssetState, steps: int) -> None:
    names = [land_segment(root, [event("failed", f"m-{n}")]) for n in range(4)]
    left = steps

    def step(operation: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed(operation)

    batches: dict[str, list[str]] = {}
    for lives in range(4):
        left, state.before = steps, step if lives < 3 else lambda operation: None
        async with triggerer() as running:
            running.start(watcher(root, max_segments=2), state)
            with suppress(Killed, TimeoutError):
                await running.until(lambda: len(segments(running.payloads())) >= len(names), 1.0 if lives < 3 else 20)
            for payload in running.payloads():
                assert batches.setdefault(payload["batch_id"], payload["segments"]) == payload["segments"]
        if sum(map(len, batches.values())) >= len(names):
            break
    assert sorted(name for each in batches.values() for name in each) == sorted(names)


async def test_watchers_of_one_folder_share_one_reader_and_pick_their_kinds(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_messaging.triggers import _segment_reader

    listings: list[str] = []
    tallies: list[str] = []

    def noted(calls: list[str], of: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: str, *rest: Any) -> Any:
            calls.append(path)
            return of(path, *rest)

        return call

    monkeypatch.setattr(_segment_reader, "_listed", noted(listings, _segment_reader._listed))
    monkeypatch.setattr(_segment_reader, "_tally", noted(tallies, _segment_reader._tally))
    names = {what: land_segment(root, [event(what, "m-1")]) for what in ("failed", "complaint", "sent")}
    kinds = ([], ["bounces"], ["complaints"], ["deliveries", "bounces"])
    watchers = [watcher(root, **({"kinds": each} if each else {})) for each in kinds]
    assert len({each.shared_stream_key() for each in watchers}) == 1
    async with triggerer() as running:
        for one in watchers:
            running.start(one, AssetState())
        await running.until(lambda: len(running.events) == 4)
        listings.clear()
        await settle(running, 1.0)
        assert 2 <= len(listings) <= 1.0 / 0.05 + 1
    reported = [set(segments(running.payloads(one))) for one in watchers]
    failed, complaint, sent = names.values()
    assert reported == [{failed, complaint}, {failed}, {complaint}, {sent, failed}]
    assert sorted(tallies) == sorted(names.values())


async def test_listing_and_counting_hold_up_no_other_trigger(
    root: Path, state: AssetState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_messaging.triggers import _segment_reader

    land_segment(root, [event("failed", "m-1")])
    loop_thread = threading.get_ident()
    threads: set[int] = set()
    for name in ("_listed", "_tally"):
        of = getattr(_segment_reader, name)

        def call(*arguments: Any, of: Callable[..., Any] = of) -> Any:
            threads.add(threading.get_ident())
            return of(*arguments)

        monkeypatch.setattr(_segment_reader, name, call)
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
    assert threads
    assert loop_thread not in threads


async def test_a_folder_that_is_not_there_yet_is_waited_for(root: Path, state: AssetState) -> None:
    async with triggerer() as running:
        running.start(watcher(root), state)
        await settle(running, 0.3)
        name = land_segment(root, [event("failed", "m-1")])
        await running.until(lambda: running.events)
    assert segments(running.payloads()) == [name]


@pytest.mark.usefixtures("object_storage")
async def test_it_works_on_object_storage(root: Path, state: AssetState) -> None:
    local = Path(land_segment(root, [event("failed", "m-1")], compressed=True))
    name = f"memory://lake/webhooks/{local.relative_to(root)}"
    async with triggerer() as running:
        running.start(watcher(root, path="memory://lake/webhooks"), state)
        await settle(running, 0.3)
        ObjectStoragePath(name).fs.put_file(str(local), ObjectStoragePath(name).path)
        await running.until(lambda: running.events)
    assert segments(running.payloads()) == [name]
    assert running.payloads()[0]["count"] == 1


async def test_trouble_with_the_storage_is_waited_out(
    root: Path, state: AssetState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_messaging.triggers import _segment_reader

    name = land_segment(root, [event("failed", "m-1")])
    of, calls = _segment_reader._listed, iter(range(1000))

    def unwell(*arguments: Any) -> Any:
        if next(calls) < 3:
            raise OSError("the storage is down")
        return of(*arguments)

    monkeypatch.setattr(_segment_reader, "_listed", unwell)
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
        await settle(running)
    assert segments(running.payloads()) == [name]


async def test_other_files_are_left_alone(root: Path, state: AssetState) -> None:
    name = Path(land_segment(root, [event("failed", "m-1")]))
    for other in (f"{name.name}.part-7", "bounces-20260310T000000Z.ndjson.gz", "segment-x-y.ndjson", "notes.txt"):
        (name.parent / other).write_bytes(b"{}\n")
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
        await settle(running)
    assert segments(running.payloads()) == [str(name)]


async def test_a_segment_that_is_damaged_or_gone_stops_nothing(
    root: Path, state: AssetState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_messaging.triggers import _segment_reader

    damaged = Path(land_segment(root, [event("failed", f"m-{n}") for n in range(200)], compressed=True))
    damaged.write_bytes(damaged.read_bytes()[:-40])
    gone = Path(land_segment(root, [event("failed", "m-3")]))
    of = _segment_reader._tally

    def tally(path: str, found: Any) -> Any:
        gone.unlink(missing_ok=True)
        return of(path, found)

    monkeypatch.setattr(_segment_reader, "_tally", tally)
    async with triggerer() as running:
        running.start(watcher(root), state)
        await running.until(lambda: running.events)
        whole = land_segment(root, [event("failed", "m-4")])
        await running.until(lambda: len(running.events) == 2)
    assert segments(running.payloads()) == [str(damaged), whole]


async def test_it_runs_as_the_trigger_of_an_asset_only(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="AssetWatcher only"):
        await asyncio.wait_for(anext(watcher(root).run()), 5)


async def test_airflow_stores_it_and_makes_it_anew(root: Path) -> None:
    trigger = watcher(root, kinds="bounces", look_back=timedelta(hours=2))
    Asset("bounces", watchers=[AssetWatcher(name="segments", trigger=trigger)])
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_messaging.triggers.marigold.WebhookEventTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert encode_trigger(trigger) == encode_trigger(WebhookEventTrigger(**arguments))
    assert WebhookEventTrigger(**arguments).serialize() == (path, arguments)


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"path": ""}, "path"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["hard"]}, "kinds"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"look_back": -1}, "look_back"),
        ({"max_segments": 0}, "max_segments"),
        ({"start": "yesterday"}, "start"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(root: Path, options: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        watcher(root, **options)
    assert caught.value.setting == setting
