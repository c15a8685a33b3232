"""Feedback as years bring it: late, twice, in no order, while a test moves the clock."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import SandboxError

HOUR = 3600
NOON = "2026-03-10T12:00:00Z"


def rows(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    value: list[dict[str, Any]] = answer.json()["value"]
    return value


def references(answer: Any) -> list[str]:
    return [row["external_reference"] for row in rows(answer)]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)


def identity(row: dict[str, Any]) -> tuple[str, ...]:
    """What two spellings of an event have in common."""
    return tuple(f"{name}={row[name][:27] if name == 'timestamp' else row[name].lower()}" for name in sorted(row))


@pytest.fixture
def day(sandbox: Any) -> Any:
    """240 bounces, one every six minutes of 2026-03-10."""
    sandbox.seed("bounces", 240, "2026-03-10", "2026-03-10T23:54:00Z")
    return sandbox


def listed(day: Any, marigold: Any, now: str, **query: Any) -> list[str]:
    day.settings(feedback_now=now)
    return references(marigold.feedback("bounces", **{"top": 1000, **query}))


def test_clock_decides_what_is_listed(day: Any, marigold: Any) -> None:
    assert len(references(marigold.feedback("bounces", top=1000))) == 240, "without a clock, all of it"
    assert listed(day, marigold, "2026-03-09") == []
    assert len(listed(day, marigold, NOON)) == 121
    assert len(listed(day, marigold, "2026-03-10T12:05:59.9999999Z")) == 121
    assert len(listed(day, marigold, "2026-03-10T13:06:00+01:00")) == 122
    assert len(listed(day, marigold, "2026-04-01")) == 240
    assert len(listed(day, marigold, NOON)) == 121, "it can be put back"


def test_clock_moves_on_with_each_read_if_asked(day: Any, marigold: Any) -> None:
    day.settings(feedback_now=NOON, feedback_step=360)
    assert [len(references(marigold.feedback("bounces", top=1000))) for _ in range(3)] == [121, 122, 123]
    day.settings(feedback_now=NOON)
    assert len(references(marigold.feedback("bounces", top=1000))) == 121


def test_one_bounce_is_found_once_it_is_listed(day: Any, marigold: Any) -> None:
    day.settings(feedback_now=NOON)
    assert marigold.feedback("bounces/seed-bounce-1-000000120").status_code == 200
    assert marigold.feedback("bounces/seed-bounce-1-000000121").status_code == 404


@pytest.mark.parametrize("now", ["yesterday", "2026-02-30", ""])
def test_clock_without_meaning_is_refused(day: Any, now: str) -> None:
    with pytest.raises(SandboxError, match="feedback_now"):
        day.settings(feedback_now=now)
    assert day.settings()["feedback_now"] is None


def test_late_rows_come_one_by_one_and_none_later_than_asked(day: Any, marigold: Any) -> None:
    day.settings(feedback_lateness=20 * HOUR)
    hours = [f"2026-03-{10 + hour // 24}T{hour % 24:02}:00:00Z" for hour in range(45)]
    counts = [len(listed(day, marigold, now)) for now in hours]
    assert counts == sorted(counts)
    assert 20 < counts[12] < 80, "of 121 that happened"
    assert counts[36] < counts[44] == 240


def test_lateness_does_not_show_in_a_row(day: Any, marigold: Any) -> None:
    before = rows(marigold.feedback("bounces", top=1000))
    day.settings(feedback_lateness=20 * HOUR, feedback_now="2026-04-01")
    assert rows(marigold.feedback("bounces", top=1000)) == before


def test_late_row_stands_where_its_time_puts_it(day: Any, marigold: Any) -> None:
    day.settings(feedback_lateness=20 * HOUR)
    found = listed(day, marigold, NOON)
    assert found == sorted(found)
    later = listed(day, marigold, "2026-03-10T13:00:00Z")
    assert later == sorted(later)
    assert later[: len(found)] != found, "some were inserted before others"
    assert set(found) < set(later)


def test_same_seed_is_late_in_the_same_way(sandbox: Any, marigold: Any) -> None:
    found = []
    for number in (1, 1, 2):
        sandbox.reset()
        marigold.login()
        sandbox.seed("bounces", 240, "2026-03-10", "2026-03-10T23:54:00Z", seed=number)
        sandbox.settings(feedback_lateness=20 * HOUR)
        found.append([reference[-9:] for reference in listed(sandbox, marigold, NOON)])
    assert found[0] == found[1] != found[2]


def test_seed_may_be_later_than_others(sandbox: Any, marigold: Any) -> None:
    sandbox.settings(feedback_lateness=HOUR)
    sandbox.seed("bounces", 100, "2026-03-10", "2026-03-10T01:00:00Z")
    sandbox.seed("bounces", 100, "2026-03-10", "2026-03-10T01:00:00Z", seed=2, lateness=100 * HOUR)
    sandbox.seed("bounces", 100, "2026-03-10", "2026-03-10T01:00:00Z", seed=3, lateness=0)
    counts = Counter(name[:14] for name in listed(sandbox, marigold, "2026-03-10T01:00:00Z"))
    assert counts["seed-bounce-3-"] == 100 > counts["seed-bounce-1-"] > counts["seed-bounce-2-"]
    assert Counter(name[:14] for name in listed(sandbox, marigold, "2026-03-10T02:00:00Z"))["seed-bounce-1-"] == 100
    assert len(listed(sandbox, marigold, "2026-03-14T05:00:00Z", top=300)) == 300


@pytest.mark.parametrize(("every", "copies"), [(0, 0), (1, 240), (3, 80), (1000, 1)])
def test_every_so_manieth_row_is_there_twice(day: Any, marigold: Any, every: int, copies: int) -> None:
    day.settings(feedback_copies=every)
    found = rows(marigold.feedback("bounces", top=1000))
    assert len(found) == 240 + copies
    events = Counter(map(identity, found))
    assert (len(events), max(events.values())) == (240, 2 if copies else 1)


def test_copy_is_spelled_in_another_way(day: Any, marigold: Any) -> None:
    day.settings(feedback_copies=1)
    found = rows(marigold.feedback("bounces", top=1000))
    for row, copy in zip(found[:240], found[240:], strict=True):
        assert identity(row) == identity(copy)
        assert row["timestamp"] != copy["timestamp"]
        assert row["mapping"] != copy["mapping"]
        assert row.keys() == copy.keys()


@pytest.mark.parametrize("every", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("mode", ["direct", "indirect"])
def test_copies_of_one_type_are_those_of_its_rows(day: Any, marigold: Any, every: int, mode: str) -> None:
    day.settings(feedback_copies=every)
    every_copy = rows(marigold.feedback("bounces", top=1000))[240:]
    found = rows(marigold.feedback("bounces", top=1000, type=mode))
    assert found[120:] == [row for row in every_copy if row["mode"].lower() == mode]


def test_copy_is_late_on_its_own(day: Any, marigold: Any) -> None:
    day.settings(feedback_copies=1, feedback_lateness=20 * HOUR)
    times = Counter(listed(day, marigold, "2026-03-10T18:00:00Z"))
    assert set(times.values()) == {1, 2}
    day.settings(feedback_now="2026-04-01")
    kept = day.state("feedback", vendor="marigold")
    seen = {
        copy: [moment(entry["listed_at"]) for entry in kept if entry["copy"] is copy]  # in the same order
        for copy in (False, True)
    }
    assert any(copy < first for first, copy in zip(seen[False], seen[True], strict=True))
    assert any(copy > first for first, copy in zip(seen[False], seen[True], strict=True))


def test_pages_in_no_order_hold_late_rows_and_copies_once_each(day: Any, marigold: Any) -> None:
    day.settings(feedback_copies=3, feedback_lateness=20 * HOUR, feedback_now=NOON)
    whole = rows(marigold.feedback("bounces", top=1000))
    day.settings(feedback_order="shuffled")
    paged = [row for skip in range(0, len(whole), 10) for row in rows(marigold.feedback("bounces", top=10, skip=skip))]
    assert paged != whole
    assert sorted(paged, key=str) == sorted(whole, key=str)


def test_state_tells_every_row_and_when_it_is_listed(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.seed("bounces", 30, "2026-03-10", "2026-03-10T23:54:00Z")
    sandbox.seed("complaints", 5, "2026-03-10", "2026-03-10", account="other")
    assert marigold.send_email(email("live", headers__to__address="unsubscribe@example.com")).status_code == 202
    sandbox.settings(feedback_copies=10, feedback_lateness=20 * HOUR)
    kept = sandbox.state("feedback", vendor="marigold")
    counts = Counter((entry["kind"], entry["row"]["account_id"], entry["copy"]) for entry in kept)
    assert counts == {
        ("bounces", "sandbox-account", False): 30,
        ("bounces", "sandbox-account", True): 3,
        ("complaints", "other", False): 5,
        ("complaints", "other", True): 1,
        ("list_unsubscribes", "sandbox-account", False): 1,
        ("list_unsubscribes", "sandbox-account", True): 1,
    }
    for entry in kept:
        late = moment(entry["listed_at"]) - moment(entry["row"]["timestamp"])
        assert timedelta(0) <= late <= timedelta(hours=20)
    now = "2026-03-10T20:00:00Z"
    expected = [entry["row"] for entry in kept if entry["kind"] == "bounces" and entry["listed_at"] <= now]
    sandbox.settings(feedback_now=now)
    assert sorted(rows(marigold.feedback("bounces")), key=str) == sorted(expected, key=str)


def test_feedback_of_messages_is_late_and_twice_as_well(sandbox: Any, marigold: Any, email: Any) -> None:
    today = datetime.now(UTC).date()
    batch = [email(f"r-{number}", headers__to__address="hard-bounce@example.com") for number in range(50)]
    assert marigold.send_email(*batch).status_code == 202
    sandbox.settings(feedback_lateness=48 * HOUR, feedback_copies=1)
    day_after, later = (datetime.now(UTC) + timedelta(days=days) for days in (1, 3))
    assert 0 < len(listed(sandbox, marigold, day_after.isoformat(timespec="microseconds"))) < 100
    assert len(listed(sandbox, marigold, later.isoformat(timespec="microseconds"))) == 100
    assert {row["timestamp"][:10] for row in rows(marigold.feedback("bounces"))} <= {
        str(today),
        str(today + timedelta(1)),
    }


def test_million_late_rows_answer_at_once(sandbox: Any, marigold: Any) -> None:
    sandbox.seed("bounces", 1_000_000, "2023-01-01", "2023-12-31")
    sandbox.settings(feedback_lateness=20 * HOUR, feedback_copies=10, feedback_now="2023-07-01")
    began = datetime.now(UTC)
    for skip in range(0, 500_000, 25_000):
        assert len(rows(marigold.feedback("bounces", skip=skip))) == 100
    assert datetime.now(UTC) - began < timedelta(seconds=5)
