"""What a table is held against must itself be right."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from dev.feedback_truth import differences, table_rows, truth

NOON = datetime(2026, 2, 15, 12, tzinfo=UTC)


def entry(reference: str = "m-1", *, late: float = 0, copy: bool = False, **row: Any) -> dict[str, Any]:
    """A bounce at noon, listed so many hours later."""
    listed_at = f"{NOON + timedelta(hours=late):%Y-%m-%dT%H:%M:%S}.0000000Z"
    common = {"account_id": "a", "external_reference": reference, "timestamp": "2026-02-15T12:00:00.1234567"}
    return {
        "kind": "bounces",
        "copy": copy,
        "listed_at": listed_at,
        "row": {**common, "domain": "d", "mapping": "hard", **row},
    }


def references(events: Counter[tuple[Any, ...]]) -> list[str]:
    return sorted(event[4] for event in events.elements())


def test_event_has_the_values_of_the_table() -> None:
    expected = ("bounce", "marigold", 1, "a", "m-1", None, "2026-02-15 12:00:00.123456", "d", None, "hard")
    assert truth([entry()]) == {(*expected, None, None, None, None): 1}


def test_copy_is_no_event_of_its_own() -> None:
    assert truth([entry(), entry(copy=True, mapping="Hard")]) == truth([entry()])


def test_copy_tells_that_an_event_was_listed_earlier() -> None:
    entries = [entry(late=5), entry(late=2, copy=True)]
    assert references(truth(entries, listed_by=NOON + timedelta(hours=1))) == []
    assert references(truth(entries, listed_by=NOON + timedelta(hours=2))) == ["m-1"]
    assert references(truth(entries, at_most=timedelta(hours=3))) == ["m-1"]


def test_events_are_chosen_by_the_time_they_happened() -> None:
    entries = [entry("m-1"), entry("m-2", timestamp="2026-02-15T13:00:00.0000000+00:00")]
    one = NOON + timedelta(hours=1)
    assert references(truth(entries, before=one)) == ["m-1"]
    assert references(truth(entries, since=one)) == ["m-2"]


def test_databases_differ_in_nothing_but_how_they_give_times() -> None:
    tokyo = datetime(2026, 2, 15, 21, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    assert table_rows([("bounce", tokyo)]) == table_rows([("bounce", "2026-02-15 12:00:00.123456")])


def test_what_is_missing_and_what_is_too_much_is_told_apart() -> None:
    right, wrong = truth([entry("m-1"), entry("m-2")]), truth([entry("m-1"), entry("m-3"), entry("m-4")])
    assert differences(right, right) == []
    missing, many = differences(right, wrong)
    assert missing.startswith("1 of 2 events are missing")
    assert "m-2" in missing
    assert many.startswith("2 of 2 events are too many")
    assert differences(right, right + right)[0].startswith("2 of 2 events are too many")
