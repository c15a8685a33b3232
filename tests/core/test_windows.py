"""Windows: what they hold and how they are cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

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


spans = st.timedeltas(timedelta(0), timedelta(days=3))
schedules = st.tuples(
    moments, st.lists(st.timedeltas(timedelta(minutes=1), timedelta(days=2)), min_size=1, max_size=30)
)


def intervals(start: datetime, lengths: list[timedelta]) -> list[Window]:
    """Return adjoining intervals, the way a schedule makes them."""
    found = []
    for length in lengths:
        found.append(Window(start, start + length))
        start += length
    return found


@given(schedules, spans, spans)
def test_windows_of_adjoining_intervals_adjoin_and_overlap_by_the_look_back(
    schedule: tuple[datetime, list[timedelta]], lag: timedelta, look_back: timedelta
) -> None:
    runs = intervals(*schedule)
    windows = [run.reaching_back(lag=lag, look_back=look_back) for run in runs]
    for before, after in pairwise(windows):
        assert before.end - after.start == look_back
    for run, window in zip(runs, windows, strict=True):
        assert run.end - window.end == lag
        assert window.end - window.start == run.end - run.start + look_back


@given(schedules, spans, spans, st.floats(0, 1), st.floats(0, 1))
def test_what_is_listed_as_late_as_lag_and_look_back_together_is_read(
    schedule: tuple[datetime, list[timedelta]], lag: timedelta, look_back: timedelta, place: float, late: float
) -> None:
    runs = intervals(*schedule)
    happened = runs[0].start + place * (runs[-1].end - runs[0].start)
    listed = happened + late * (lag + look_back)
    windows = {run.end: run.reaching_back(lag=lag, look_back=look_back) for run in runs}
    read_by = [end for end, window in windows.items() if happened in window and listed <= end]
    assert read_by or runs[-1].end <= max(listed, happened + lag)


@given(windows, moments)
def test_what_is_cut_off_is_exactly_what_comes_later(window: Window, moment: datetime) -> None:
    cut = window.until(moment)
    assert cut.end == min(window.end, moment)
    assert cut.start == min(window.start, moment)


def test_a_negative_lag_or_look_back_is_refused() -> None:
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    for wrong in ({"lag": -timedelta(1), "look_back": timedelta(0)}, {"lag": timedelta(0), "look_back": -timedelta(1)}):
        with pytest.raises(ValueError, match="negative"):
            window.reaching_back(**wrong)


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
