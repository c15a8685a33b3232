"""The inbox and its sealer, on each database."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.vendors.marigold.segments import Segment
from airflow_provider_messaging.webhooks import inbox as inbox_module
from airflow_provider_messaging.webhooks.inbox import Inbox, Received, Sealed, event_key, microseconds
from airflow_provider_messaging.webhooks.metrics import Metrics
from airflow_provider_messaging.webhooks.schema import open_engine
from airflow_provider_messaging.webhooks.sealer import Sealer
from airflow_provider_messaging.webhooks.settings import Settings

SECRETS = ("a-secret-of-the-tests",)


@pytest.fixture
def inbox(inbox_url: str) -> Iterator[Inbox]:
    made = Inbox(inbox_url)
    made.create()
    yield made
    made.close()


def received(number: int, kind: str = "bounces", at: int | None = None, size: int = 0) -> Received:
    payload = json.dumps({"id": number, "text": "ü" * size})
    return Received(event_key("/sdc", str(number)), kind, at or microseconds(), payload)


def sealer(inbox: Inbox, folder: Path, **settings: float) -> Sealer:
    options = {"seal_seconds": 0.001, "seal_seconds_deliveries": 0.001, **settings}
    return Sealer(inbox, Settings(path=str(folder), inbox="sqlite://", secrets=SECRETS, **options), Metrics())  # type: ignore[arg-type]


def landed(folder: Path) -> Counter[int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Counter(json.loads(line)["id"] for path in files for line in path.read_bytes().splitlines())


def seal(inbox: Inbox, most_events: int = 100, most_bytes: int = 10**6) -> Sealed | None:
    (waiting,) = inbox.waiting()
    return inbox.seal(waiting.kind, waiting.day, most_events=most_events, most_bytes=most_bytes, compressed=False)


def test_an_event_is_new_once(inbox: Inbox) -> None:
    first, second = received(1), received(2)
    assert inbox.store([first]) == {first.key}
    assert inbox.store([first, second, second]) == {second.key}
    assert inbox.store([first, second]) == set()
    assert inbox.depth()[0] == 2


def test_source_and_id_together_are_the_key() -> None:
    assert event_key("a", "bc") != event_key("ab", "c")
    assert event_key("a", "b") != event_key("b", "a")


def test_many_receivers_that_get_the_same_events_store_each_once(inbox: Inbox, inbox_url: str) -> None:
    events = [received(number) for number in range(200)]
    inboxes = [Inbox(inbox_url) for _ in range(4)]

    def store(index: int) -> list[str]:
        mine = events if index % 2 else events[::-1]
        return [key for start in range(0, 200, 20) for key in inboxes[index % 4].store(mine[start : start + 20])]

    with ThreadPoolExecutor(8) as pool:
        new = Counter(key for keys in pool.map(store, range(8)) for key in keys)
    for each in inboxes:
        each.close()
    assert new == Counter(event.key for event in events)
    assert inbox.depth()[0] == 200


def test_receivers_that_start_at_once_make_the_tables_once(inbox_url: str) -> None:
    inboxes = [Inbox(inbox_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Inbox.create, inboxes))
    assert inboxes[0].store([received(1)])
    for each in inboxes:
        each.close()


def test_what_comes_after_sealing_is_in_another_segment(inbox: Inbox) -> None:
    inbox.store([received(1)])
    first = seal(inbox)
    inbox.store([received(2)])
    second = seal(inbox)
    assert first is not None
    assert second is not None
    assert [json.loads(line)["id"] for line in inbox.lines(first)] == [1]
    assert [json.loads(line)["id"] for line in inbox.lines(second)] == [2]
    assert [each.id for each in inbox.unlanded()] == [first.id, second.id]


@pytest.mark.parametrize(("most_events", "most_bytes"), [(3, 10**6), (100, 500)])
def test_a_segment_is_bounded_in_events_and_bytes(inbox: Inbox, most_events: int, most_bytes: int) -> None:
    inbox.store([received(number, size=100) for number in range(10)])
    sealed = seal(inbox, most_events, most_bytes)
    assert sealed is not None
    assert 1 <= sealed.events <= 4


def test_kinds_and_days_of_receipt_have_segments_of_their_own(inbox: Inbox, tmp_path: Path) -> None:
    day = microseconds()
    before = day - 86_400_000_000
    inbox.store([received(1, at=day), received(2, "complaints", day), received(3, at=before), received(4, at=before)])
    sealer(inbox, tmp_path / "lake").work()
    segments = [Segment.parse(str(path)) for path in (tmp_path / "lake").rglob("*.ndjson")]
    found = sorted((segment.kind, segment.day) for segment in segments if segment)
    today = datetime.fromtimestamp(day / 1e6, UTC).date()
    yesterday = datetime.fromtimestamp(before / 1e6, UTC).date()
    assert found == [("bounces", yesterday), ("bounces", today), ("complaints", today)]
    assert landed(tmp_path / "lake") == Counter([1, 2, 3, 4])


def test_what_is_landed_leaves_the_inbox_and_is_recognised_all_the_same(inbox: Inbox, tmp_path: Path) -> None:
    inbox.store([received(1)])
    sealer(inbox, tmp_path / "lake").work()
    assert inbox.depth() == (0, None)
    assert inbox.store([received(1)]) == set()
    sealer(inbox, tmp_path / "lake").work()
    assert landed(tmp_path / "lake") == Counter([1])


@pytest.mark.parametrize("gzip", [False, True])
def test_a_receiver_killed_between_file_and_commit_writes_the_same_file_again(
    inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gzip: bool
) -> None:
    inbox.store([received(number) for number in range(5)])
    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "landed", lambda self, segment: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sealer(inbox, tmp_path / "lake", gzip=gzip).work()
    (path,) = (path for path in (tmp_path / "lake").rglob("*") if path.is_file())
    before = path.read_bytes()
    inbox.store([received(9)])
    sealer(inbox, tmp_path / "lake", gzip=gzip, seal_seconds=3600).work()
    files = [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    assert files == [path]
    assert path.read_bytes() == before
    assert inbox.depth()[0] == 1


def test_a_receiver_killed_while_it_writes_leaves_nothing_behind(inbox: Inbox, tmp_path: Path) -> None:
    inbox.store([received(1)])
    sealed = seal(inbox)
    assert sealed is not None
    part = tmp_path / "lake" / f"{sealed.path}.part-999999999"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half of")
    sealer(inbox, tmp_path / "lake").work()
    assert not part.exists()
    assert landed(tmp_path / "lake") == Counter([1])


def test_while_storage_is_away_all_stays_in_the_inbox(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    inbox.store([received(1)])
    with pytest.raises(OSError, match="lake"):
        sealer(inbox, tmp_path / "lake").work()
    assert inbox.depth()[0] == 1
    (tmp_path / "lake").unlink()
    sealer(inbox, tmp_path / "lake").work()
    assert landed(tmp_path / "lake") == Counter([1])


def test_one_that_had_the_lease_before_does_not_write_an_empty_file(inbox: Inbox, tmp_path: Path) -> None:
    inbox.store([received(1)])
    sealed = seal(inbox)
    assert sealed is not None
    sealer(inbox, tmp_path / "lake").land(sealed)
    sealer(inbox, tmp_path / "lake").land(sealed)
    assert landed(tmp_path / "lake") == Counter([1])


def test_a_large_backlog_is_landed_at_once_in_bounded_segments(inbox: Inbox, tmp_path: Path) -> None:
    inbox.store([received(number) for number in range(25)])
    sealer(inbox, tmp_path / "lake", seal_events=10, seal_seconds=3600).work()
    assert landed(tmp_path / "lake") == Counter(range(25))
    assert len(list((tmp_path / "lake").rglob("*.ndjson"))) == 3


def test_what_is_young_and_little_waits(inbox: Inbox, tmp_path: Path) -> None:
    inbox.store([received(1), received(2, "deliveries")])
    sealer(inbox, tmp_path / "lake", seal_seconds_deliveries=3600).work()
    assert landed(tmp_path / "lake") == Counter([1])
    assert inbox.depth()[0] == 1


def test_one_seals_at_a_time_and_another_takes_over(inbox: Inbox) -> None:
    assert inbox.lease("a", 60)
    assert inbox.lease("a", 60)
    assert not inbox.lease("b", 60)
    inbox.release("b")
    assert not inbox.lease("b", 60)
    inbox.release("a")
    assert inbox.lease("b", 0.001)
    threading.Event().wait(0.1)
    assert inbox.lease("a", 60)


def test_one_that_has_lost_the_lease_seals_nothing(inbox: Inbox) -> None:
    inbox.store([received(1)])
    (waiting,) = inbox.waiting()
    assert inbox.lease("a", 0.001)
    threading.Event().wait(0.1)
    assert inbox.lease("b", 60)
    limits: dict[str, Any] = {"most_events": 10, "most_bytes": 10**6, "compressed": False}
    assert inbox.seal(waiting.kind, waiting.day, owner="a", **limits) is None
    assert inbox.seal(waiting.kind, waiting.day, owner="b", **limits) is not None


def test_several_sealers_at_once_land_each_event_once(inbox: Inbox, inbox_url: str, tmp_path: Path) -> None:
    inbox.store([received(number) for number in range(300)])
    others = [Inbox(inbox_url) for _ in range(3)]

    def work(each: Inbox) -> None:
        mine = sealer(each, tmp_path / "lake", seal_events=20)
        for waiting in each.waiting():
            while sealed := each.seal(waiting.kind, waiting.day, most_events=20, most_bytes=10**6, compressed=False):
                mine.land(sealed)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, others))
    for each in others:
        each.close()
    assert landed(tmp_path / "lake") == Counter(range(300))


def test_stamps_rise_though_a_clock_goes_back(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for number, offset in enumerate((0, -3_600_000_000, -7_200_000_000)):
        inbox.store([received(number)])
        monkeypatch.setattr(inbox_module, "microseconds", lambda offset=offset: microseconds() + offset)
        sealed = seal(inbox)
        assert sealed is not None
        names.append(sealed.path.rpartition("/")[2])
    assert names == sorted(names)
    assert len(set(names)) == 3


def test_old_events_are_forgotten_and_younger_ones_are_not(inbox: Inbox, tmp_path: Path) -> None:
    old = received(1, at=microseconds() - 3 * 86_400_000_000)
    young = received(2)
    inbox.store([old, young])
    before = datetime.now(UTC) - timedelta(days=2)
    assert inbox.purge(before) == 0, "an event that is not landed yet is not forgotten"
    sealer(inbox, tmp_path / "lake", retention_days=100).work()
    assert inbox.purge(before) == 1
    assert inbox.store([old, young]) == {old.key}


@pytest.mark.parametrize("url", ["mysql://root@127.0.0.1/test", "nonsense", "postgresql+nodriver://x/y"])
def test_another_database_is_refused_without_its_url(url: str) -> None:
    with pytest.raises(ConfigurationError, match="webhooks_inbox") as caught:
        open_engine(url)
    assert url not in str(caught.value)
