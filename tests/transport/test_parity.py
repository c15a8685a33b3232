"""What goes over the wire and what comes of it is the same with both drivers."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.http import Failure, FailureKind, Reply, Request, Response
from tests.drivers import Drive
from tests.transport.servers import Answer, Seen, Server, Stand, reply


def get(url: str, **parts: object) -> Request:
    return Request(method="GET", url=url, operation="vendor.read", **parts)  # type: ignore[arg-type]


def post(url: str, body: bytes | None = b"[]", **parts: object) -> Request:
    return Request(method="POST", url=url, operation="vendor.send", body=body, **parts)  # type: ignore[arg-type]


def failure(reply: Reply) -> Failure:
    assert isinstance(reply, Failure)
    return reply


def response(reply: Reply) -> Response:
    assert isinstance(reply, Response), reply
    return reply


# ------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", "/"),
        ("?a=1", "/?a=1"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/%2E%2E/x", "/%2E%2E/x"),
        ("/caf%C3%A9%20au%20lait", "/caf%C3%A9%20au%20lait"),
        ("/café au lait", "/caf%C3%A9%20au%20lait"),
        ("/100%", "/100%25"),
        ("/a%25b", "/a%25b"),
        ("/p?$top=100&$skip=0", "/p?$top=100&$skip=0"),
        ("/p?q=a%26b%3Dc+d&e=", "/p?q=a%26b%3Dc+d&e="),
        ("/p?q=a/b?c", "/p?q=a/b?c"),
        ("/Message(42)/x;y=1,2:3@4!~*'", "/Message(42)/x;y=1,2:3@4!~*'"),
        ("/p#fragment", "/p"),
        ('/"<>[]{}|^`\\', "/%22%3C%3E%5B%5D%7B%7D%7C%5E%60%5C"),
    ],
)
def test_the_target_arrives_as_requested(drive: Drive, stand: Stand, target: str, expected: str) -> None:
    server = stand()
    drive.send(get(server.url + target))
    assert [seen.target for seen in server.requests] == [expected]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_the_method_arrives(drive: Drive, stand: Stand, method: str) -> None:
    server = stand(reply() if method != "HEAD" else Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"))
    assert response(drive.send(Request(method=method, url=server.url, operation="vendor.x"))).ok
    assert [seen.method for seen in server.requests] == [method]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, b"", b"[1]", bytes(range(256)) * 8192])
def test_headers_and_body_arrive_and_nothing_else(drive: Drive, stand: Stand, method: str, body: bytes | None) -> None:
    server = stand()
    own = {"Authorization": "Bearer t0ken", "content-type": "application/json", "X-Empty": ""}
    drive.send(Request(method=method, url=server.url, operation="vendor.x", headers=own, body=body))
    [seen] = server.requests
    length = {} if body is None and method == "GET" else {"content-length": str(len(body or b""))}
    assert {name.lower(): value for name, value in seen.headers} == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "airflow-provider-messaging/0.1.0",
        "accept-encoding": "gzip",
        "authorization": "Bearer t0ken",
        "content-type": "application/json",
        "x-empty": "",
        **length,
    }
    assert seen.body == (body or b"")


def test_the_user_agent_and_accept_encoding_can_be_replaced(drive: Drive, stand: Stand) -> None:
    server = stand()
    driver = drive.using(user_agent="tests/1")
    driver.send(get(server.url))
    driver.send(get(server.url, headers={"accept-encoding": "identity", "user-agent": "mine"}))
    assert [(s.header("user-agent"), s.header("accept-encoding")) for s in server.requests] == [
        ("tests/1", "gzip"),
        ("mine", "identity"),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "127.0.0.1/path",
        "http:///path",
        "http://127.0.0.1:70000/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://user:pa55word@127.0.0.1/",
        f"http://{'ü' * 80}.example/",
    ],
)
def test_an_impossible_url_is_a_configuration_error(drive: Drive, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^vendor read: the URL .*host of the connection") as caught:
        drive.send(get(url))
    assert "pa55word" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3cret\n", "s3cret\0", "s3crét", "s3cret–"])
def test_an_impossible_header_is_a_configuration_error(drive: Drive, stand: Stand, value: str) -> None:
    server = stand()
    with pytest.raises(ConfigurationError, match=r"the header 'Authorization' holds") as caught:
        drive.send(get(server.url, headers={"Authorization": value}))
    assert "s3cr" not in str(caught.value)
    assert server.requests == []


def test_netrc_does_not_replace_our_authorization(
    drive: Drive, stand: Stand, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", netrc)
    server = stand()
    drive.send(get(server.url, headers={"Authorization": "Bearer ours"}))
    drive.send(get(server.url))
    assert [seen.header("Authorization") for seen in server.requests] == ["Bearer ours", None]


def test_cookies_are_not_kept(drive: Drive, stand: Stand) -> None:
    server = stand(reply(200, b"", "Set-Cookie: session=1; Path=/"))
    drive.send(get(server.url))
    drive.send(get(server.url))
    assert [seen.header("Cookie") for seen in server.requests] == [None, None]


# -------------------------------------------------------------------------------------------------- answers


def test_an_answer_comes_back_whole(drive: Drive, stand: Stand) -> None:
    server = stand(reply(418, b'{"a": 1}', "Content-Type: application/json", "X-Trace-ID: 7", "x-latin: caf\xe9"))
    answer = response(drive.send(get(server.url)))
    assert (answer.status, answer.body, answer.json()) == (418, b'{"a": 1}', {"a": 1})
    assert answer.headers["x-trace-id"] == answer.headers["X-TRACE-ID"] == "7"
    assert answer.headers["X-Latin"] == "café"


def test_the_last_of_repeated_headers_wins(drive: Drive, stand: Stand) -> None:
    server = stand(reply(429, b"", "Retry-After: 1", "retry-after: 2", "RETRY-AFTER: 3"))
    assert response(drive.send(get(server.url))).headers["Retry-After"] == "3"


@pytest.mark.parametrize("answer", [reply(202), reply(204), reply(304), reply(200)])
def test_an_answer_may_be_empty(drive: Drive, stand: Stand, answer: Answer) -> None:
    server = stand(answer)
    bodies = [response(drive.send(post(server.url))).body for _ in range(2)]
    assert bodies == [b"", b""]
    assert server.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(drive: Drive, stand: Stand, status: int) -> None:
    server = stand(reply(status, b"moved", "Location: /elsewhere"))
    answer = response(drive.send(post(server.url)))
    assert (answer.status, answer.headers["location"], answer.body) == (status, "/elsewhere", b"moved")
    assert len(server.requests) == 1


def chunked(*chunks: bytes, end: bool = True, headers: str = "") -> Answer:
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + (b"0\r\n\r\n" if end else b"")
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode()
    return Answer(head + data, close=not end)


def test_chunks_are_joined(drive: Drive, stand: Stand) -> None:
    server = stand(chunked(b"one,", b"x" * 100_000, b",two"))
    for _ in range(2):
        assert response(drive.send(get(server.url))).body == b"one," + b"x" * 100_000 + b",two"
    assert server.connections == 1


def test_a_body_may_end_with_the_connection(drive: Drive, stand: Stand) -> None:
    server = stand(Answer(b"HTTP/1.0 200 OK\r\n\r\nall of it", close=True))
    assert response(drive.send(get(server.url))).body == b"all of it"


TEXT = b"a page of rows, " * 10_000


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT[:70]) + gzip.compress(TEXT[70:])),
        ("gzip", gzip.compress(TEXT) + b"\0" * 512),
    ],
    ids=["gzip", "upper case", "x-gzip", "deflate", "identity", "two members", "padded"],
)
@pytest.mark.parametrize("framed", ["length", "chunked"])
def test_compressed_answers_are_decoded(drive: Drive, stand: Stand, encoding: str, data: bytes, framed: str) -> None:
    coding = f"Content-Encoding: {encoding}"
    cut = [data[i : i + 97] for i in range(0, len(data), 97)]
    server = stand(reply(200, data, coding) if framed == "length" else chunked(*cut, headers=coding + "\r\n"))
    assert response(drive.send(get(server.url))).body == TEXT


def test_an_empty_answer_may_call_itself_compressed(drive: Drive, stand: Stand) -> None:
    server = stand(reply(202, b"", "Content-Encoding: gzip"))
    assert response(drive.send(post(server.url))).body == b""


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"x" * 1001),
        reply(200, b"x" * 10_000_000),
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", stall=True),
        chunked(*[b"x" * 100] * 11),
        Answer(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1001, close=True),
        reply(200, gzip.compress(b"x" * 1001), "Content-Encoding: gzip"),
        reply(200, gzip.compress(b"x" * 100_000_000), "Content-Encoding: gzip"),
    ],
    ids=["length", "long", "announced", "chunked", "until close", "gzip", "bomb"],
)
def test_an_answer_beyond_the_limit_is_too_large(drive: Drive, stand: Stand, answer: Answer) -> None:
    server = stand([answer, reply(202)])
    problem = failure(drive.send(get(server.url, max_response_bytes=1000)))
    assert (problem.kind, problem.status) == (FailureKind.TOO_LARGE, 200)
    assert response(drive.send(get(server.url))).status == 202, "the rest must not get into the next answer"


@pytest.mark.parametrize(
    "answer", [reply(200, b"x" * 1000), reply(200, gzip.compress(b"x" * 1000), "Content-Encoding: gzip")]
)
def test_an_answer_may_be_as_long_as_the_limit(drive: Drive, stand: Stand, answer: Answer) -> None:
    server = stand(answer)
    assert len(response(drive.send(get(server.url, max_response_bytes=1000))).body) == 1000


# ---------------------------------------------------------------------------------------------- connections


def test_one_connection_serves_all_requests(drive: Drive, stand: Stand) -> None:
    server = stand(reply(200, b"{}"))
    for _ in range(20):
        assert response(drive.send(get(server.url))).ok
    assert (len(server.requests), server.connections) == (20, 1)


def test_an_error_does_not_cost_the_connection(drive: Drive, stand: Stand) -> None:
    server = stand([reply(500, b"oops"), reply(404, b"no"), reply(200)])
    assert [response(drive.send(get(server.url))).status for _ in range(3)] == [500, 404, 200]
    assert server.connections == 1


def test_close_closes_the_connections(drive: Drive, stand: Stand) -> None:
    server = stand()
    driver = drive.using()
    driver.send(get(server.url))
    driver.close()
    assert server.idle()


def test_a_connection_that_idled_too_long_is_not_used_again(drive: Drive, stand: Stand) -> None:
    server = stand()
    driver = drive.using(keep_alive=0.2)
    driver.send(get(server.url))
    time.sleep(0.5)
    driver.send(get(server.url))
    assert server.connections == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(
    drive: Drive, stand: Stand, method: str
) -> None:
    # Closed after the answer was read: the asynchronous driver's loop stands still then.
    server = stand(Answer(reply().data, close=True, pause=0.05))
    for _ in range(5):
        assert response(drive.send(Request(method=method, url=server.url, operation="vendor.x"))).ok
        assert server.idle()
    assert (len(server.requests), server.connections) == (5, 5)


# ------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("end", [Answer(close=True), Answer(reset=True)], ids=["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_request_lost_before_the_answer_is_seen_once(
    drive: Drive, stand: Stand, end: Answer, method: str, before: int
) -> None:
    server = stand([reply()] * before + [end])
    for _ in range(before):
        assert response(drive.send(get(server.url))).ok
    problem = failure(drive.send(Request(method=method, url=server.url, operation="vendor.x")))
    assert (problem.kind, problem.status) == (FailureKind.RESET, None)
    assert len(server.requests) == before + 1
    assert server.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 202 Accepted\r\nX: y\r\n",
    ],
)
def test_half_a_head_is_no_answer(drive: Drive, stand: Stand, head: bytes) -> None:
    server = stand(Answer(head, close=True))
    problem = failure(drive.send(post(server.url)))
    assert (problem.kind, problem.status) == (FailureKind.RESET, None)
    assert len(server.requests) == 1


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\0\1\2\r\n\r\n"])
def test_an_answer_in_another_language_is_no_answer(drive: Drive, stand: Stand, garbage: bytes) -> None:
    server = stand(Answer(garbage, close=True))
    problem = failure(drive.send(post(server.url)))
    assert (problem.kind, problem.status) == (FailureKind.OTHER, None)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", close=True),
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", close=True),
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", reset=True),
        chunked(b"12345", end=False),
        chunked(end=False),
        Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n12345", close=True),
        reply(200, b"no gzip at all", "Content-Encoding: gzip"),
        reply(200, gzip.compress(TEXT)[:-20], "Content-Encoding: gzip"),
        reply(200, gzip.compress(TEXT)[:9], "Content-Encoding: gzip"),
        reply(200, gzip.compress(TEXT)[:-8] + bytes(8), "Content-Encoding: gzip"),
        reply(200, b"whatever", "Content-Encoding: br"),
    ],
    ids=[
        "length",
        "nothing",
        "reset",
        "between chunks",
        "no chunk",
        "in a chunk",
        "not gzip",
        "half gzip",
        "gzip head",
        "gzip checksum",
        "unknown coding",
    ],
)
def test_a_broken_body_is_a_failure_with_the_status(drive: Drive, stand: Stand, answer: Answer) -> None:
    server = stand(answer)
    problem = failure(drive.send(get(server.url)))
    assert (problem.kind, problem.status) == (FailureKind.BODY, 200)
    assert len(server.requests) == 1


def test_a_damaged_chunk_is_no_complete_answer(drive: Drive, stand: Stand) -> None:
    server = stand(Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n\r\n", close=True))
    problem = failure(drive.send(get(server.url)))
    # aiohttp's parser gives the head away with the damage when both come in one packet.
    assert (problem.kind, problem.status) in {(FailureKind.BODY, 200), (FailureKind.OTHER, None)}
    assert not problem.kind.surely_not_taken


def test_a_refused_connection(drive: Drive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    problem = failure(drive.send(post(f"http://127.0.0.1:{port}/")))
    assert problem.kind is FailureKind.REFUSED
    assert str(problem) == "the connection was refused (ConnectionRefusedError, ECONNREFUSED)"


def test_an_unknown_host(drive: Drive) -> None:
    problem = failure(drive.send(post("http://nothing.invalid/")))
    assert problem.kind is FailureKind.DNS
    assert problem.detail.startswith("gaierror, EAI_")


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port whose listener never accepts: once its queue is full, Linux ignores whoever wants to connect."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_connection_within_the_connect_timeout(drive: Drive, full_backlog: int, scheme: str) -> None:
    driver = drive.using(connect_timeout=0.3, read_timeout=20)
    started = time.monotonic()
    problem = failure(driver.send(post(f"{scheme}://127.0.0.1:{full_backlog}/")))
    assert problem.kind is FailureKind.CONNECT_TIMEOUT
    assert 0.2 < time.monotonic() - started < 5


def test_a_tls_handshake_that_stalls_ends_with_the_connect_timeout(drive: Drive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        driver = drive.using(connect_timeout=0.3, read_timeout=20)
        problem = failure(driver.send(post(f"https://127.0.0.1:{listener.getsockname()[1]}/")))
    assert problem.kind is FailureKind.CONNECT_TIMEOUT


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"])
def test_no_answer_within_the_read_timeout(drive: Drive, stand: Stand, data: bytes) -> None:
    server = stand(Answer(data, stall=True))
    started = time.monotonic()
    problem = failure(drive.using(read_timeout=0.3).send(post(server.url)))
    assert (problem.kind, problem.status) == (FailureKind.READ_TIMEOUT, None)
    assert 0.2 < time.monotonic() - started < 5
    assert len(server.requests) == 1


def test_an_answer_that_stalls_is_a_read_timeout_with_the_status(drive: Drive, stand: Stand) -> None:
    server = stand([Answer(b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\n12345", stall=True), reply(202)])
    driver = drive.using(read_timeout=0.3)
    problem = failure(driver.send(post(server.url)))
    assert (problem.kind, problem.status) == (FailureKind.READ_TIMEOUT, 503)
    assert response(driver.send(post(server.url))).status == 202, "the connection must not be used again"


def test_a_request_has_a_read_timeout_of_its_own(drive: Drive, stand: Stand) -> None:
    server = stand([Answer(stall=True), reply()])
    driver = drive.using(read_timeout=30)
    started = time.monotonic()
    assert failure(driver.send(post(server.url, read_timeout=0.3))).kind is FailureKind.READ_TIMEOUT
    assert time.monotonic() - started < 5


def test_a_slow_answer_is_no_timeout_while_bytes_keep_coming(drive: Drive, stand: Stand) -> None:
    class Slow(Server):
        def answer(self, seen: Seen, connection: socket.socket) -> bool:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n":
                connection.sendall(bytes([byte]))
            for byte in b"12345678":
                time.sleep(0.1)
                connection.sendall(bytes([byte]))
            return True

    server = stand.add(Slow(reply()))
    assert response(drive.using(read_timeout=0.5).send(get(server.url))).body == b"12345678"


def test_a_request_that_nobody_reads_ends_with_a_timeout(drive: Drive) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        driver = drive.using(connect_timeout=0.2, read_timeout=0.2)
        started = time.monotonic()
        problem = failure(driver.send(post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 50_000_000)))
    assert problem.kind is FailureKind.READ_TIMEOUT
    assert time.monotonic() - started < 5


def test_sending_may_take_longer_than_connecting(drive: Drive, stand: Stand) -> None:
    class Slow(Server):
        def _handle(self, connection: socket.socket, number: int) -> None:
            time.sleep(0.6)
            super()._handle(connection, number)

    server = stand.add(Slow(reply()))
    body = b"x" * 20_000_000
    assert response(drive.using(connect_timeout=0.2, read_timeout=5).send(post(server.url, body))).ok
    assert server.requests[0].body == body


def test_the_failure_of_an_earlier_call_does_not_colour_a_later_one(drive: Drive, stand: Stand) -> None:
    server = stand(Answer(close=True))
    try:
        raise TimeoutError
    except TimeoutError:
        assert failure(drive.send(post(server.url))).kind is FailureKind.RESET


def test_no_more_connections_than_the_pool_allows_and_waiting_is_no_timeout(drive: Drive, stand: Stand) -> None:
    def slowly(seen: Seen) -> Answer:
        time.sleep(0.15)
        return reply()

    server = stand(slowly)
    driver = drive.using(pool_size=2, connect_timeout=0.3, read_timeout=2)
    replies = driver.send_all([get(server.url)] * 8)
    assert [response(reply).status for reply in replies] == [200] * 8
    assert server.connections == 2


def test_failed_requests_give_their_place_in_the_pool_back(drive: Drive, stand: Stand) -> None:
    server = stand(
        [
            Answer(close=True),
            Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", close=True),
            reply(200, b"x" * 1001),
            reply(),
        ]
    )
    driver = drive.using(pool_size=1, read_timeout=1)
    for _ in range(3):
        failure(driver.send(get(server.url, max_response_bytes=1000)))
    assert response(driver.send(get(server.url))).ok
