from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

IMPORTED = ["sdc.api.email.accepted", "sdc.imports.email"]
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}(Z|\+00:00|)")


def events(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["type"].removeprefix("com.") for row in answer.json()["value"]]


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("jane", ["sdc.deliveries.email.sent"]),
        ("hard-bounce", ["sdc.deliveries.email.failed"]),
        ("soft-bounce", ["sdc.deliveries.email.deferred", "sdc.deliveries.email.failed"]),
        ("spam-bounce", ["sdc.deliveries.email.sent", "sdc.bounces.email.bounced"]),
        ("indirect-bounce", ["sdc.deliveries.email.sent", "sdc.bounces.email.bounced"]),
        ("complaint", ["sdc.deliveries.email.sent", "sdc.bounces.email.complaintfiled"]),
        ("unsubscribe", ["sdc.deliveries.email.sent", "sdc.bounces.email.listunsubscribed"]),
        ("failed", ["sdc.deliveries.email.failed"]),
        ("deferred", ["sdc.deliveries.email.deferred"]),
        # the outcome is the local part's stem
        ("complaint+any.thing", ["sdc.deliveries.email.sent", "sdc.bounces.email.complaintfiled"]),
        ("complaint-17", ["sdc.deliveries.email.sent", "sdc.bounces.email.complaintfiled"]),
        ("complaint.17", ["sdc.deliveries.email.sent", "sdc.bounces.email.complaintfiled"]),
        ("complaint-17+x", ["sdc.deliveries.email.sent", "sdc.bounces.email.complaintfiled"]),
        ("complaint_17", ["sdc.deliveries.email.sent"]),
        ("complaint17", ["sdc.deliveries.email.sent"]),
        ("complaints", ["sdc.deliveries.email.sent"]),
        ("my-complaint", ["sdc.deliveries.email.sent"]),
    ],
)
def test_address_decides_the_events(marigold: Any, email: Any, local: str, expected: list[str]) -> None:
    marigold.send_email(email("r", headers__to__address=f"{local}@example.com"))
    assert events(marigold.track("r")) == IMPORTED + expected


def test_event_has_the_documented_fields(marigold: Any, email: Any) -> None:
    marigold.send_email(email("r"))
    for row in marigold.track("r").json()["value"]:
        assert set(row) == {"id", "external_reference", "type", "timestamp", "description"}
        assert row["external_reference"] == "r"
        assert TIMESTAMP.fullmatch(row["timestamp"])
        assert len(row["id"]) == 32
        assert row["description"]


def test_types_and_timestamps_come_in_all_their_spellings(marigold: Any, email: Any) -> None:
    marigold.send_email(*(email(f"r-{n}") for n in range(50)))
    rows = [row for n in range(50) for row in marigold.track(f"r-{n}").json()["value"]]
    assert {row["type"].startswith("com.") for row in rows} == {True, False}
    assert {row["timestamp"][27:] for row in rows} == {"Z", "+00:00", ""}


def test_look_up_is_stable(marigold: Any, email: Any) -> None:
    marigold.send_email(email("r"))
    assert marigold.track("r").json() == marigold.track("r").json()


def test_archived_message_has_its_event(marigold: Any, email: Any) -> None:
    marigold.send_email(email("r", archive_enabled=True))
    assert events(marigold.track("r")) == [*IMPORTED, "sdc.deliveries.email.sent", "sdc.archive.email.archived"]


def test_reference_accepted_twice_has_the_events_of_both(marigold: Any, email: Any) -> None:
    for _ in range(2):
        marigold.send_email(email("r"))
    rows = marigold.track("r").json()["value"]
    assert events(marigold.track("r")) == [*IMPORTED, "sdc.deliveries.email.sent"] * 2
    assert len({row["id"] for row in rows}) == 6


def test_unknown_reference_is_not_found_or_empty_as_set(sandbox: Any, marigold: Any) -> None:
    assert marigold.track("nobody").status_code == 404
    sandbox.settings(tracking_unknown="empty")
    answer = marigold.track("nobody")
    assert (answer.status_code, answer.json()) == (200, {"value": []})


def test_tracking_lags_as_set(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(tracking_lag=0.6)
    marigold.send_email(email("r"))
    assert marigold.track("r").status_code == 404
    assert sandbox.counts()["total"] == 1
    time.sleep(0.7)
    assert len(events(marigold.track("r"))) == 3


def test_feedback_event_waits_for_the_feedback(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(feedback_delay=3600)
    marigold.send_email(email("r", headers__to__address="complaint@example.com"))
    assert events(marigold.track("r")) == [*IMPORTED, "sdc.deliveries.email.sent"]
    sandbox.settings(feedback_delay=0)
    assert events(marigold.track("r"))[-1] == "sdc.bounces.email.complaintfiled"


def test_custom_send_time_holds_the_delivery_back(marigold: Any, email: Any) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    marigold.send_email(email("r", custom_send_time=later))
    assert events(marigold.track("r")) == IMPORTED


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_skewed_clock_shifts_timestamps_not_visibility(sandbox: Any, marigold: Any, email: Any, skew: int) -> None:
    sandbox.settings(clock_skew=skew)
    marigold.send_email(email("r"))
    rows = marigold.track("r").json()["value"]
    told = datetime.fromisoformat(rows[0]["timestamp"][:26]).replace(tzinfo=UTC)
    assert len(rows) == 3
    assert abs((told - datetime.now(UTC)).total_seconds() - skew) < 60


def test_reference_in_the_path_is_decoded(marigold: Any, email: Any) -> None:
    marigold.send_email(email("a-b"))
    assert marigold.track("a%2Db").status_code == 200


def test_unknown_query_parameter_is_refused(marigold: Any, email: Any) -> None:
    marigold.send_email(email("r"))
    errors = marigold.get("/api/tracking/v1/messages/r?since=1").json()["errors"]
    assert [(e["field"], e["error"]) for e in errors] == [("since", "UNKNOWN_PARAMETER")]
