"""The window of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_messaging.core.windows import Window


def run_window(context: Mapping[str, Any]) -> Window:
    """Return the run's data interval; a run without one, or with an empty one, has the day from its start."""
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is not None and end is not None and start < end:
        return Window(_plain(start), _plain(end))
    began = _plain(context["dag_run"].start_date)
    return Window(began, began + timedelta(days=1))


def _plain(moment: datetime) -> datetime:
    """Airflow hands out subclasses of datetime, whose arithmetic is their own."""
    return datetime.fromisoformat(moment.isoformat())
