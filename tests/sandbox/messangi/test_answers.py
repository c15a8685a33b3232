"""The envelope, of successes and of errors."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

LISTS = "/dothraki/v1/lists"


def meta(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["meta"]
    return found


def test_every_answer_says_when_and_which_it_is(messangi: Any) -> None:
    answers = [messangi.get(LISTS), messangi.post(LISTS, json={"name": "News"}), messangi.get(f"{LISTS}/unknown")]
    assert [answer.status_code for answer in answers] == [200, 201, 404]
    for answer in answers:
        assert list(meta(answer)) == ["timestamp", "transactionId", "explain"]
        assert abs(meta(answer)["timestamp"] - time.time() * 1000) < 60_000, "milliseconds"
        assert meta(answer)["explain"]
    assert len({uuid.UUID(meta(answer)["transactionId"]) for answer in answers}) == 3


def test_segments_are_those_the_answer_has(messangi: Any) -> None:
    created = messangi.post(LISTS, json={"name": "News"}).json()
    assert list(created) == ["meta", "data"]
    assert list(messangi.get(LISTS).json()) == ["meta", "pagination", "items"]
    assert list(messangi.get(f"{LISTS}/unknown").json()) == ["meta", "errors"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/raven/v1/messages", 404),
        ("GET", "/raven/v2/nothing", 404),
        ("GET", "/dothraki/v1/anything", 404),
        ("GET", "/maester/v1/reports", 404),
        ("DELETE", "/raven/v2/messages", 405),
        ("PATCH", LISTS, 405),
    ],
)
def test_anything_else_is_answered_in_the_envelope(messangi: Any, method: str, path: str, status: int) -> None:
    answer = messangi.request(method, path)
    assert answer.status_code == status
    assert list(answer.json()) == ["meta", "errors"]
    assert list(answer.json()["errors"]) == ["reason", "details"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, "Invalid scope"),
        (429, "Your connection is being rate limited"),
        (500, "Something went wrong"),
        (503, "Your connection is being throttled or the service is down for maintenance"),
    ],
)
def test_fault_has_the_vendors_words(sandbox: Any, messangi: Any, status: int, reason: str) -> None:
    order = {"vendor": "messangi", "operation": "send_sms", "fault": "status", "status": status, "retry_after": 3}
    sandbox.faults([order])
    answer = messangi.sms()
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "3")
    assert answer.json()["errors"]["reason"] == reason
    assert sandbox.counts("messangi")["total"] == 0


def test_wrong_members_are_named_in_the_details(messangi: Any) -> None:
    errors = messangi.post("/crowsnest/v2/emails", json={"to": "x", "cc": "y", "bcc": "z"}).json()["errors"]
    assert errors["details"] == [{"field": name, "message": "is not known"} for name in ("bcc", "cc")]
    errors = messangi.email(to="x").json()["errors"]
    assert errors["details"] == [{"field": "to", "message": "must be an e-mail address"}]
