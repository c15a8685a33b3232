"""What the answers about an address mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.errors import AuthenticationError, ValidationError, VendorError
from airflow_provider_messaging.core.http import Failure, FailureKind, Request
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Doubt,
    Message,
    NotTaken,
    Reject,
    RequestRejected,
    Verdict,
)
from airflow_provider_messaging.vendors.engageone.suppression import (
    AddressChannel,
    apply,
    blacklist_channel,
    unblacklist_channel,
    verification_status,
    verify_channel,
)
from tests.vendors.engageone.flows import SECRET, answer, drive, services

PUBLIC = services().api("public")


def prepared(channel: SendChannel, *rows: object) -> list[Message | Reject]:
    return list(channel.prepare(list(enumerate(rows)), reference_of=str, now=datetime.now(UTC)))


def sent(channel: SendChannel, row: object, *replies: Any) -> tuple[Verdict, list[Request]]:
    [message] = prepared(channel, row)
    assert isinstance(message, Message)
    driven = drive(channel.send([message]), *replies)
    return driven.result, driven.requests


def body(request: Request) -> Any:
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer({"status": "listed"}, 201), "listed"),
        (answer(b"", 204), "listed"),
        (answer(b"OK", 200), "listed"),
        (answer([1], 200), "listed"),
        (answer({"status": "already_listed"}), "already_listed"),
        (answer({"message": "Address Already blacklisted"}), "already_listed"),
        (answer({"result": "EXISTS"}), "already_listed"),
        (answer({"message": "exists"}, 409), "already_listed"),
        (answer(b"", 409), "already_listed"),
    ],
)
def test_an_address_that_was_there_before_is_a_success(reply: Any, outcome: str) -> None:
    verdict, [request] = sent(blacklist_channel(PUBLIC), "Jane@EXAMPLE.com", reply)
    assert verdict == Accepted(outcome=outcome)
    assert (request.method, request.url) == ("POST", "https://public.example/blacklist")
    assert body(request) == {"email": "Jane@example.com"}


def test_category_and_reason_come_from_the_row_or_else_from_the_channel() -> None:
    channel = blacklist_channel(PUBLIC, category="news", reason="Complaint")
    _, [request] = sent(channel, "jane@example.com", answer())
    assert body(request) == {"email": "jane@example.com", "category": "news", "reason": "Complaint"}
    _, [request] = sent(channel, {"email": "jane@example.com", "reason": "Hard Bounce"}, answer())
    assert body(request) == {"email": "jane@example.com", "category": "news", "reason": "Hard Bounce"}


def test_one_address_in_two_categories_is_two_entries_and_in_two_spellings_one() -> None:
    rows = [
        "jane@example.com",
        "jane@EXAMPLE.com",
        {"email": "jane@example.com", "category": "news"},
        {"email": "jane@example.com", "category": "news", "reason": "Complaint"},
    ]
    results = prepared(blacklist_channel(PUBLIC), *rows)
    references = [result.reference for result in results]
    assert len(set(references)) == 2
    assert references[0] == references[1]
    assert references[2] == references[3]


def test_a_row_whose_request_would_be_too_large_is_a_reject() -> None:
    [reject] = prepared(blacklist_channel(PUBLIC), {"email": "jane@example.com", "reason": "x" * 100_000})
    assert isinstance(reject, Reject)
    assert reject.errors[0].code == "MESSAGE_TOO_LARGE"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_address_is_a_reject_with_the_vendors_code(status: int) -> None:
    reply = answer({"message": f"not valid {SECRET}", "code": "INVALID_EMAIL"}, status)
    verdict, _ = sent(blacklist_channel(PUBLIC), "jane@example.com", reply)
    assert isinstance(verdict, RequestRejected)
    assert (verdict.error.code, verdict.error.message) == ("INVALID_EMAIL", "not valid ***")


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    ("channel", "endpoint"), [(blacklist_channel(PUBLIC), "blacklist"), (verify_channel(PUBLIC), "verify")]
)
def test_a_wrong_path_ends_the_work_and_names_the_setting(channel: SendChannel, endpoint: str, status: int) -> None:
    verdict, _ = sent(channel, "jane@example.com", answer({"message": "Not Found"}, status))
    assert isinstance(verdict, NotTaken)
    assert f"extra 'endpoints' → {endpoint!r}" in str(verdict.error)
    assert not verdict.error.retryable


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_the_public_api_blames_its_url_since_it_gets_no_credentials(status: int) -> None:
    verdict, _ = sent(blacklist_channel(PUBLIC), "jane@example.com", answer({"message": "Forbidden"}, status))
    assert isinstance(verdict, NotTaken)
    assert isinstance(verdict.error, AuthenticationError)
    assert "public_url" in verdict.error.setting


def test_a_lost_answer_is_asked_for_again_since_a_repeat_does_no_harm() -> None:
    lost = Failure(kind=FailureKind.READ_TIMEOUT)
    verdict, requests = sent(blacklist_channel(PUBLIC), "jane@example.com", lost, lost, answer())
    assert isinstance(verdict, Accepted)
    assert len(requests) == 3


@pytest.mark.parametrize("address", ["jane+1@example.com", "jörg/x?@bücher.example", "o'hara%@example.com"])
def test_a_removal_has_the_address_encoded_in_the_path(address: str) -> None:
    verdict, [request] = sent(unblacklist_channel(PUBLIC), address, answer(b"", 204))
    assert verdict == Accepted(outcome="removed")
    assert request.method == "DELETE"
    path = request.url.removeprefix("https://public.example/blacklist/")
    assert not set(path) & set("@/?+'ö")
    assert request.body is None


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"message": "Not found", "code": "NOT_LISTED"}, 404),
        ({"message": "jane@example.com is not on the blacklist"}, 404),
        ({"error": "unknown_address"}, 404),
        ({"errors": [{"message": "No such email"}]}, 404),
        ("no such recipient", 410),
    ],
)
def test_removing_an_address_that_is_not_there_is_a_success(document: Any, status: int) -> None:
    verdict, _ = sent(unblacklist_channel(PUBLIC), "jane@example.com", answer(document, status))
    assert verdict == Accepted(outcome="not_listed")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<h1>Not Found</h1>",
        {},
        {"a": 1},
        [1],
        "Not Found",
        {"message": "Not Found"},
        {"message": "Not Found", "code": "NOT_FOUND"},
        {"message": "Resource does not exist", "code": "E17"},
        {"message": "Cannot DELETE /blacklist/jane@example.com"},
        {"message": "no Route matched with those values for this email"},
    ],
)
def test_a_404_that_may_be_about_the_path_is_no_success(document: Any) -> None:
    verdict, _ = sent(unblacklist_channel(PUBLIC), "jane@example.com", answer(document, 404))
    assert isinstance(verdict, NotTaken)
    assert "extra 'endpoints' → 'unblacklist'" in verdict.error.setting
    assert "extra 'unblacklist_verified'" in verdict.error.setting


@pytest.mark.parametrize("document", [b"", {"message": "Not Found"}])
def test_a_404_of_a_path_that_is_known_to_be_right_is_about_the_address(document: Any) -> None:
    channel = unblacklist_channel(PUBLIC, verified=True)
    verdict, _ = sent(channel, "jane@example.com", answer(document, 404))
    assert verdict == Accepted(outcome="not_listed")


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"status": "Valid"}, "valid"),
        ({"result": "undeliverable", "valid": False}, "undeliverable"),
        ({"valid": True}, "valid"),
        ({"is_valid": False}, "invalid"),
        ({"deliverable": True}, "valid"),
        (True, "valid"),
        ("RISKY", "risky"),
        ({"status": 7}, "unknown"),
        ({"status": "jane@example.com can be written to", "valid": True}, "valid"),
        ({"status": "x" * 65}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
        ([1], "unknown"),
    ],
)
def test_the_vendors_word_about_an_address_is_found(document: Any, status: str) -> None:
    assert verification_status(document) == status
    verdict, _ = sent(verify_channel(PUBLIC), "jane@example.com", answer(document))
    assert verdict == Accepted(outcome=status, details={"status": status, "document": document})


def test_a_verification_that_can_not_be_read_is_asked_for_again() -> None:
    verdict, _ = sent(verify_channel(PUBLIC), "jane@example.com", answer(b"{"))
    assert isinstance(verdict, Ambiguous)
    assert verify_channel(PUBLIC).doubt is Doubt.REPEAT


@pytest.mark.parametrize("channel", [blacklist_channel(PUBLIC), unblacklist_channel(PUBLIC), verify_channel(PUBLIC)])
class TestOne:
    def test_what_is_no_address_is_refused_before_anything_is_sent(self, channel: AddressChannel) -> None:
        with pytest.raises(ValidationError, match="@-sign") as caught:
            drive(apply(channel, "jane"))
        assert caught.value.connection == "c"
        assert [error.code for error in caught.value.rows[0].errors] == ["INVALID_EMAIL"]

    def test_the_vendors_refusal_is_an_error_of_the_address(self, channel: AddressChannel) -> None:
        with pytest.raises(ValidationError, match="the vendor refuses the address: No"):
            drive(apply(channel, "jane@example.com"), answer({"message": "No", "code": "N"}, 422))

    def test_a_failure_is_the_vendors(self, channel: AddressChannel) -> None:
        with pytest.raises(VendorError, match="HTTP 500"):
            drive(apply(channel, "jane@example.com"), *[answer(None, 500)] * 5)


def test_one_verification_that_can_not_be_read_is_worth_a_retry() -> None:
    with pytest.raises(VendorError, match="not JSON") as caught:
        drive(apply(verify_channel(PUBLIC), "jane@example.com"), answer(b"{"))
    assert caught.value.retryable
