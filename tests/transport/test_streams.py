"""Bodies that are read while they are sent."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import StorageError
from airflow_provider_messaging.core.flow import Api, NoAuth, Problem
from airflow_provider_messaging.core.http import Failure, FailureKind, Request, Response, Stream
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.transport.options import TransportOptions
from tests.drivers import Drive, eventually
from tests.transport.servers import Answer, Certificates, Digester, Server, Stand, reply

MB = 1024 * 1024
UPLOAD = Endpoint(
    vendor="vendor",
    name="upload",
    method="POST",
    path="/assets",
    safety=Safety.UNSAFE,
    evidence=Evidence.SPECIFIED,
)


class Content:
    """A source that counts how often it was opened and closed."""

    def __init__(self, *pieces: bytes, error: Exception | None = None, pause: float = 0.0) -> None:
        self.pieces = pieces
        self.error = error
        self.pause = pause
        self.opened = 0
        self.closed = 0

    def __call__(self) -> Iterator[bytes]:
        self.opened += 1
        return self._read()

    def _read(self) -> Iterator[bytes]:
        try:
            for piece in self.pieces:
                if self.pause:
                    time.sleep(self.pause)
                yield piece
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)


def post(url: str, content: Callable[[], Iterator[bytes]], length: int | None = None, **parts: Any) -> Request:
    return Request(method="POST", url=url, operation="vendor.upload", body=Stream(content, length), **parts)


PIECES: dict[str, list[bytes]] = {
    "nothing": [],
    "empty pieces": [b"", b"", b"ab", b"", b"c", b""],
    "one byte": [b"x"],
    "lines": [b"%d\n" % number for number in range(50_000)],
    "a whole one": [b"x" * 65536],
    "a whole one and a byte": [b"x" * 65536, b"y"],
    "a large one": [os.urandom(1_000_003)],
    "odd ones": [os.urandom(size) for size in (1, 65535, 65537, 3, 200_000)],
}


@pytest.mark.parametrize("known", [True, False], ids=["known length", "unknown length"])
@pytest.mark.parametrize("pieces", PIECES)
def test_all_bytes_arrive_framed_as_the_length_is_known(drive: Drive, stand: Stand, pieces: str, known: bool) -> None:
    server = stand()
    content = Content(*PIECES[pieces])
    length = len(content.whole)
    answer = drive.send(post(server.url, content, length if known else None))
    assert isinstance(answer, Response)
    [seen] = server.requests
    assert seen.whole
    assert hashlib.sha256(seen.body).digest() == hashlib.sha256(content.whole).digest()
    assert seen.header("Content-Length") == (str(length) if known else None)
    assert seen.header("Transfer-Encoding") == (None if known else "chunked")
    assert (content.opened, content.closed) == (1, 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("length", [3, None])
def test_any_method_may_have_a_stream(drive: Drive, stand: Stand, method: str, length: int | None) -> None:
    server = stand()
    drive.send(Request(method=method, url=server.url, operation="v.x", body=Stream(lambda: iter([b"abc"]), length)))
    assert [(seen.method, seen.body) for seen in server.requests] == [(method, b"abc")]


@pytest.mark.parametrize("length", [3 * MB, None])
def test_a_stream_goes_through_tls_and_a_tunnel(
    drive: Drive, stand: Stand, certificates: Certificates, length: int | None
) -> None:
    server = stand(reply(), certificates.server_context())
    proxy = stand.proxy()
    content = Content(*[os.urandom(MB) for _ in range(3)])
    driver = drive.using(proxy=proxy.url, verify=certificates.ca_crt)
    assert isinstance(driver.send(post(server.url, content, length)), Response)
    assert server.requests[0].body == content.whole


@pytest.mark.parametrize("known", [True, False], ids=["known length", "unknown length"])
def test_memory_stays_flat(drive: Drive, stand: Stand, known: bool) -> None:
    count, piece = 160, os.urandom(MB)
    server = stand.add(Digester(reply()))
    request = post(server.url, lambda: (piece for _ in range(count)), count * MB if known else None)
    drive.send(post(server.url, Content(b"warm-up")))
    tracemalloc.start()
    try:
        assert isinstance(drive.send(request), Response)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    expected = hashlib.sha256()
    for _ in range(count):
        expected.update(piece)
    assert server.requests[1].body == expected.digest()
    assert peak < 8 * MB


def test_a_connection_is_used_again_after_a_stream(drive: Drive, stand: Stand) -> None:
    server = stand()
    for length in (3, None, 3):
        drive.send(post(server.url, Content(b"abc"), length))
    assert [seen.connection for seen in server.requests] == [1, 1, 1]


@pytest.mark.parametrize("length", [200_000, None])
def test_a_repeat_reads_it_anew_from_its_start(drive: Drive, stand: Stand, length: int | None) -> None:
    server = stand([reply(503), reply(429), reply(201)])
    content = Content(b"x" * 100_000, b"y" * 100_000)
    api = Api(
        vendor="vendor", connection="c", base_url=server.url, auth=NoAuth(), read_problem=lambda response: Problem()
    )
    parts: dict[str, Any] = {"body": Stream(content, length)}
    assert drive.run(api.call(UPLOAD, **parts)).status == 201
    assert [seen.body == content.whole for seen in server.requests] == [True] * 3
    assert (content.opened, content.closed) == (3, 3)


# ------------------------------------------------------------------------------------------- our own failures

ERRORS = [
    StorageError("the bucket is away"),
    OSError(5, "input/output error"),
    BrokenPipeError(32, "broken pipe"),
    ConnectionResetError(104, "reset"),
    TimeoutError("the bucket is slow"),
    ValueError("a programming error"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("length", [300_000, 300_001, None])
@pytest.mark.parametrize("count", [1, 3])
def test_an_error_of_the_source_comes_out_as_it_is_and_leaves_an_incomplete_request(
    drive: Drive, stand: Stand, error: Exception, length: int | None, count: int
) -> None:
    server = stand()
    content = Content(*[b"x" * (300_000 // count)] * count, error=error)
    error.__context__ = None
    with pytest.raises(type(error)) as caught:
        drive.send(post(server.url, content, length))
    assert caught.value is error
    assert error.__context__ is None
    assert content.closed == 1
    assert server.idle()
    assert not any(seen.whole for seen in server.requests)


def test_nothing_is_sent_where_the_source_cant_be_opened(drive: Drive, stand: Stand) -> None:
    def content() -> Iterator[bytes]:
        raise StorageError("no such bucket")

    server = stand()
    with pytest.raises(StorageError, match="no such bucket"):
        drive.send(post(server.url, content, 3))
    assert server.connections == 0


@pytest.mark.parametrize("length", [0, 1, 299_999, 300_001])
def test_a_source_of_another_length_is_an_error_and_leaves_an_incomplete_request(
    drive: Drive, stand: Stand, length: int
) -> None:
    server = stand()
    content = Content(*[b"x" * 100_000] * 3)
    with pytest.raises(StorageError, match="it was said to have"):
        drive.send(post(server.url, content, length))
    assert content.closed == 1
    assert server.idle()
    assert not any(seen.whole for seen in server.requests)


def test_the_next_request_after_an_error_of_the_source_gets_its_own_answer(drive: Drive, stand: Stand) -> None:
    server = stand()
    drive.send(post(server.url, Content(b"abc")))
    with pytest.raises(StorageError):
        drive.send(post(server.url, Content(b"x" * 300_000, error=StorageError("away")), None))
    drive.send(post(server.url, Content(b"def")))
    assert [seen.body for seen in server.requests if seen.whole] == [b"abc", b"def"]


# --------------------------------------------------------------------------------------- the vendor's failures


def nobody(stand: Stand) -> str:
    server = stand()
    server.stop()
    return server.url


FAILURES: dict[str, tuple[Callable[[Stand], str], FailureKind]] = {
    "refused": (nobody, FailureKind.REFUSED),
    "unknown host": (lambda stand: "http://nothing.invalid", FailureKind.DNS),
    "reset": (lambda stand: stand(Answer(reset=True)).url, FailureKind.RESET),
    "closed": (lambda stand: stand(Answer(close=True)).url, FailureKind.RESET),
    "timeout": (lambda stand: stand(Answer(stall=True)).url, FailureKind.READ_TIMEOUT),
    "broken body": (
        lambda stand: stand(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", close=True)).url,
        FailureKind.BODY,
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("length", [100_000, None])
def test_a_failure_of_the_vendor_closes_the_source(
    drive: Drive, stand: Stand, failure: str, length: int | None
) -> None:
    url_of, kind = FAILURES[failure]
    content = Content(b"x" * 100_000)
    answer = drive.using(read_timeout=0.3).send(post(url_of(stand), content, length))
    assert isinstance(answer, Failure)
    assert answer.kind is kind
    assert (content.opened, content.closed) == (1, 1)


class Impatient(Server):
    """Answers as soon as it has seen the head, then reads on, or not, or closes."""

    def __init__(self, answer: Answer, then: str) -> None:
        self._then = then
        self._early = answer.data
        super().__init__(answer)

    def _handle(self, connection: Any, number: int) -> None:
        head = b""
        with suppress(OSError):
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            connection.sendall(self._early)
            while self._then == "reads" and connection.recv(65536):
                pass
            if self._then == "stalls":
                self._stopping.wait(5)
        connection.close()
        with self._lock:
            self.open -= 1


def test_an_answer_before_the_end_of_the_body_is_the_answer(drive: Drive, stand: Stand) -> None:
    server = stand.add(Impatient(reply(413, b"too much", "Connection: close"), "reads"))
    content = Content(*[b"x" * MB] * 20)
    for attempt in (1, 2):
        answer = drive.send(post(server.url, content, 20 * MB))
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (413, b"too much")
        assert (content.opened, content.closed) == (attempt, attempt)


def test_a_server_that_stops_reading_is_a_timeout(drive: Drive, stand: Stand) -> None:
    server = stand.add(Impatient(Answer(b""), "stalls"))
    content = Content(*[b"x" * MB] * 50)
    started = time.monotonic()
    answer = drive.using(read_timeout=0.3).send(post(server.url, content, 50 * MB))
    assert isinstance(answer, Failure)
    assert answer.kind is FailureKind.READ_TIMEOUT
    assert time.monotonic() - started < 3
    assert content.closed == 1


def test_the_time_that_the_source_takes_is_not_the_vendors(drive: Drive, stand: Stand) -> None:
    server = stand()
    content = Content(*[b"x" * 100_000] * 4, pause=0.4)
    answer = drive.using(connect_timeout=0.2, read_timeout=0.3).send(post(server.url, content, 400_000))
    assert isinstance(answer, Response)
    assert server.requests[0].whole


# ------------------------------------------------------------------------------------------------ event loops


async def test_reading_the_source_does_not_hold_up_the_loop(stand: Stand) -> None:
    server = stand()
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            started = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - started)

    ticking = asyncio.create_task(tick())
    async with AsyncTransport() as transport:
        await transport.send(post(server.url, Content(b"warm-up")))
        longest = 0.0
        await transport.send(post(server.url, Content(*[b"x" * 100_000] * 4, pause=0.4)))
    ticking.cancel()
    assert longest < 0.3


async def test_a_cancelled_request_closes_its_source_once_nobody_reads_it(stand: Stand) -> None:
    entered, leave = threading.Event(), threading.Event()
    closed: list[str] = []

    def content() -> Iterator[bytes]:
        try:
            yield b"x" * 300_000
            entered.set()
            leave.wait(10)
            yield b"y"
        finally:
            closed.append(threading.current_thread().name)

    server = stand()
    async with AsyncTransport(TransportOptions()) as transport:
        task = asyncio.create_task(transport.send(post(server.url, content)))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed == []
        leave.set()
        assert await asyncio.to_thread(eventually, lambda: closed)
        assert await asyncio.to_thread(server.idle)
    assert len(closed) == 1
    assert not any(seen.whole for seen in server.requests)


async def test_many_streams_go_at_once(stand: Stand) -> None:
    server = stand()
    contents = [Content(*[os.urandom(50_000)] * 5) for _ in range(20)]
    async with AsyncTransport(TransportOptions(pool_size=4)) as transport:
        await asyncio.gather(*(transport.send(post(server.url, content)) for content in contents))
    assert {seen.body for seen in server.requests} == {content.whole for content in contents}
    assert all(content.closed == 1 for content in contents)
