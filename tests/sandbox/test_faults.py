"""Every fault, seen from the client's end of the connection."""

from __future__ import annotations

import json
import socket
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_messaging.sandbox.process import Sandbox, SandboxError

SEND = {"vendor": "marigold", "operation": "send_email"}


class Wire:
    """A bare TCP connection: what arrives, and how it ends."""

    def __init__(self, sandbox: Sandbox, marigold: Any) -> None:
        address = urlsplit(sandbox.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=5)
        self.authorization = marigold.headers["Authorization"]

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, message: Any) -> None:
        body = json.dumps([message]).encode()
        head = (
            f"POST /marigold/api/email/v1/messages/send HTTP/1.1\r\nHost: sandbox\r\n"
            f"Authorization: {self.authorization}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.socket.sendall(head.encode() + body)

    def read_to_end(self) -> bytes:
        received = b""
        while chunk := self.socket.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_drop_closes_the_connection_without_a_byte(
    sandbox: Any, marigold: Any, email: Any, when: str, accepted: int
) -> None:
    sandbox.faults([{**SEND, "fault": "drop", "when": when}])
    with Wire(sandbox, marigold) as wire:
        wire.send(email())
        assert wire.read_to_end() == b""
    assert sandbox.counts()["total"] == accepted
    entry = sandbox.requests(operation="send_email")[0]
    assert (entry["status"], entry["fault"]) == (None, f"drop/{when}")


def test_drop_is_a_remote_protocol_error_for_a_client(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.faults([{**SEND, "fault": "drop", "times": 1}])
    with pytest.raises(httpx.RemoteProtocolError):
        marigold.send_email(email())
    assert marigold.send_email(email()).status_code == 202


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
def test_hang_never_answers(sandbox: Any, marigold: Any, email: Any, when: str, accepted: int) -> None:
    sandbox.faults([{**SEND, "fault": "hang", "when": when, "times": 1}])
    with Wire(sandbox, marigold) as wire:
        wire.socket.settimeout(0.5)
        wire.send(email())
        with pytest.raises(TimeoutError):
            wire.socket.recv(1)
    assert sandbox.counts()["total"] == accepted
    assert marigold.feedback("bounces").status_code == 200, "others are served meanwhile"


def test_hang_leaves_nothing_behind_when_the_client_goes(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.faults([{**SEND, "fault": "hang"}])
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            marigold.post("/api/email/v1/messages/send", json=[email()], timeout=0.2)
    sandbox.clear_faults()
    assert marigold.send_email(email()).status_code == 202


@pytest.mark.parametrize("answer", ["empty", "json"])
def test_truncate_announces_more_than_it_sends(sandbox: Any, marigold: Any, email: Any, answer: str) -> None:
    sandbox.settings(send_answer=answer)
    sandbox.faults([{**SEND, "fault": "truncate"}])
    with Wire(sandbox, marigold) as wire:
        wire.send(email())
        head, _, body = wire.read_to_end().partition(b"\r\n\r\n")
    status, *lines = head.decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert status.split()[1] == ("202" if answer == "empty" else "200")
    assert 0 < len(body) == int(headers["content-length"]) // 2
    assert sandbox.counts()["total"] == 1


def test_truncated_page_is_half_of_the_page(sandbox: Any, marigold: Any) -> None:
    sandbox.seed("bounces", 10_000, "2023-01-01", "2023-12-31")
    whole = marigold.feedback("bounces", top=10_000).content
    sandbox.faults([{"operation": "bounces", "fault": "truncate", "times": 1}])
    received: list[bytes] = []
    with marigold.stream("GET", "/api/bounces/v1/bounces?$top=10000") as answer:
        assert int(answer.headers["content-length"]) == len(whole)
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(answer.iter_raw())
    assert b"".join(received) == whole[: len(whole) // 2]


def test_malformed_is_a_success_that_cannot_be_read(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.faults([{"vendor": "marigold", "fault": "malformed"}])
    for answer, status in ((marigold.send_email(email()), 202), (marigold.feedback("bounces"), 200)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    assert sandbox.counts()["total"] == 1


def test_malformed_does_not_make_a_refusal_a_success(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.faults([{**SEND, "fault": "malformed"}])
    assert marigold.send_email(email("bad_")).status_code == 400


@pytest.mark.parametrize(("when", "accepted"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_status_is_the_vendor_s_own_error(
    sandbox: Any, marigold: Any, email: Any, when: str, accepted: int, status: int
) -> None:
    sandbox.faults([{**SEND, "fault": "status", "status": status, "when": when}])
    answer = marigold.send_email(email())
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "retry-after" not in answer.headers
    assert sandbox.counts()["total"] == accepted


@pytest.mark.parametrize(("given", "told"), [(7, "7"), (0, "0"), (-1, "-1"), ("soon", "soon")])
def test_retry_after_is_told_as_given(sandbox: Any, marigold: Any, given: int | str, told: str) -> None:
    sandbox.faults([{"fault": "status", "status": 429, "retry_after": given}])
    assert marigold.feedback("bounces").headers["retry-after"] == told


def test_retry_after_can_be_a_date(sandbox: Any, marigold: Any) -> None:
    sandbox.faults([{"fault": "status", "status": 503, "retry_after": "http-date:30"}])
    told = marigold.feedback("bounces").headers["retry-after"]
    assert told.endswith(" GMT")
    assert 25 < parsedate_to_datetime(told).timestamp() - time.time() < 31


def test_status_can_have_headers_and_a_body(sandbox: Any, marigold: Any) -> None:
    headers = {"Location": "https://elsewhere.example.com/"}
    sandbox.faults([{"fault": "status", "status": 307, "headers": headers, "body": "<html>"}])
    answer = marigold.feedback("bounces")
    assert (answer.status_code, answer.headers["location"], answer.text) == (307, headers["Location"], "<html>")


@pytest.mark.parametrize("when", ["before", "after"])
def test_latency_delays(sandbox: Any, marigold: Any, email: Any, when: str) -> None:
    sandbox.faults([{**SEND, "fault": "latency", "delay": 0.5, "when": when}])
    with Wire(sandbox, marigold) as wire:
        start = time.monotonic()
        wire.send(email())
        time.sleep(0.2)
        assert sandbox.counts()["total"] == (1 if when == "after" else 0)
        assert wire.socket.recv(12) == b"HTTP/1.1 202"
        assert time.monotonic() - start >= 0.49  # timers may be early by the resolution of the clock
    assert sandbox.requests(operation="send_email")[0]["duration"] >= 0.49


def test_latency_composes_with_what_stands_around_it(sandbox: Any, marigold: Any) -> None:
    sandbox.faults(
        [
            {"fault": "latency", "delay": 0.2},
            {"fault": "status", "status": 503},
            {"fault": "latency", "delay": 0.2, "when": "after"},
        ]
    )
    start = time.monotonic()
    assert marigold.feedback("bounces").status_code == 503
    assert time.monotonic() - start >= 0.4
    assert sandbox.requests()[-1]["fault"] == "latency+status/before+latency"


def test_expire_token_makes_the_next_call_unauthorized(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.faults([{**SEND, "fault": "expire_token", "times": 1}])
    assert marigold.send_email(email()).status_code == 401
    assert marigold.feedback("bounces").status_code == 401, "it stays expired"
    marigold.login()
    assert marigold.send_email(email()).status_code == 202


def test_token_endpoint_has_faults_too(sandbox: Any, marigold: Any) -> None:
    sandbox.faults([{"operation": "token", "fault": "status", "status": 503}])
    assert marigold.post("/oauth/token", json={}).status_code == 503
    assert marigold.feedback("bounces").status_code == 200


def test_admin_has_no_faults(sandbox: Any) -> None:
    sandbox.faults([{"fault": "drop"}])
    assert sandbox.health()["status"] == "ok"


def statuses(marigold: Any, count: int) -> list[int]:
    return [marigold.feedback("bounces").status_code for _ in range(count)]


def test_skip_lets_the_first_pass_and_times_ends_it(sandbox: Any, marigold: Any) -> None:
    sandbox.faults([{"fault": "status", "status": 503, "skip": 2, "times": 3}])
    assert statuses(marigold, 7) == [200, 200, 503, 503, 503, 200, 200]
    (report,) = sandbox.fault_report()
    assert (report["matched"], report["fired"]) == (7, 3)


def test_first_fault_that_fires_is_applied(sandbox: Any, marigold: Any) -> None:
    sandbox.faults([{"fault": "status", "status": 500, "times": 1}, {"fault": "status", "status": 503, "times": 2}])
    assert statuses(marigold, 4) == [500, 503, 503, 200]
    assert [report["fired"] for report in sandbox.fault_report()] == [1, 2]


def test_operation_limits_a_fault(sandbox: Any, marigold: Any) -> None:
    sandbox.faults([{"operation": "complaints", "fault": "status", "status": 503}])
    assert marigold.feedback("complaints").status_code == 503
    assert marigold.feedback("bounces").status_code == 200
    (report,) = sandbox.fault_report()
    assert report["matched"] == 1


def test_probability_is_decided_by_the_seed(sandbox: Any, marigold: Any) -> None:
    runs = []
    for seed in (1, 1, 2):
        sandbox.clear_faults()
        sandbox.faults([{"fault": "status", "status": 503, "probability": 0.5, "seed": seed}])
        runs.append(statuses(marigold, 40))
    assert runs[0] == runs[1] != runs[2]
    assert 5 < runs[0].count(503) < 35


def test_cleared_faults_are_gone(sandbox: Any, marigold: Any) -> None:
    sandbox.faults([{"vendor": "marigold", "fault": "status"}, {"fault": "latency"}])
    sandbox.clear_faults("marigold")
    assert [report["fault"] for report in sandbox.fault_report()] == ["latency"]
    sandbox.clear_faults()
    assert sandbox.fault_report() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "explode"},
        {},
        {"fault": "drop", "when": "during"},
        {"fault": "status", "status": 99},
        {"fault": "latency", "delay": -1},
        {"fault": "drop", "probability": 2},
        {"fault": "drop", "operation": "send_mail"},
        {"fault": "drop", "vendor": "nobody"},
        {"fault": "drop", "colour": "red"},
        {"fault": "status", "retry_after": "http-date:soon"},
    ],
)
def test_wrong_fault_is_refused(sandbox: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match="faults"):
        sandbox.faults([{"fault": "drop"}, wrong])
    assert sandbox.fault_report() == [], "all or none"
