from __future__ import annotations

import json
import socket
import time
from typing import Any
from urllib.parse import quote, urlsplit

import pytest


def listed(sandbox: Any) -> dict[str, dict[str, Any]]:
    return {entry["email"]: entry for entry in sandbox.state("blacklist", vendor="engageone")}


def test_address_is_listed_with_category_and_reason(sandbox: Any, engageone: Any) -> None:
    answer = engageone.blacklist("jane@example.com", category="news", reason="Hard Bounce")
    assert (answer.status_code, answer.json()) == (201, {"email": "jane@example.com", "status": "listed"})
    entry = listed(sandbox)["jane@example.com"]
    assert entry.pop("at") == pytest.approx(time.time(), abs=5)
    assert entry == {"email": "jane@example.com", "category": "news", "reason": "Hard Bounce", "posts": 1}


@pytest.mark.parametrize(("setting", "status"), [("ok", 200), ("conflict", 409)])
def test_address_that_is_there_already(sandbox: Any, engageone: Any, setting: str, status: int) -> None:
    sandbox.settings("engageone", already_listed=setting)
    engageone.blacklist("jane@example.com", category="news")
    answer = engageone.blacklist("jane@example.com", category="other")
    assert answer.status_code == status
    assert answer.json().get("status", answer.json().get("code")).lower() == "already_listed"
    entry = listed(sandbox)["jane@example.com"]
    assert (entry["category"], entry["posts"]) == ("news", 2)


def test_case_makes_no_difference_in_a_domain_only(sandbox: Any, engageone: Any) -> None:
    answers = [engageone.blacklist(email) for email in ("jane@example.com", "jane@EXAMPLE.com", "Jane@example.com")]
    assert [answer.status_code for answer in answers] == [201, 200, 201]
    assert list(listed(sandbox)) == ["jane@example.com", "Jane@example.com"]


@pytest.mark.parametrize(
    "email", ["jürgen@müller.example", "用户@例子.广告", "x@उदाहरण.परीक्षा", "a+b/c=d'e@example.co.uk"]
)
def test_address_of_any_script_is_listed_and_removed(sandbox: Any, engageone: Any, email: str) -> None:
    assert engageone.blacklist(email).status_code == 201
    assert list(listed(sandbox)) == [email]
    assert engageone.public.delete(f"/public/blacklist/{quote(email, safe='')}").status_code == 204
    assert listed(sandbox) == {}


def test_absent_address_cannot_be_removed(engageone: Any) -> None:
    answer = engageone.public.delete("/public/blacklist/jane%40example.com")
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_LISTED")


@pytest.mark.parametrize("email", ["", "jane", "jane@", "@example.com", "a b@example.com", " jane@example.com", "a@b"])
@pytest.mark.parametrize("path", ["/public/blacklist", "/public/verify"])
def test_malformed_address_is_refused(sandbox: Any, engageone: Any, email: str, path: str) -> None:
    answer = engageone.public.post(path, json={"email": email})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_EMAIL")
    assert listed(sandbox) == {}


def test_malformed_address_cannot_be_removed(engageone: Any) -> None:
    assert engageone.public.delete("/public/blacklist/jane").json()["code"] == "INVALID_EMAIL"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": 5},
        {"email": ["jane@example.com"]},
        {"email": "jane@example.com", "category": None},
        {"email": "jane@example.com", "reason": ""},
        {"email": "jane@example.com", "categories": ["news"]},
        [{"email": "jane@example.com"}],
    ],
)
def test_body_of_another_form_is_refused(sandbox: Any, engageone: Any, body: object) -> None:
    answer = engageone.public.post("/public/blacklist", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    assert listed(sandbox) == {}


@pytest.mark.parametrize(
    ("email", "status"),
    [
        ("jane@example.com", "valid"),
        ("jane@invalid.test", "invalid"),
        ("jane@Unknown.Test", "unknown"),
        ("jane@not-invalid.test", "valid"),
    ],
)
def test_domain_decides_whether_an_address_is_valid(engageone: Any, email: str, status: str) -> None:
    document = engageone.public.post("/public/verify", json={"email": email}).json()
    assert (document["email"], document["status"]) == (email, status)
    assert ("reason" in document) is (status != "valid")


def test_lost_answer_leaves_the_address_listed(sandbox: Any, engageone: Any) -> None:
    fault = {"vendor": "engageone", "operation": "blacklist", "fault": "status", "status": 503, "when": "after"}
    sandbox.faults([{**fault, "times": 1}])
    assert engageone.blacklist("jane@example.com").status_code == 503
    assert engageone.blacklist("jane@example.com").json()["status"] == "already_listed"
    assert listed(sandbox)["jane@example.com"]["posts"] == 2


def test_throttled_address_is_not_listed(sandbox: Any, engageone: Any) -> None:
    fault = {"vendor": "engageone", "operation": "blacklist", "fault": "status", "status": 429, "retry_after": 1}
    sandbox.faults([{**fault, "times": 1}])
    answer = engageone.blacklist("jane@example.com")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json() == {"message": "Too Many Requests", "code": "TOO_MANY_REQUESTS"}
    assert listed(sandbox) == {}


def test_blacklist_of_fifty_thousand_can_be_read(sandbox: Any) -> None:
    """Pipelined over one connection: what is slow here is the client."""
    url, count = urlsplit(sandbox.url), 50_000
    with socket.create_connection((url.hostname, url.port), timeout=60) as wire, wire.makefile("rb") as answers:
        for start in range(0, count, 500):
            wire.sendall(b"".join(posted(f"jane-{number}@example.com") for number in range(start, start + 500)))
            for _ in range(500):
                assert answers.readline().startswith(b"HTTP/1.1 201 ")
                lines = iter(answers.readline, b"\r\n")
                length = next(int(line[15:]) for line in list(lines) if line.lower().startswith(b"content-length:"))
                answers.read(length)
    entries = sandbox.state("blacklist", vendor="engageone")
    assert [entry["email"] for entry in entries] == [f"jane-{number}@example.com" for number in range(count)]
    assert {entry["posts"] for entry in entries} == {1}


def posted(email: str) -> bytes:
    body = json.dumps({"email": email}).encode()
    head = "POST /engageone/public/blacklist HTTP/1.1\r\nHost: sandbox\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
