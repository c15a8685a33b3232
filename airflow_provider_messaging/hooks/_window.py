"""The window of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.windows import Window

LAG = timedelta(minutes=15)
LOOK_BACK = timedelta(days=1)

log = logging.getLogger(__name__)


def run_window(context: Mapping[str, Any]) -> Window:
    """Return the run's data interval; a run without one, or with an empty one, has the day from its start."""
    interval = _interval(context)
    if interval is not None and interval.start < interval.end:
        return interval
    began = _plain(context["dag_run"].start_date)
    return Window(began, began + timedelta(days=1))


def closed_window(
    context: Mapping[str, Any],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    lag: timedelta = LAG,
    look_back: timedelta = LOOK_BACK,
    now: datetime | None = None,
) -> Window:
    """Return the window that a run reads: one in which nothing happens any more, and the same at every try.

    By default that is the run's data interval, `lag` earlier, begun `look_back` before that. Scheduled runs whose data
    interval is empty (Airflow's plain schedules), and those that somebody starts for a time of the past, have the
    `look_back` before it. All other runs, which have no time but their own, read from `look_back` before their start up
    to now, less `lag`.

    :param start: taken as it is, in place of the default one.
    :param end: the same; what is later than now less `lag` is cut off, with a warning.
    :raises ConfigurationError: if the window ends before it starts, or nothing of it is closed.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    try:
        closed = now - lag
        # What the data interval says is `lag` old by then, whatever this machine's clock thinks.
        latest = closed if end else now
        if start is None or end is None:
            default = _default(context, lag, look_back, closed)
            start, end = start or default.start, end or default.end
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(f"there is no such time ({error})", setting="lag, look_back") from None
    if end < start:
        raise ConfigurationError(f"the window ends ({end}) before it starts ({start})", setting="start, end")
    if end <= latest:
        return Window(start, end)
    if start >= closed:
        raise ConfigurationError(
            f"the window starts at {start}, but only what is older than {closed} is read, {lag} before now",
            setting="start, lag",
        )
    log.warning("The window ends at %s: only what is older than %s is read, %s before now.", end, closed, lag)
    return Window(start, end).until(closed)


def seconds(value: Any, setting: str) -> timedelta:
    """Return a time that is given as a timedelta or in seconds.

    :raises ConfigurationError: if it is neither, or negative.
    """
    try:
        length = value if isinstance(value, timedelta) else timedelta(seconds=float(value))
        if length >= timedelta(0) and not isinstance(value, bool):
            return length
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigurationError(f"{setting} must be a timedelta, or seconds from 0 on, not {value!r}", setting=setting)


def _default(context: Mapping[str, Any], lag: timedelta, look_back: timedelta, closed: datetime) -> Window:
    interval = _interval(context)
    run = context["dag_run"]
    if interval is not None and (interval.start < interval.end or _has_time(run, interval.end)):
        if interval.start == interval.end and not look_back:
            raise ConfigurationError(
                "the runs of this schedule have empty data intervals: what they read is as long as look_back",
                setting="look_back, or the DAG's schedule",
            )
        return interval.reaching_back(lag=lag, look_back=look_back)
    began = min(_plain(run.start_date).replace(microsecond=0), closed + lag)
    return Window(began - lag - look_back, closed)


def _has_time(run: Any, moment: datetime) -> bool:
    """Tell whether a run stands for `moment`, rather than for the time at which it was made."""
    if getattr(run, "run_type", None) in {"scheduled", "backfill"}:
        return True
    made = getattr(run, "run_after", None)
    return made is not None and moment < _plain(made) - timedelta(minutes=1)


def _interval(context: Mapping[str, Any]) -> Window | None:
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    return None if start is None or end is None or end < start else Window(_plain(start), _plain(end))


def _plain(moment: datetime) -> datetime:
    """Airflow hands out subclasses of datetime, whose arithmetic is their own."""
    return datetime.fromisoformat(moment.isoformat())
