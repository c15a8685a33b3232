"""Statistics over ranges of any length."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Api, NoAuth, Problem
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.operators import _statistics
from airflow_provider_messaging.operators.marigold import GetStatisticsOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.marigold.statistics import FullSpan, iter_statistics
from tests.archive.conftest import row
from tests.contexts import task_context

START = datetime(2026, 3, 10, tzinfo=UTC)
API = Api(vendor="marigold", connection="c", base_url="http://x", auth=NoAuth(), read_problem=lambda _: Problem())


class Vendor:
    """Answers with the windows of a range, at most 100, oldest first; `end` is included or not."""

    def __init__(self, minutes: list[int], *, end_included: bool = True, newest: bool = False) -> None:
        self.moments = [START + timedelta(minutes=minute) for minute in minutes]
        self.end_included = end_included
        self.newest = newest
        self.requests = 0

    def answer(self, request: Request) -> Response:
        self.requests += 1
        query = dict(part.split("=") for part in request.url.partition("?")[2].replace("%3A", ":").split("&"))
        low, high = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        found = [at for at in self.moments if low <= at and (at <= high if self.end_included else at < high)]
        listed = sorted(found, reverse=self.newest)[:100]
        value = [{"window": at.isoformat(), "counters": {"sent": 1}} for at in listed]
        return Response(status=200, body=json.dumps({"value": value}).encode())

    def read(self, window: Window) -> list[Any]:
        found: list[Any] = []
        flow = iter_statistics(API, window)
        reply: Response | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration:
                return found
            reply = None
            if isinstance(step, Request):
                reply = self.answer(step)
            else:
                found.append(step.value)  # type: ignore[union-attr]


@pytest.mark.parametrize("end_included", [True, False])
@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("minutes", [[], [0], list(range(100)), list(range(101)), list(range(0, 5000, 3))], ids=len)
def test_every_window_of_a_range_comes_once_and_in_order(minutes: list[int], end_included: bool, newest: bool) -> None:
    vendor = Vendor(minutes, end_included=end_included, newest=newest)
    found = vendor.read(Window(START, START + timedelta(minutes=5000)))
    assert [item["window"] for item in found] == [at.isoformat() for at in vendor.moments]
    # Halving 5,000 minutes until they fit takes six rounds of two.
    assert vendor.requests <= 13 + 4 * len(minutes) / 50


def test_the_range_is_half_open() -> None:
    vendor = Vendor(list(range(10)))
    found = vendor.read(Window(START + timedelta(minutes=2), START + timedelta(minutes=5)))
    assert len(found) == 3


def test_a_range_that_begins_within_a_minute_is_read_as_well() -> None:
    vendor = Vendor(list(range(1000)))
    found = vendor.read(Window(START + timedelta(seconds=30), START + timedelta(minutes=999, seconds=30)))
    assert len(found) == 999


def test_a_minute_that_is_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Vendor([0] * 150 + [5])
    found = vendor.read(Window(START, START + timedelta(minutes=10)))
    assert [str(item) for item in found if isinstance(item, FullSpan)] == [
        "2026-03-10T00:00:00Z to 2026-03-10T00:01:00Z"
    ]
    assert len(found) == 102


def test_an_empty_range_asks_for_nothing() -> None:
    vendor = Vendor([0])
    assert vendor.read(Window(START, START)) == []
    assert vendor.requests == 0


def test_the_hook_warns_of_a_full_minute(
    hook: MarigoldHook, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    value = [{"window": "2026-03-10T00:00:00+00:00", "counters": {}}] * 100
    sandbox.faults(
        [{"operation": "statistics", "fault": "status", "status": 200, "body": json.dumps({"value": value})}]
    )
    assert len(hook.get_statistics(START, START + timedelta(minutes=1))) == 100
    assert "the answer for 2026-03-10T00:00:00Z to 2026-03-10T00:01:00Z is full" in (
        caplog.text + capfd.readouterr().out
    )


@pytest.mark.parametrize("body", ["{}", '{"value": [5]}', "<html>"])
def test_an_answer_that_is_none_is_an_error(hook: MarigoldHook, sandbox: Sandbox, body: str) -> None:
    sandbox.faults([{"operation": "statistics", "fault": "status", "status": 200, "body": body}])
    with pytest.raises(VendorError, match="not the documented JSON"):
        hook.get_statistics(START, START + timedelta(minutes=1))


def operator(**arguments: Any) -> GetStatisticsOperator:
    return GetStatisticsOperator(task_id="statistics", **arguments)


def test_the_operator_returns_windows_and_totals(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1"), row("m-2")])
    result = operator(start="2026-01-01", end="2099-01-01").execute(task_context())
    assert (result["windows"], len(result["values"]), result["path"]) == (1, 1, None)
    assert result["totals"]["sdc.deliveries.email.sent"] == 2


def test_the_operator_writes_a_file(hook: MarigoldHook, tmp_path: Path) -> None:
    hook.send_email([row("m-1")])
    path = tmp_path / "statistics.ndjson"
    result = operator(start="2026-01-01", end="2099-01-01", path=str(path)).execute(task_context())
    assert (result["windows"], result["values"], result["path"]) == (1, None, str(path))
    (line,) = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert line["counters"]["sdc.api.email.accepted"] == 1


def test_without_a_range_it_is_the_run_s(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1")])
    start = datetime.now(UTC) - timedelta(hours=1)
    context = task_context(data_interval_start=start, data_interval_end=start + timedelta(hours=2))
    assert operator().execute(context)["windows"] == 1


def test_too_many_windows_to_return_ask_for_a_path(hook: MarigoldHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_statistics, "MOST_INLINE", 0)
    hook.send_email([row("m-1")])
    with pytest.raises(AirflowFailException, match="too many to return"):
        operator(start="2026-01-01", end="2099-01-01").execute(task_context())


@pytest.mark.parametrize("arguments", [{"start": "x"}, {"start": "2026-02-01", "end": "2026-01-01"}])
def test_a_range_that_makes_no_sense_fails_without_a_retry(marigold_conn: str, arguments: dict[str, str]) -> None:
    with pytest.raises(AirflowFailException):
        operator(**arguments).execute(task_context())
