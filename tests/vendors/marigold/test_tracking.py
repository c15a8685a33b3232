"""Tracking events, and what they prove."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, VendorError
from airflow_provider_messaging.vendors.marigold.tracking import State, accepted_since, parse_events, state

SINCE = datetime(2022, 3, 16, 12, 56, tzinfo=UTC)
SAMPLE: dict[str, Any] = {
    "id": "351395fa8d2c4fe3ad0fcce08f561491",
    "external_reference": "order-1",
    "type": "com.sdc.deliveries.email.sent",
    "timestamp": "2022-03-16T12:56:00.1260605+00:00",
    "description": "Message ID 202203161230539493 accepted for delivery",
}


def of_type(*types: str) -> list[Any]:
    return parse_events([{**SAMPLE, "type": event_type} for event_type in types])


def test_an_event_is_read_with_its_raw_form() -> None:
    [event] = parse_events({"value": [SAMPLE]})
    assert event.id == SAMPLE["id"]
    assert event.reference == "order-1"
    assert event.type == "sdc.deliveries.email.sent"
    assert event.timestamp == datetime(2022, 3, 16, 12, 56, 0, 126060, tzinfo=UTC)
    assert event.description.startswith("Message ID")
    assert event.raw is SAMPLE


@pytest.mark.parametrize(
    "document",
    [{"value": [SAMPLE]}, [SAMPLE], {"message_id": "m", "tracking": [SAMPLE]}, {"value": [SAMPLE], "@count": 1}],
)
def test_documents_of_every_known_shape_are_read(document: object) -> None:
    assert len(parse_events(document)) == 1


@pytest.mark.parametrize("document", [{"value": []}, [], {"tracking": []}])
def test_no_events_are_no_events(document: object) -> None:
    assert parse_events(document) == []


@pytest.mark.parametrize("document", [None, "", 5, {}, {"value": None}, {"value": {}}, {"error": "x"}, [SAMPLE, "x"]])
def test_anything_else_is_an_error_and_never_no_events(document: object) -> None:
    """A message whose tracking could not be read must not be taken for one that was never sent."""
    with pytest.raises(VendorError):
        parse_events(document)


def test_unknown_and_missing_fields_do_no_harm() -> None:
    [event] = parse_events([{"type": "x", "new": 1, "timestamp": 5}])
    assert (event.id, event.reference, event.timestamp) == ("", "", None)


@pytest.mark.parametrize(
    ("event_type", "accepted"),
    [
        ("sdc.api.email.accepted", True),
        ("com.sdc.api.email.accepted", True),
        ("com.sdc.API.email.Accepted", True),
        ("sdc.imports.email", True),
        ("sdc.deliveries.email.deferred", True),
        ("sdc.deliveries.email.sent", True),
        ("sdc.deliveries.email.failed", True),
        ("sdc.bounces.email.bounced", True),
        ("sdc.bounces.email.complaintfiled", True),
        ("sdc.bounces.email.listunsubscribed", True),
        ("sdc.archive.email.archived", True),
        ("sdc.api.email.rejected", False),
        ("sdc.unknown.email.accepted", False),
        ("", False),
    ],
)
def test_a_type_shows_acceptance_or_not(event_type: str, accepted: bool) -> None:
    assert accepted_since(of_type(event_type), "order-1", SINCE) is accepted


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({}, True),
        ({"timestamp": "2022-03-16T12:56:00Z"}, True),
        ({"timestamp": "2022-03-16T12:55:59.9999999"}, False),
        ({"external_reference": "order-2"}, False),
        ({"external_reference": None}, True),
    ],
)
def test_only_this_message_counts(change: dict[str, Any], accepted: bool) -> None:
    events = parse_events([{**SAMPLE, **change}])
    assert accepted_since(events, "order-1", SINCE) is accepted
    assert accepted_since(events, "order-1", SINCE.replace(tzinfo=None)) is accepted


@pytest.mark.parametrize(
    ("event_type", "accepted"),
    [
        ("sdc.api.email.accepted", True),
        ("sdc.imports.email", True),
        ("sdc.deliveries.email.sent", False),
        ("sdc.bounces.email.bounced", False),
        ("sdc.archive.email.archived", False),
    ],
)
def test_what_may_be_late_news_of_an_earlier_send_proves_nothing(event_type: str, accepted: bool) -> None:
    assert accepted_since(of_type(event_type), "order-1", SINCE, reused=True) is accepted


def test_events_without_a_time_leave_the_question_open() -> None:
    undated = {**SAMPLE, "timestamp": "yesterday"}
    with pytest.raises(AmbiguousDeliveryError) as raised:
        accepted_since(parse_events([undated]), "order-1", SINCE)
    assert raised.value.references == ("order-1",)
    assert accepted_since(parse_events([undated, SAMPLE]), "order-1", SINCE)
    assert not accepted_since(parse_events([undated]), "order-2", SINCE)


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((), State.UNKNOWN),
        (("sdc.something.new",), State.UNKNOWN),
        (("sdc.api.email.accepted",), State.ACCEPTED),
        (("sdc.imports.email", "sdc.archive.email.archived"), State.ACCEPTED),
        (("sdc.deliveries.email.deferred", "sdc.api.email.accepted"), State.DEFERRED),
        (("sdc.deliveries.email.sent", "sdc.deliveries.email.deferred"), State.DELIVERED),
        (("com.sdc.deliveries.email.failed", "sdc.deliveries.email.deferred"), State.FAILED),
        (("sdc.bounces.email.bounced", "sdc.deliveries.email.sent"), State.BOUNCED),
        (("sdc.deliveries.email.sent", "sdc.bounces.email.listunsubscribed"), State.UNSUBSCRIBED),
        (("sdc.bounces.email.complaintfiled", "sdc.bounces.email.listunsubscribed"), State.COMPLAINED),
    ],
)
def test_the_state_is_the_furthest_step(types: tuple[str, ...], expected: State) -> None:
    assert state(of_type(*types)) is expected
    assert state(of_type(*reversed(types))) is expected


def test_final_states() -> None:
    assert {one for one in State if not one.is_final} == {State.UNKNOWN, State.ACCEPTED, State.DEFERRED}
