"""The window that a run reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks._window import LAG, LOOK_BACK, closed_window, seconds
from tests.contexts import DagRun

NOW = datetime(2026, 3, 10, 13, 5, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR, QUARTER, DAY = timedelta(hours=1), timedelta(minutes=15), timedelta(days=1)


def context(start: datetime | None = NOON, end: datetime | None = None, run_type: str = "scheduled") -> dict[str, Any]:
    run = DagRun(start_date=NOW - timedelta(minutes=4), run_type=run_type)
    interval = {} if start is None else {"data_interval_start": start, "data_interval_end": end or start + HOUR}
    return {"dag_run": run, **interval}


def window(given: dict[str, Any] | None = None, **more: Any) -> Window:
    return closed_window(given or context(), now=NOW, **more)


def test_it_is_the_data_interval_earlier_by_the_lag_and_begun_earlier_by_the_look_back() -> None:
    assert window(lag=QUARTER, look_back=DAY) == Window(NOON - QUARTER - DAY, NOON + HOUR - QUARTER)


def test_a_quarter_of_an_hour_and_a_day_are_the_defaults() -> None:
    assert (LAG, LOOK_BACK) == (QUARTER, DAY)
    assert window() == window(lag=QUARTER, look_back=DAY)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
def test_it_is_the_same_whenever_the_run_is_run(run_type: str) -> None:
    then = closed_window(context(run_type=run_type), now=NOW + timedelta(days=300))
    assert then == window(context(run_type=run_type))


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_scheduled_runs_without_a_length_read_the_look_back_before_them(run_type: str) -> None:
    empty = context(NOON, NOON, run_type)
    assert window(empty, lag=QUARTER, look_back=2 * HOUR) == Window(NOON - QUARTER - 2 * HOUR, NOON - QUARTER)


def test_scheduled_runs_without_a_length_or_a_look_back_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty data intervals") as raised:
        window(context(NOON, NOON), look_back=timedelta(0))
    assert raised.value.setting == "look_back, or the DAG's schedule"


@pytest.mark.parametrize("interval", [(None, None), (NOON, NOON)])
@pytest.mark.parametrize("run_type", ["manual", "asset_triggered"])
def test_other_runs_without_a_data_interval_read_up_to_now_less_the_lag(run_type: str, interval: Any) -> None:
    found = window(context(*interval, run_type), lag=QUARTER, look_back=HOUR)
    assert found == Window(NOW - timedelta(minutes=4) - QUARTER - HOUR, NOW - QUARTER)


@pytest.mark.parametrize(("made", "end"), [(NOON + DAY, NOON), (NOON + timedelta(seconds=2), NOW)])
def test_a_run_that_is_started_for_the_past_reads_the_look_back_before_that(made: datetime, end: datetime) -> None:
    given = context(NOON, NOON, "manual")
    given["dag_run"].run_after = made
    assert window(given, lag=QUARTER, look_back=HOUR).end == end - QUARTER


def test_a_run_without_a_time_sees_what_happened_in_it_without_a_lag() -> None:
    found = window(context(None, run_type="manual"), lag=timedelta(0), look_back=timedelta(0))
    assert found == Window(NOW - timedelta(minutes=4), NOW)


def test_a_clock_that_is_behind_does_not_cut_a_data_interval() -> None:
    then = closed_window(context(), now=NOON + HOUR - timedelta(minutes=10))
    assert then == window()


def test_a_data_interval_in_the_future_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    found = window(context(NOON, NOON + 30 * DAY))
    assert found == Window(NOON - QUARTER - DAY, NOW - QUARTER)
    assert "only what is older than" in caplog.text


def test_what_is_given_is_taken_as_it_is() -> None:
    assert window(start=NOON - HOUR, end=NOON) == Window(NOON - HOUR, NOON)
    assert window(start=NOON - HOUR).start == NOON - HOUR
    assert window(start=NOON - HOUR).end == window().end
    assert window(end=NOON).start == window().start
    assert window(end=NOON).end == NOON


def test_an_end_that_is_not_closed_yet_is_cut_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert window(start=NOON, end=NOW - timedelta(minutes=1)) == Window(NOON, NOW - QUARTER)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "2026-03-10 12:50:00+00:00" in record.getMessage()


def test_an_end_that_is_closed_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert window(start=NOON, end=NOW - QUARTER).end == NOW - QUARTER
    assert caplog.records == []


def test_a_window_of_which_nothing_is_closed_is_an_error_that_names_the_lag() -> None:
    with pytest.raises(ConfigurationError, match="0:15:00 before now") as raised:
        window(start=NOW - timedelta(minutes=10), end=NOW)
    assert raised.value.setting == "start, lag"


def test_a_window_that_ends_before_it_starts_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="before it starts") as raised:
        window(start=NOON, end=NOON - HOUR)
    assert raised.value.setting == "start, end"


def test_a_look_back_beyond_the_calendar_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no such time"):
        window(look_back=timedelta(days=800_000))


@pytest.mark.parametrize(
    ("value", "length"), [(900, QUARTER), (0, timedelta(0)), ("3600", HOUR), (QUARTER, QUARTER), (0.5, HOUR / 7200)]
)
def test_a_length_is_a_timedelta_or_seconds(value: Any, length: timedelta) -> None:
    assert seconds(value, "lag") == length


@pytest.mark.parametrize("value", [-1, -QUARTER, "soon", None, True, float("nan"), float("inf"), [1]])
def test_another_length_is_an_error_that_names_the_argument(value: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        seconds(value, "look_back")
    assert raised.value.setting == "look_back"
