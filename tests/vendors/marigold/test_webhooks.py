"""The vendor's webhook events as the page samples them, and as the pull reads tell of the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_messaging.vendors.marigold.feedback import normalise
from airflow_provider_messaging.vendors.marigold.webhooks import (
    Bounced,
    ComplaintFiled,
    DeliveryFailed,
    DeliverySent,
    ListUnsubscribed,
    UnknownEvent,
    derived_bounce_type,
    match_key,
    normalise_event,
    read_event,
)

FAILED: dict[str, Any] = {
    "id": "1516952e520547049b8897b24e44553e",
    "source": "/sdc",
    "type": "com.sdc.deliveries.email.failed",
    "time": "2022-03-16T12:56:04.8111884Z",
    "specversion": "1.0",
    "datacontenttype": "application/json",
    "subject": "674d25d7319b4549a88cefdda049989e_92233793802426",
    "data": {
        "result": "undeliverable",
        "context": {"profile": "crm-id-123456789", "tags": [], "metadata": '{"name":"jane.doe","ref":123456789}'},
        "outcome": "5.1.1 no such user",
        "recipient": "jane.doe@Example.com",
        "external_reference": "674d25d7319b4549a88cefdda049989e_92233793802426",
        "timestamp": "2022-03-16T12:56:00.1260605",
        "outcome_category": "senderProblem",
        "finalize_reason": "tooManyRetries",
    },
}
BOUNCED: dict[str, Any] = {
    "id": "4c5cdac78da04350b0b32700a66bbb51",
    "source": "/sdc",
    "type": "com.sdc.bounces.email.bounced",
    "subject": "cd078723-7b40-4a00-90a8-83b0170be1d5",
    "time": "2022-03-10T09:37:05.8198818Z",
    "specversion": "1.0",
    "datacontenttype": "application/json",
    "data": {
        "account_id": "3822afb319684af18b9664ee327b7c44",
        "external_reference": "4c5cdac78da04350b0b32700a66bbb51",
        "subject": "This is a mail sent from EDC",
        "mailbox": "bounce@service.slgnt.eu",
        "timestamp": "2022-03-10T09:37:05.7299959+00:00",
    },
}


def of_type(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {**event, "type": name}


@pytest.mark.parametrize("prefix", ["com.", ""])
@pytest.mark.parametrize(
    ("event", "name", "model"),
    [
        (FAILED, "sdc.deliveries.email.sent", DeliverySent),
        (FAILED, "sdc.deliveries.email.failed", DeliveryFailed),
        (BOUNCED, "sdc.bounces.email.bounced", Bounced),
        (BOUNCED, "sdc.bounces.email.complaintfiled", ComplaintFiled),
        (BOUNCED, "sdc.Bounces.Email.ListUnsubscribed", ListUnsubscribed),
        (BOUNCED, "sdc.archive.email.archived", UnknownEvent),
    ],
)
def test_each_type_has_its_model_in_any_case_with_and_without_com(
    event: dict[str, Any], name: str, model: type, prefix: str
) -> None:
    read = read_event(of_type(event, prefix + name))
    assert type(read) is model
    assert read.reference == event["data"]["external_reference"] or model is UnknownEvent


def test_a_failed_delivery_is_a_direct_bounce_that_tells_the_recipient() -> None:
    event = normalise_event(FAILED)
    assert event is not None
    assert event["kind"] == "bounce"
    assert event["mode"] == "direct"
    assert event["recipient"] == "jane.doe@Example.com"
    assert event["domain"] == "example.com"
    assert event["category"] == "senderProblem"
    assert event["reason"] == "tooManyRetries"
    assert event["occurred_at"] == datetime(2022, 3, 16, 12, 56, 0, 126060, tzinfo=UTC)
    assert json.loads(event["raw"]) == FAILED


@pytest.mark.parametrize(
    ("name", "kind", "mode"),
    [
        ("com.sdc.bounces.email.bounced", "bounce", "indirect"),
        ("com.sdc.bounces.email.complaintfiled", "complaint", None),
        ("com.sdc.bounces.email.listunsubscribed", "list_unsubscribe", None),
    ],
)
def test_a_mail_that_came_back_is_an_event_of_its_kind(name: str, kind: str, mode: str | None) -> None:
    event = normalise_event(of_type(BOUNCED, name))
    assert event is not None
    assert (event["kind"], event["mode"]) == (kind, mode)
    assert event["mailbox"] == "bounce@service.slgnt.eu"
    assert event["bounce_type"] is None


@pytest.mark.parametrize("name", ["com.sdc.deliveries.email.sent", "com.sdc.archive.email.archived", ""])
def test_what_is_no_feedback_becomes_no_event(name: str) -> None:
    assert normalise_event(of_type(FAILED, name)) is None


def test_the_time_of_receipt_is_no_part_of_the_event() -> None:
    assert normalise_event({**FAILED, "receivedat": "2026-01-01T00:00:00Z"}) == normalise_event(FAILED)


def test_an_event_without_payload_is_read_from_its_attributes() -> None:
    event = normalise_event({**FAILED, "data": None})
    assert event is not None
    assert event["reference"] == FAILED["subject"]
    assert event["occurred_at"] == datetime(2022, 3, 16, 12, 56, 4, 811188, tzinfo=UTC)


PULLED = {
    "account_id": "3822afb319684af18b9664ee327b7c44",
    "mapping": "soft",
    "mode": "direct",
    "external_reference": FAILED["data"]["external_reference"],
    "timestamp": "2022-03-16T12:56:00.1260605+00:00",
    "finalize_reason": "tooManyRetries",
    "outcome": "5.1.1 no such user",
    "outcome_category": "senderProblem",
    "domain": "example.com",
}


def test_the_same_bounce_pulled_and_by_webhook_matches_though_its_ids_differ() -> None:
    pushed = normalise_event(FAILED)
    pulled = normalise("bounces", PULLED)
    assert pushed is not None
    assert pushed["event_id"] != pulled["event_id"]
    assert match_key(pushed) == match_key(pulled)


def test_a_complaint_that_tells_all_that_the_pull_tells_has_the_same_id() -> None:
    pushed = normalise_event(
        {
            **of_type(BOUNCED, "com.sdc.bounces.email.complaintfiled"),
            "data": {**BOUNCED["data"], "domain": "example.com"},
        }
    )
    row = {name: value for name, value in BOUNCED["data"].items() if name != "subject"}
    pulled = normalise("complaints", {**row, "domain": "example.com"})
    assert pushed is not None
    assert pushed["event_id"] == pulled["event_id"]


@pytest.mark.parametrize(
    "other",
    [
        {**PULLED, "external_reference": "another"},
        {**PULLED, "timestamp": "2022-03-16T12:56:01Z"},
        {**PULLED, "external_reference": None},
        {**PULLED, "timestamp": "unreadable"},
    ],
)
def test_another_message_another_second_and_an_unknown_one_do_not_match(other: dict[str, Any]) -> None:
    pushed = normalise_event(FAILED)
    assert pushed is not None
    assert match_key(normalise("bounces", other)) != match_key(pushed)


@pytest.mark.parametrize(
    ("reason", "category", "expected"),
    [
        ("hardBounce", "badUser", "hard"),
        ("hardBounce", "unavailable", "hard"),
        ("nonExistingDomainName", "none", "hard"),
        # The page's own sample of a pulled bounce: it is soft.
        ("hardBounce", "exclusion", None),
        ("hardBounce", "spam", "spam"),
        ("hardBounce", "mailboxFull", "soft"),
        ("tooManyRetries", "senderProblem", "soft"),
        ("expired", None, "soft"),
        ("clientCancelled", "none", None),
        (None, None, None),
    ],
)
def test_a_bounce_type_is_derived_only_where_there_is_no_doubt(
    reason: str | None, category: str | None, expected: str | None
) -> None:
    assert derived_bounce_type(reason, category) == expected


def test_a_bounce_type_that_the_vendor_tells_is_taken() -> None:
    event = normalise_event({**FAILED, "data": {**FAILED["data"], "mapping": "Hard"}})
    assert event is not None
    assert event["bounce_type"] == "hard"


@pytest.mark.parametrize("odd", [{}, {"data": []}, {"data": {"timestamp": 5, "recipient": ["a"]}}, {"type": 5}])
def test_odd_events_are_read_without_an_error(odd: dict[str, Any]) -> None:
    read_event({"type": "sdc.deliveries.email.failed", **odd})
    normalise_event({"type": "sdc.deliveries.email.failed", **odd})
