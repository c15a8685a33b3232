"""Sends of a campaign: what is in a request, which records are refused, what an answer means."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_messaging.core.batching import pack
from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    ConfigurationError,
    ValidationError,
    VendorError,
)
from airflow_provider_messaging.core.http import Failure, FailureKind, Request
from airflow_provider_messaging.core.messages import Accepted, Ambiguous, Doubt, Message, NotTaken, Reject
from airflow_provider_messaging.vendors.engageone.campaigns import (
    Campaign,
    CampaignChannel,
    campaign_channel,
    create_campaign,
    send_once,
    send_status,
)
from tests.vendors.engageone.flows import Driven, answer, drive, services

API = services().api()
CAMPAIGN = Campaign(campaign="spring/sale", communication="Example", email_json_path="email")


def channel(campaign: Campaign = CAMPAIGN, **options: Any) -> CampaignChannel:
    return campaign_channel(API, campaign, **options)


def prepared(channel: CampaignChannel, *rows: object) -> list[Message | Reject]:
    rows_ = list(enumerate(rows))
    return list(channel.prepare(rows_, reference_of=lambda row: f"ref-{row}", now=datetime.now(UTC)))


def messages(channel: CampaignChannel, *rows: object) -> list[Message]:
    return [message for message in prepared(channel, *rows) if isinstance(message, Message)]


def sent(reply: Any, **options: Any) -> Driven:
    made = channel(**options)
    return drive(made.send(messages(made, {"email": "jane@example.com"})), reply)


def body(request: Request) -> Any:
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


@pytest.mark.parametrize(
    ("version", "path"),
    [("v2", "/campaigns/v2/spring%2Fsale/transactional"), ("v1", "/campaigns/spring%2Fsale/transactional")],
)
def test_a_request_names_the_campaign_in_its_path(version: Any, path: str) -> None:
    [request] = sent(answer({"send_id": "s"}), version=version).requests
    assert (request.method, request.url) == ("POST", f"https://api.us-east-1.communicate.engageone.co{path}")


def test_a_request_holds_the_records_as_they_were_given_and_what_the_send_says() -> None:
    campaign = replace(
        CAMPAIGN,
        sender="shop@example.com",
        sender_name="Shop",
        reply_to="help@example.com",
        subject="Grüße",
        project="Samples",
        ignore_missing_fields=False,
    )
    made = channel(campaign)
    rows = [
        {"email": "Jane@EXAMPLE.com", "n": [1, None], "reference": "r"},
        {"email": "joe@example.com", "_rejected": {}},
    ]
    [request] = drive(made.send(messages(made, *rows)), answer({"send_id": "s"})).requests
    assert body(request) == {
        "dataset": [{"email": "Jane@EXAMPLE.com", "n": [1, None], "reference": "r"}, {"email": "joe@example.com"}],
        "communication": "Example",
        "email_json_path": "email",
        "sender": "shop@example.com",
        "sender_name": "Shop",
        "reply_to": "help@example.com",
        "subject": "Grüße",
        "project": "Samples",
        "ignore_missing_fields": False,
    }


def test_what_a_send_does_not_say_is_left_out() -> None:
    [request] = sent(answer({"send_id": "s"})).requests
    assert body(request).keys() == {"dataset", "communication", "email_json_path"}


def test_a_records_own_reference_is_kept_and_another_one_is_made() -> None:
    made = messages(
        channel(), {"email": "a@example.com", "reference": "r-1"}, {"email": "B@EXAMPLE.com", "reference": ""}
    )
    assert [(each.reference, each.recipient) for each in made] == [("r-1", "a@example.com"), ("ref-1", "B@example.com")]


@pytest.mark.parametrize(
    ("record", "field", "code"),
    [
        ("jane@example.com", "", "INVALID_TYPE"),
        (None, "", "INVALID_TYPE"),
        ([], "", "INVALID_TYPE"),
        ({}, "email", "REQUIRED_PROPERTY"),
        ({"email": None}, "email", "REQUIRED_PROPERTY"),
        ({"email": ["jane@example.com"]}, "email", "INVALID_TYPE"),
        ({"email": "jane"}, "email", "INVALID_EMAIL"),
        ({"email": "jane@example.com", "x": "y" * 4_000_000}, "", "MESSAGE_TOO_LARGE"),
        ({"email": "jane@example.com", "x": object()}, "", "INVALID_TYPE"),
        ({"email": "jane@example.com", "x": "\ud800"}, "", "INVALID_TYPE"),
    ],
)
def test_a_record_that_can_not_be_sent_to_is_a_reject(record: Any, field: str, code: str) -> None:
    [reject] = prepared(channel(), record)
    assert isinstance(reject, Reject)
    assert [(error.field, error.code) for error in reject.errors] == [(field, code)]


@pytest.mark.parametrize("max_bytes", [1_200, 2_000, 5_000])
def test_no_request_has_more_records_or_bytes_than_allowed_and_none_is_lost(max_bytes: int) -> None:
    made = channel(chunk_size=7, max_bytes=max_bytes)
    rows = [{"email": f"user{number}@example.com", "x": "ü" * (number * 37 % 400)} for number in range(200)]
    requests = [made.request(batch) for batch in pack(messages(made, *rows), made.limits)]
    assert [record for request in requests for record in body(request)["dataset"]] == rows
    assert all(len(body(request)["dataset"]) <= 7 for request in requests)
    assert all(len(request.body or b"") <= max_bytes for request in requests)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "options", "setting"),
    [
        ({"campaign": ""}, {}, "campaign"),
        ({"communication": " "}, {}, "communication"),
        ({"email_json_path": ""}, {}, "email_json_path"),
        ({"email_json_path": "a[*]"}, {}, "email_json_path"),
        ({"email_json_path": None}, {}, "email_json_path"),
        ({"sender": "nobody"}, {}, "sender"),
        ({"reply_to": "nobody"}, {}, "reply_to"),
        ({}, {"version": "v3"}, "version"),
        ({}, {"chunk_size": 0}, "chunk_size"),
        ({}, {"max_bytes": 1_000}, "max_bytes"),
        ({"subject": "x" * 3_000}, {"max_bytes": 3_500}, "max_bytes"),
    ],
)
def test_what_can_not_work_is_named(changes: dict[str, Any], options: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        channel(replace(CAMPAIGN, **changes), **options)
    assert caught.value.setting == setting


@pytest.mark.parametrize("document", [{"send_id": "s-1"}, {"send_id": "s-1", "more": 1}, {"sendId": "s-1"}, "s-1"])
def test_the_send_id_is_the_receipt(document: Any) -> None:
    verdict = sent(answer(document)).result
    assert verdict == Accepted(receipt="s-1", details={"send_id": "s-1"})
    assert CampaignChannel.receipt_name == "send_id"


@pytest.mark.parametrize(
    "reply",
    [
        answer(b""),
        answer(b"{"),
        answer({}),
        answer({"send_id": True}),
        answer([1]),
        Failure(kind=FailureKind.BODY, status=200),
    ],
)
def test_an_answer_without_a_send_id_is_acceptance_all_the_same(reply: Any) -> None:
    assert sent(reply).result == Accepted(outcome="without_send_id")


@pytest.mark.parametrize("reply", [answer(None, 500), answer(None, 502), Failure(kind=FailureKind.RESET)])
def test_a_lost_answer_is_ambiguous_and_nothing_is_repeated(reply: Any) -> None:
    assert isinstance(sent(reply).result, Ambiguous)
    assert CampaignChannel.doubt is Doubt.REPORT


def test_an_unknown_campaign_ends_the_work() -> None:
    verdict = sent(answer({"message": "There is no campaign spring/sale."}, 404)).result
    assert isinstance(verdict, NotTaken)
    assert "There is no campaign" in str(verdict.error)


def test_a_few_records_are_sent_in_one_request() -> None:
    driven = drive(
        send_once(channel(), [{"email": "a@example.com"}, {"email": "b@example.com"}]), answer({"send_id": 7})
    )
    assert driven.result == "7"
    assert len(driven.requests) == 1


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ([], "the 0 records are none"),
        ([{"email": "a@example.com"}] * 1_001, "too many for one request"),
        ([{"email": "a@example.com"}, {"email": "a"}], "1 of 2 rows break the rules"),
    ],
)
def test_records_that_do_not_make_one_request_are_refused(dataset: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        drive(send_once(channel(), dataset))


def test_an_answer_without_a_send_id_must_not_lead_to_a_repeat() -> None:
    with pytest.raises(VendorError, match="do not repeat it") as caught:
        drive(send_once(channel(), [{"email": "a@example.com"}]), answer({}))
    assert not caught.value.retryable


def test_the_status_is_what_the_vendor_says() -> None:
    driven = drive(send_status(API, "s/1"), answer({"status": "DONE", "x": 1}))
    assert driven.result == {"status": "DONE", "x": 1}
    assert driven.requests[0].url.endswith("/campaigns/transactional/s%2F1/status")


def test_a_campaign_that_may_have_been_created_is_not_created_again() -> None:
    with pytest.raises(AmbiguousDeliveryError, match="may have been taken") as caught:
        drive(create_campaign(services().api("private"), {"name": "x"}), answer(None, 504))
    assert not caught.value.retryable
