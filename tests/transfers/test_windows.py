"""A long window of feedback as arguments of many landings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.transfers._windows import _parts
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackWindowsOperator
from tests.contexts import task_context


def windows(**arguments: Any) -> list[dict[str, Any]]:
    options = {"start": "2026-03-01", "end": "2026-03-04", **arguments}
    return FeedbackWindowsOperator(task_id="windows", **options).execute(task_context())


JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=60)).map(lambda since: JANUARY + since)


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=40)), st.integers(1, 9))
def test_windows_adjoin_cover_everything_and_never_share_a_day(start: datetime, length: timedelta, days: int) -> None:
    whole = Window(start, start + length)
    parts = list(_parts(whole, days))
    if not length:
        assert parts == []
        return
    assert (parts[0].start, parts[-1].end) == (whole.start, whole.end)
    for first, second in pairwise(parts):
        assert first.end == second.start
        assert first.end.time() == datetime.min.time()
    assert all(len(list(part.days())) <= days for part in parts)


def test_there_is_a_landing_for_each_day_kind_and_account() -> None:
    found = windows(kinds=["bounces", "complaints"], account_id=["a", "b", "a"])
    assert len(found) == 3 * 2 * 2
    assert found[1] == {
        "start": "2026-03-01T00:00:00+00:00",
        "end": "2026-03-02T00:00:00+00:00",
        "kinds": ["bounces"],
        "account_id": "b",
    }


def test_the_account_is_the_connections_where_none_is_given() -> None:
    assert all("account_id" not in each for each in windows())


def test_days_may_be_taken_together() -> None:
    found = windows(days_per_window=2, kinds=["bounces"])
    assert [(each["start"][:10], each["end"][:10]) for each in found] == [
        ("2026-03-01", "2026-03-03"),
        ("2026-03-03", "2026-03-04"),
    ]


def test_every_window_can_be_landed(sandbox: Any, marigold_conn: str, tmp_path: Any) -> None:
    sandbox.seed("bounces", 90, "2026-03-01T00:00:00Z", "2026-03-03T23:59:59Z")
    files: list[str] = []
    rows = 0
    for arguments in windows(kinds=["bounces"]):
        landing = FeedbackToObjectStorageOperator(task_id="land", path=str(tmp_path), **arguments)
        found = landing.execute(task_context())
        files += found["files"]
        rows += found["rows"]["bounces"]
    assert rows == 90
    assert len(set(files)) == 3


@pytest.mark.parametrize("arguments", [{"days_per_window": 0}, {"kinds": ["opens"]}, {"end": "2026-02-01"}])
def test_arguments_that_can_not_work_fail_for_good(arguments: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException):
        windows(**arguments)
