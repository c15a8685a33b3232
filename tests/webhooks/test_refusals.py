"""What a receiver does with requests that it should not take, and after them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from tests.webhooks.running import HEADERS, PREVIOUS, SECRET, Running, event


def post(receiver: Running, body: bytes, **headers: str) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
    """Post to the receiver; headers by their names in lower case, ``_`` for ``-``; an empty one is left out."""
    merged = {name.lower(): value for name, value in HEADERS.items()}
    merged |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    try:
        sent = {name: value for name, value in merged.items() if value}
        connection.request("POST", "/marigold", body, sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers
    finally:
        connection.close()


def encoded(identifier: str, **more: Any) -> bytes:
    return json.dumps(event(identifier, **more)).encode()


@pytest.fixture(autouse=True)
def still_serving(receiver: Running, request: pytest.FixtureRequest) -> Any:
    """After each test the receiver takes a good event, and that is all that it has stored."""
    before = receiver.figure("received_total")
    yield
    status, answer, _ = post(receiver, encoded(f"after {request.node.name}"))
    assert (status, answer) == (200, {"events": 1, "new": 1})
    stored = 1 if request.node.get_closest_marker("stores") is None else 2
    assert receiver.figure("received_total") == before + stored


@pytest.mark.parametrize(
    "headers",
    [
        {"x_webhook_secret": ""},
        {"x_webhook_secret": "wrong"},
        {"x_webhook_secret": SECRET[:-1]},
        {"x_webhook_secret": SECRET + "x"},
        {"x_webhook_secret": "sécret-of-the-tests"},
        {"x_webhook_secret": "", "authorization": f"Basic {SECRET}"},
        {"x_webhook_secret": "", "authorization": "Bearer wrong"},
        {"x_webhook_secret": "wrong", "authorization": f"Bearer {SECRET}"},
    ],
)
def test_without_the_secret_nothing_is_taken(receiver: Running, headers: dict[str, str]) -> None:
    status, answer, found = post(receiver, encoded("secret"), **headers)
    assert status == 401
    assert found["WWW-Authenticate"] == "Bearer"
    assert answer["detail"] == "the secret is missing or wrong"


@pytest.mark.stores
@pytest.mark.parametrize(
    ("number", "headers"),
    [
        (1, {"x_webhook_secret": SECRET}),
        (2, {"x_webhook_secret": PREVIOUS}),
        (3, {"x_webhook_secret": "", "authorization": f"Bearer {SECRET}"}),
        (4, {"x_webhook_secret": "", "authorization": f"bearer {PREVIOUS}"}),
    ],
)
def test_either_secret_is_valid_in_either_header(receiver: Running, number: int, headers: dict[str, str]) -> None:
    assert post(receiver, encoded(f"valid {number}"), **headers)[0] == 200


@pytest.mark.stores
def test_an_event_that_comes_again_is_acknowledged_and_not_stored_again(receiver: Running) -> None:
    before = receiver.figure("duplicates_total")
    answers = [post(receiver, encoded("replayed"))[1] for _ in range(3)]
    assert [answer["new"] for answer in answers] == [1, 0, 0]
    assert receiver.figure("duplicates_total") == before + 2


@pytest.mark.parametrize("says_its_length", [True, False])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(receiver: Running, says_its_length: bool) -> None:
    body = encoded("large", padding="x" * 2_000_000)
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    try:
        chunks = [body[at : at + 1000] for at in range(0, len(body), 1000)]
        connection.request("POST", "/marigold", body if says_its_length else iter(chunks), HEADERS)
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["detail"] == "the body is larger than 20000 bytes"
    finally:
        connection.close()


def test_a_sender_of_gigabytes_is_not_read_to_the_end(receiver: Running) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as raw:
        head = f"POST /marigold HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\nContent-Type: application/json\r\n"
        raw.sendall(f"{head}Content-Length: 4000000000\r\n\r\n".encode())
        sent = 0
        with suppress(OSError):
            # It hangs up, which ends this.
            while sent < 200_000_000:
                raw.sendall(b"x" * 65_536)
                sent += 65_536
    assert sent < 100_000_000


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]x", "not JSON"),
        (b"5", "not a JSON object"),
        (b'{"id": "1"}', "has no 'source'"),
        (json.dumps({**event("1"), "id": None}).encode(), "has no 'id'"),
        (json.dumps([event("fine"), {**event("2"), "type": 7}]).encode(), "event 1"),
    ],
)
def test_what_is_no_event_is_told_why_and_nothing_of_it_is_stored(receiver: Running, body: bytes, says: str) -> None:
    status, answer, _ = post(receiver, body)
    assert status == 400
    assert says in answer["detail"]


@pytest.mark.parametrize("levels", [40, 9_000])
def test_deep_nesting_is_refused(receiver: Running, levels: int) -> None:
    body = encoded("deep")[:-1] + b', "deep": ' + b"[" * levels + b"]" * levels + b"}"
    status, answer, _ = post(receiver, body)
    assert status == 400
    assert "nested" in answer["detail"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_another_content_type_is_refused(receiver: Running, content_type: str) -> None:
    status, answer, _ = post(receiver, encoded("typed"), content_type=content_type)
    assert status == 415
    assert "application/json" in answer["detail"]


def head(length: int = 1000) -> bytes:
    lines = (
        "POST /marigold HTTP/1.1",
        "Host: x",
        f"X-Webhook-Secret: {SECRET}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_sender_of_a_slow_body_is_told_and_hung_up_on(receiver: Running) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as raw:
        raw.sendall(head() + b"{")
        answer = raw.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 408")
        while raw.recv(65_536):
            pass


@pytest.mark.parametrize("begun", [b"", b"POST /marigold HTTP/1.1\r\nHost: x\r\n"])
def test_a_connection_without_a_request_is_hung_up_on(receiver: Running, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=60) as raw:
        raw.sendall(begun)
        assert raw.recv(65_536) == b""


def test_slow_senders_take_no_more_places_than_there_are(receiver: Running) -> None:
    slow = [socket.create_connection(("127.0.0.1", receiver.port), timeout=30) for _ in range(8)]
    try:
        for raw in slow:
            raw.sendall(head() + b"{")
        seen: list[tuple[int, str | None]] = []
        deadline = time.monotonic() + 20
        while not any(status == 503 for status, _ in seen) and time.monotonic() < deadline:
            status, _, headers = post(receiver, b"{")
            seen.append((status, headers["Retry-After"]))
        assert (503, "1") in seen
        for raw in slow:
            assert raw.recv(65_536).startswith(b"HTTP/1.1 408")
    finally:
        for raw in slow:
            raw.close()


def test_senders_that_hang_up_leave_their_places(receiver: Running) -> None:
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as raw:
            raw.sendall(head() + b"{")
    # Some of them may still be counted for a moment.
    deadline = time.monotonic() + 20
    while post(receiver, b"{")[0] == 503:
        assert time.monotonic() < deadline


def options(receiver: Running, **headers: str) -> tuple[int, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)
    try:
        connection.request("OPTIONS", "/marigold", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        connection.close()


def test_the_handshake_is_answered_to_those_who_know_the_secret(receiver: Running) -> None:
    origin = {"WebHook-Request-Origin": "events.example.com"}
    status, headers = options(receiver, **origin, **{"X-Webhook-Secret": SECRET})
    assert (status, headers["WebHook-Allowed-Origin"]) == (200, "events.example.com")
    status, headers = options(receiver, **origin)
    assert (status, headers["WebHook-Allowed-Origin"]) == (401, None)


def test_refusals_are_counted_by_reason_and_no_secret_is_logged(receiver: Running) -> None:
    post(receiver, b"{")
    post(receiver, b"{", x_webhook_secret="a guess that failed")
    lines = receiver.get("/metrics")
    assert 'messaging_webhooks_refused_total{reason="malformed"}' in lines
    assert 'messaging_webhooks_refused_total{reason="secret"}' in lines
    for secret in (SECRET, PREVIOUS, "a guess that failed", "@example.com"):
        assert secret not in receiver.log
        assert secret not in lines


@pytest.mark.stores
def test_concurrent_posts_of_one_event_store_it_once(receiver: Running) -> None:
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(post(receiver, encoded("at once"))[1])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer["new"] for answer in answers) == 1
