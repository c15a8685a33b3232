"""Listing more messages than the vendor lists at once."""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.archive.conftest import row, seeded


def spread(count: int, days: int, start: str = "2025-01-01T12:00:00") -> list[dict[str, Any]]:
    """Messages that are spread evenly over days."""
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return [seeded(f"m-{n}", (first + timedelta(days=n * days // count)).isoformat()) for n in range(count)]


def ids(hook: MarigoldHook, *arguments: Any, **options: Any) -> list[str]:
    return [row["message_id"] for row in hook.list_archive("p-1", *arguments, **options)]


LISTINGS = [(0, 1), (99, 1), (100, 10), (101, 2), (250, 5)]


@pytest.mark.parametrize(
    ("page_size", "count", "days"),
    [*[(7, *listing) for listing in LISTINGS], *[(100, *listing) for listing in [*LISTINGS, (1000, 365), (450, 9)]]],
)
def test_every_message_is_listed_once(
    sandbox: Sandbox, hook: MarigoldHook, count: int, days: int, page_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.seed_archive("p-1", spread(count, days))
    assert Counter(ids(hook, page_size=page_size)) == {f"m-{n}": 1 for n in range(count)}
    if page_size == 100:
        assert len(sandbox.requests(operation="archive_list")) < 4 + count / 10


def test_a_profile_of_few_messages_takes_one_request(sandbox: Sandbox, hook: MarigoldHook) -> None:
    sandbox.seed_archive("p-1", spread(99, 50))
    ids(hook)
    (request,) = sandbox.requests(operation="archive_list")
    assert request["query"] == "$count=true&$top=100&$skip=0"


def test_the_window_is_half_open_and_asked_for_in_days(sandbox: Sandbox, hook: MarigoldHook) -> None:
    sandbox.seed_archive("p-1", spread(10, 10))
    noon = datetime(2025, 1, 3, 12, tzinfo=UTC)
    assert sorted(ids(hook, noon, noon + timedelta(days=3))) == ["m-2", "m-3", "m-4"]
    (request,) = sandbox.requests(operation="archive_list")
    assert request["query"].startswith("start=2025-01-03&end=2025-01-06&")


def test_a_day_that_is_full_is_warned_of_and_its_neighbours_are_complete(
    sandbox: Sandbox, hook: MarigoldHook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    crowd = [seeded(f"c-{n}", "2025-01-05T12:00:00Z") for n in range(150)]
    sandbox.seed_archive("p-1", spread(80, 10) + crowd)
    with caplog.at_level(logging.WARNING):
        found = ids(hook)
    assert len([name for name in found if name.startswith("m-")]) == 80
    assert 90 <= len([name for name in found if name.startswith("c-")]) <= 100
    warned = caplog.text + capfd.readouterr().out
    assert "no more than 100 messages of profile 'p-1' for 2025-01-05; there may be more" in warned


def test_windows_that_bring_no_more_are_warned_of(
    sandbox: Sandbox, hook: MarigoldHook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox.settings(archive_limit="profile")
    sandbox.seed_archive("p-1", spread(150, 50))
    with caplog.at_level(logging.WARNING):
        assert len(ids(hook)) == 100
    assert "for the beginning to now; there may be more" in caplog.text + capfd.readouterr().out


def test_a_vendor_that_does_not_filter_is_not_asked_for_ever(sandbox: Sandbox, hook: MarigoldHook) -> None:
    rows = [{"message_id": f"m-{n}", "timestamp": f"2026-01-{n % 28 + 1:02}T00:00:00Z"} for n in range(100)]
    body = json.dumps({"value": rows, "@count": 500})
    # Without the second page that the first, being full, makes us ask for.
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 200, "body": body}])
    with pytest.raises(VendorError, match="the same page again and again"):
        ids(hook)
    assert len(ids(hook, page_size=101)) == 100
    assert len(sandbox.requests(operation="archive_list")) < 300


@pytest.mark.parametrize("timestamp", [None, 5, "", "soon"])
def test_a_message_whose_time_can_not_be_read_is_listed(
    sandbox: Sandbox, hook: MarigoldHook, timestamp: object
) -> None:
    body = json.dumps({"value": [{"message_id": "m-1", "timestamp": timestamp}]})
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 200, "body": body}])
    assert ids(hook, datetime(2026, 1, 1, tzinfo=UTC)) == ["m-1"]


@pytest.mark.parametrize("body", ["{}", '{"value": 5}', '{"value": [5]}', "<html>", '{"value": null}'])
def test_an_answer_that_is_no_listing_is_an_error_and_not_an_empty_archive(
    sandbox: Sandbox, hook: MarigoldHook, body: str
) -> None:
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 200, "body": body}])
    with pytest.raises(VendorError):
        ids(hook)


def test_the_vendors_links_are_followed_on_its_own_host(sandbox: Sandbox, hook: MarigoldHook) -> None:
    hook.send_email([row(f"m-{n}") for n in range(5)])
    assert len(ids(hook, page_size=2)) == 5
    queries = [each["query"] for each in sandbox.requests(operation="archive_list")]
    assert [query.startswith("$skiptoken=") for query in queries] == [False, True, True]
