"""Windows: what they hold and how they are cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.windows import Window

moments = st.integers(0, 10 * 366 * 86_400).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
windows = st.tuples(moments, st.timedeltas(timedelta(0), timedelta(days=40))).map(
    lambda given: Window(given[0], given[0] + given[1])
)


@given(windows, st.timedeltas(timedelta(hours=5), timedelta(days=50)))
def test_splitting_leaves_no_gap_and_no_overlap(window: Window, step: timedelta) -> None:
    parts = list(window.split(step))
    assert all(part.end - part.start <= step for part in parts)
    assert all(part.start < part.end for part in parts)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    if parts:
        assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    else:
        assert window.start == window.end


@given(windows)
def test_days_are_cut_at_midnight_and_are_the_window_again(window: Window) -> None:
    parts = list(window.days())
    assert sum((part.end - part.start for part in parts), timedelta(0)) == window.end - window.start
    assert all(part.start.date() == (part.end - timedelta(microseconds=1)).date() for part in parts)


@given(windows, moments)
def test_the_day_range_covers_every_moment_of_the_window(window: Window, moment: datetime) -> None:
    first, last = window.day_range()
    if moment in window:
        assert first <= moment.date().isoformat() <= last


def test_the_end_is_outside() -> None:
    day = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    assert day.start in day
    assert day.end not in day
    assert day.day_range() == ("2026-01-01", "2026-01-01")


def test_other_zones_become_utc() -> None:
    zone = timezone(timedelta(hours=2))
    window = Window(datetime(2026, 1, 1, 1, tzinfo=zone), datetime(2026, 1, 1, 3, tzinfo=zone))
    assert window.day_range() == ("2025-12-31", "2026-01-01")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 1, 1), datetime(2026, 1, 2)),  # noqa: DTZ001 — naive on purpose
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_naive_or_backward_windows_are_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match="window"):
        Window(start, end)
