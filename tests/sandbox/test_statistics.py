from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

PATH = "/api/email/v1/statistics"


def total(answer: Any) -> Counter[str]:
    assert answer.status_code == 200, answer.text
    counters: Counter[str] = Counter()
    for window in answer.json()["value"]:
        counters.update(window["counters"])
    return counters


def test_counters_add_up(marigold: Any, email: Any) -> None:
    for number, local in enumerate(["jane", "john", "hard-bounce", "complaint", "deferred"]):
        marigold.send_email(email(f"r-{number}", headers__to__address=f"{local}@example.com"))
    assert total(marigold.get(PATH)) == {
        "sdc.api.email.accepted": 5,
        "sdc.imports.email": 5,
        "sdc.deliveries.email.sent": 3,
        "sdc.deliveries.email.failed": 1,
        "sdc.deliveries.email.deferred": 1,
        "sdc.bounces.email.complaintfiled": 1,
    }


def test_window_is_a_minute(marigold: Any, email: Any) -> None:
    marigold.send_email(email())
    (window,) = marigold.get(PATH).json()["value"]
    assert set(window) == {"window", "counters"}
    begin = datetime.fromisoformat(window["window"])
    assert (begin.second, begin.microsecond, begin.utcoffset()) == (0, 0, timedelta(0))
    assert window["window"].endswith("+00:00")
    assert timedelta(0) <= datetime.now(UTC) - begin < timedelta(minutes=2)


def test_range_is_as_fine_as_asked(marigold: Any, email: Any) -> None:
    marigold.send_email(email())
    now = datetime.now(UTC)
    stamps = {hours: f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (-1, 1)}
    assert total(marigold.get(PATH, params={"start": stamps[-1], "end": stamps[1]}))
    assert not total(marigold.get(PATH, params={"start": stamps[1]}))
    assert not total(marigold.get(PATH, params={"end": stamps[-1]}))


@pytest.mark.parametrize(
    "query", [{"start": "now"}, {"$top": "1"}, {"start": "2023-01-02T00:00:00Z", "end": "2023-01-01T00:00:00Z"}]
)
def test_wrong_parameter_is_refused(marigold: Any, query: dict[str, str]) -> None:
    assert marigold.get(PATH, params=query).status_code == 400


def test_window_to_come_is_not_told(marigold: Any, email: Any) -> None:
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    marigold.send_email(email(custom_send_time=later))
    assert marigold.get(PATH).json() == {"value": []}
