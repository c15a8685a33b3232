"""Feedback rows that are not as documented stop nobody and get lost nowhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from airflow_provider_messaging.core.flow import Api, NoAuth, Problem
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.paging import Page
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.api import rows_within
from airflow_provider_messaging.vendors.marigold.query import FeedbackQuery, count_feedback

DAY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
ODD: list[Any] = [
    {},
    {"timestamp": None},
    {"timestamp": 1767225600},
    {"timestamp": "yesterday"},
    {"timestamp": ""},
    {"timestamp": {"at": 1}},
    [],
    3,
    None,
]


@pytest.mark.parametrize("row", ODD)
def test_a_row_of_unknown_time_is_kept(row: Any) -> None:
    page = Page(rows=[msgspec.Raw(json.dumps(row).encode())])
    assert [json.loads(bytes(kept)) for kept in rows_within(page, DAY)] == [row]


@pytest.mark.parametrize(("timestamp", "kept"), [("2026-01-01T00:00:00Z", 1), ("2026-01-02T00:00:00.0000000Z", 0)])
def test_a_row_of_known_time_is_kept_if_it_lies_in_the_window(timestamp: str, kept: int) -> None:
    page = Page(rows=[msgspec.Raw(json.dumps({"timestamp": timestamp}).encode())])
    assert len(list(rows_within(page, DAY))) == kept


def test_odd_rows_are_counted_as_unknown() -> None:
    rows = [*ODD, {"external_reference": 7, "mapping": 1}, {"external_reference": "r-1", "mapping": "HARD"}]
    api = Api(
        vendor="marigold",
        connection="c",
        base_url="https://example.com/api",
        auth=NoAuth(),
        read_problem=lambda _: Problem(),
    )
    flow = count_feedback(api, FeedbackQuery(start="2026-01-01"), now=DAY.start + timedelta(hours=1))
    assert isinstance(next(flow), Request)
    with pytest.raises(StopIteration) as end:
        flow.send(Response(status=200, body=json.dumps({"value": rows}).encode()))
    found = end.value.value
    assert found.by_type == {"unknown": len(ODD) + 1, "hard": 1}
    assert found.references == ["r-1"]
