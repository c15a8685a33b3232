"""Limits and acceptance."""

from __future__ import annotations

import json
from typing import Any

import pytest

SEND = "/api/email/v1/messages/send"
JSON = {"Content-Type": "application/json"}


def test_hundred_messages_are_accepted(sandbox: Any, marigold: Any, email: Any) -> None:
    assert marigold.send_email(*(email(f"r-{n}") for n in range(100))).status_code == 202
    assert sandbox.counts() == {"total": 100, "distinct": 100, "duplicates": 0}


@pytest.mark.parametrize("count", [0, 101])
def test_another_count_is_refused(sandbox: Any, marigold: Any, email: Any, count: int) -> None:
    answer = marigold.send_email(*(email(f"r-{n}") for n in range(count)))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["error"] == "INVALID_BATCH_SIZE"
    assert sandbox.counts()["total"] == 0


def body_of(message: Any, size: int) -> bytes:
    """A batch of one message, padded to exactly ``size`` bytes."""
    empty = len(json.dumps([{**message, "content": {"html": ""}}]))
    return json.dumps([{**message, "content": {"html": "x" * (size - empty)}}]).encode()


def test_four_million_bytes_are_accepted(sandbox: Any, marigold: Any, email: Any) -> None:
    body = body_of(email(), 4_000_000)
    assert len(body) == 4_000_000
    assert marigold.post(SEND, content=body, headers=JSON).status_code == 202
    assert sandbox.deliveries()[0]["size"] == 4_000_000 - 2, "without the array's brackets"


def test_one_byte_more_is_too_large(sandbox: Any, marigold: Any, email: Any) -> None:
    answer = marigold.post(SEND, content=body_of(email(), 4_000_001), headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["status"] == 413
    assert sandbox.counts()["total"] == 0
    assert sandbox.requests(operation="send_email")[0]["request_bytes"] == 4_000_001


def test_size_is_counted_in_a_chunked_body_too(marigold: Any, email: Any) -> None:
    body = body_of(email(), 4_000_001)
    chunks = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    assert marigold.post(SEND, content=chunks, headers=JSON).status_code == 413


def test_acceptance_has_no_body(marigold: Any, email: Any) -> None:
    answer = marigold.send_email(email())
    assert (answer.status_code, answer.content) == (202, b"")
    assert "content-type" not in answer.headers


def test_acceptance_can_have_a_json_body(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(send_answer="json")
    answer = marigold.send_email(email("a"), email("b"))
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted", "count": 2})


def test_rules_can_be_skipped_for_measurements(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(check_rules=False)
    assert marigold.send_email(email("a", headers__subject="", context__tags=["a/b"])).status_code == 202
    assert marigold.send_email(email("a"), email("a")).status_code == 400, "references are still checked"
    assert marigold.send_email(*(email(f"r-{n}") for n in range(101))).status_code == 400
    assert sandbox.counts()["total"] == 1


def test_same_reference_in_two_requests_is_delivered_twice(sandbox: Any, marigold: Any, email: Any) -> None:
    for _ in range(2):
        assert marigold.send_email(email("same"), email("other")).status_code == 202
        marigold.send_email(email("bad_"), email("same"))
    assert sandbox.counts() == {"total": 4, "distinct": 2, "duplicates": 2}
    assert [row["reference"] for row in sandbox.deliveries(reference="same")] == ["same", "same"]
    assert len({row["request"] for row in sandbox.deliveries(reference="same")}) == 2


def test_delivery_shows_what_was_accepted(sandbox: Any, marigold: Any, email: Any) -> None:
    message = email("full", archive_enabled=True)
    marigold.send_email(message)
    (delivery,) = sandbox.deliveries()
    (request,) = sandbox.requests(operation="send_email")
    assert request["at"] - 1 < delivery.pop("accepted_at") < request["at"] + 5
    assert 0 < delivery.pop("size") <= len(json.dumps(message))
    assert delivery == {
        "vendor": "marigold",
        "reference": "full",
        "recipient": "jane.doe@example.com",
        "account": "sandbox-account",
        "request": request["number"],
        "channel": "email",
        "tags": ["spring"],
        "metadata": '{"name":"john"}',
        "profile": "LIST.1",
        "ttl": "P2D",
        "archived": True,
        "extra": None,
    }


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SEND, "POST"),
        ("PUT", SEND, "POST"),
        ("POST", "/api/bounces/v1/bounces", "GET"),
        ("POST", "/api/archive/v1/p", "DELETE, GET"),
        ("GET", "/oauth/token", "POST"),
    ],
)
def test_wrong_method_is_not_allowed(marigold: Any, method: str, path: str, allowed: str) -> None:
    answer = marigold.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["type"] == "https://tools.ietf.org/html/rfc7231#section-6.5.5"


@pytest.mark.parametrize(
    "path", ["/", "/api", f"{SEND}/", "/email/v1/messages/send", "/api/email/v2/messages/send", "/api/archive/v1//m"]
)
def test_unknown_path_is_not_found(marigold: Any, path: str) -> None:
    answer = marigold.post(path, json=[])
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_last_twenty_messages_are_kept_whole_and_a_reset_forgets_them(
    sandbox: Any, marigold: Any, email: Any
) -> None:
    sent = [email(f"reference-{number}") for number in range(25)]
    assert marigold.send_email(*sent).status_code == 202
    assert sandbox.state("latest_messages", vendor="marigold") == sent[-20:]
    sandbox.reset("marigold")
    assert sandbox.state("latest_messages", vendor="marigold") == []
