"""What a watcher keeps of a feedback row: who it is, when it happened, of what sort."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.cursor import to_micros
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.vendors.marigold.arrivals import LABELS, _read, read_day
from airflow_provider_messaging.vendors.marigold.feedback import event_id

ROW = {"account_id": "a", "external_reference": "r", "timestamp": "2026-03-10T12:00:00.1234567Z", "mapping": "Hard"}
LATEST = to_micros(datetime(2026, 3, 11, tzinfo=UTC)) - 1


def read(row: Any, kind: str = "bounces") -> tuple[int, int, str]:
    event, moment, mark = _read(kind, msgspec.Raw(json.dumps(row).encode()), LATEST)
    return event, moment, LABELS[mark]


def test_an_event_is_known_by_the_first_half_of_its_id() -> None:
    assert f"{read(ROW)[0]:016x}" == event_id("bounces", ROW)[:16]


def test_copies_that_are_spelled_differently_are_one_event() -> None:
    copy = {**ROW, "timestamp": "2026-03-10T13:00:00.123456+01:00", "mapping": "hard", "domain": None}
    assert read(copy) == read(ROW)


def test_the_time_is_that_of_the_row() -> None:
    assert read(ROW)[1] == to_micros(datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC))


@pytest.mark.parametrize("timestamp", [None, "", "soon", 7, "2026-99-10T12:00:00Z"])
def test_an_event_without_a_readable_time_counts_at_the_end_of_its_day(timestamp: object) -> None:
    assert read({**ROW, "timestamp": timestamp})[1] == LATEST


@pytest.mark.parametrize(("mapping", "label"), [("SOFT", "soft"), ("spam", "spam"), ("new@example.com", "unknown")])
def test_a_bounce_is_of_a_known_type_or_unknown(mapping: str, label: str) -> None:
    assert read({**ROW, "mapping": mapping})[2] == label


def test_what_is_no_bounce_has_no_type() -> None:
    assert read(ROW, "complaints")[2] == "unknown"


@pytest.mark.parametrize("row", [None, 7, "text", [1, 2], {}, {"timestamp": {}, "mapping": []}])
def test_an_odd_row_is_an_event_of_its_own(row: object) -> None:
    event, moment, label = read(row)
    assert event != read(ROW)[0]
    assert (moment, label) == (LATEST, "unknown")


async def test_a_day_is_read_whole_and_nothing_else(sandbox: Sandbox) -> None:
    day = datetime(2026, 3, 10, tzinfo=UTC)
    sandbox.seed("bounces", 25, "2026-03-09T12:00:00Z", "2026-03-11T12:00:00Z")
    host = sandbox.vendor_url("marigold")
    parts = ConnectionParts(
        id="marigold_default",
        vendor="marigold",
        host=host,
        port=None,
        schema=None,
        login="sandbox",
        password="sandbox-secret",
        extra={"account_id": "sandbox-account"},
    )
    client = MarigoldHook().build_client(parts)
    window = Window(day, day + timedelta(days=1))
    async with AsyncTransport(client.options) as transport:
        arrivals = await read_day(transport, client.api, "bounces", window, account_id=None, page_size=4)
    assert len(set(arrivals.ids)) == 12
    assert all(to_micros(window.start) <= moment < to_micros(window.end) for moment in arrivals.moments)
