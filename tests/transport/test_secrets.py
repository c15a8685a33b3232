"""Secrets of URLs, headers, bodies and proxies don't get out, whatever happens to the request."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import MessagingError, StorageError
from airflow_provider_messaging.core.flow import Api, Flow, Problem
from airflow_provider_messaging.core.http import Request, Response, Stream
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.wire import outgoing
from tests.drivers import AsyncDriver, Drive, Driver
from tests.transport.servers import Answer, Babbler, Certificates, Seen, Server, Stand, reply

SECRET = "s3cr3t"
LIBRARIES = {"urllib3", "requests", "aiohttp", "asyncio", "charset_normalizer", "http", "airflow_provider_messaging"}
UNKNOWN_HOST = "http://nothing.invalid"


class Everything(logging.Handler):
    """Keeps all of every record: message, arguments, traceback, stack."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        parts = [
            record.name,
            record.getMessage(),
            repr(record.__dict__),
            record.exc_text or "",
            record.stack_info or "",
        ]
        if record.exc_info and record.exc_info[1] is not None:
            parts.append(told_by(record.exc_info[1]))
        self.texts.append("\n".join(parts))

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def told_by(error: BaseException) -> str:
    """Return all that an exception, and what led to it, can tell, whether or not a traceback would show it."""
    seen: dict[int, BaseException] = {}
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is not None and id(current) not in seen:
            seen[id(current)] = current
            queue += [current.__cause__, current.__context__]
    parts = traceback.format_exception(error)
    for each in seen.values():
        parts += [str(each), repr(each), repr(each.args), repr(vars(each)), *getattr(each, "__notes__", [])]
    return "\n".join(parts)


@pytest.fixture
def everything() -> Iterator[Everything]:
    """All logging of this process, the libraries' at DEBUG."""
    import aiohttp  # noqa: F401  # so that its loggers exist

    handler = Everything()
    names = [None, *(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LIBRARIES)]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    yield handler
    logging.root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@dataclass(frozen=True)
class Trouble:
    """Where a request goes, and with which options."""

    url: str
    options: dict[str, Any] = field(default_factory=dict)


def refused(stand: Stand) -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def to(answer: Answer) -> Callable[[Stand, Certificates], Trouble]:
    return lambda stand, certificates: Trouble(stand(answer).url)


def by_proxy(target: str, answer: Answer) -> Callable[[Stand, Certificates], Trouble]:
    def trouble(stand: Stand, certificates: Certificates) -> Trouble:
        return Trouble(target, {"proxy": stand.proxy(answer).url.replace("://", f"://user:{SECRET}@")})

    return trouble


def by_no_proxy(target: str) -> Callable[[Stand, Certificates], Trouble]:
    return lambda stand, certificates: Trouble(target, {"proxy": refused(stand).replace("://", f"://user:{SECRET}@")})


OUTCOMES: dict[str, Callable[[Stand, Certificates], Trouble]] = {
    "answer": to(reply(200, b"{}")),
    "answer over TLS": lambda stand, certificates: Trouble(
        stand(reply(200, b"{}"), certificates.server_context()).url, {"verify": certificates.ca_crt}
    ),
    "answer through a tunnel": lambda stand, certificates: Trouble(
        stand(reply(200, b"{}"), certificates.server_context()).url,
        {"verify": certificates.ca_crt, "proxy": stand.proxy().url},
    ),
    "rejection": to(reply(400, b"{}")),
    "unknown path": to(reply(404, b"{}")),
    "refused credentials": to(reply(401, b"{}")),
    "error": to(reply(500, b"{}")),
    "redirect": to(reply(302, b"", f"Location: /{SECRET}")),
    "retry after": to(reply(429, b"", "Retry-After: 1")),
    "odd header": to(reply(200, b"{}", "no colon here")),
    "refused": lambda stand, certificates: Trouble(refused(stand)),
    "unknown host": lambda stand, certificates: Trouble(UNKNOWN_HOST),
    "reset": to(Answer(reset=True)),
    "closed": to(Answer(close=True)),
    "half a head": to(Answer(b"HTTP/1.1 200 OK\r\nX: y", close=True)),
    "garbage": to(Answer(b"what?\r\n\r\n", close=True)),
    "broken body": to(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", close=True)),
    "broken chunks": to(Answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", close=True)),
    "broken gzip": to(reply(200, b"nothing zipped", "Content-Encoding: gzip")),
    "too large": to(reply(200, b"x" * 1001)),
    "timeout": to(Answer(stall=True)),
    "timeout in the body": to(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", stall=True)),
    "no TLS": lambda stand, certificates: Trouble(stand.add(Babbler(reply())).url.replace("http:", "https:")),
    "untrusted certificate": lambda stand, certificates: Trouble(stand(reply(), certificates.server_context()).url),
    "another host's certificate": lambda stand, certificates: Trouble(
        stand(reply(), certificates.server_context("other")).url, {"verify": certificates.ca_crt}
    ),
    "client certificate asked for": lambda stand, certificates: Trouble(
        stand(reply(), certificates.server_context(ask_client=True)).url, {"verify": certificates.ca_crt}
    ),
    "certificates not verified": lambda stand, certificates: Trouble(
        stand(reply(), certificates.server_context()).url, {"verify": False}
    ),
    "proxy": by_proxy(UNKNOWN_HOST, reply(200, b"{}")),
    "proxy refuses": by_proxy(UNKNOWN_HOST, reply(407, b"who are you?")),
    "proxy fails": by_proxy(UNKNOWN_HOST, reply(502)),
    "proxy resets": by_proxy(UNKNOWN_HOST, Answer(reset=True)),
    "proxy refuses a tunnel": by_proxy("https://nothing.invalid", reply(407, b"who are you?")),
    "proxy fails to tunnel": by_proxy("https://nothing.invalid", reply(502)),
    "proxy resets a tunnel": by_proxy("https://nothing.invalid", Answer(reset=True)),
    "no proxy": by_no_proxy(UNKNOWN_HOST),
    "no proxy for a tunnel": by_no_proxy("https://nothing.invalid"),
    "unknown proxy": lambda stand, certificates: Trouble(
        UNKNOWN_HOST, {"proxy": f"http://user:{SECRET}@nothing.invalid:3128"}
    ),
}

ENQUEUE = Endpoint(
    vendor="vendor",
    name="send",
    method="POST",
    path="/{token}/x",
    safety=Safety.UNSAFE,
    evidence=Evidence.UNPUBLISHED,
)


@dataclass(frozen=True)
class SecretAuth:
    """Adds a key to the query."""

    def authorize(self, request: Request) -> Flow[Request]:
        return request
        yield

    def renew(self, request: Request, response: Response) -> Request | None:
        return None

    def __repr__(self) -> str:
        return SECRET


def secret_api(url: str) -> Api:
    return Api(
        vendor="vendor",
        connection="c",
        base_url=url,
        auth=SecretAuth(),
        read_problem=lambda response: Problem(),
        retry=RetryPolicy(max_attempts=2, base=0.0),
    )


def secretive(url: str, body: bytes | Stream | None = None) -> Request:
    return Request(
        method="POST",
        url=f"{url}/{SECRET}-in-path/x?apiKey={SECRET}-in-query",
        operation="vendor.send",
        headers={"Authorization": f"Bearer {SECRET}", "X-API-Key": SECRET},
        body=f'{{"key": "{SECRET}"}}'.encode() if body is None else body,
        max_response_bytes=1000,
    )


def wordy(driver: Driver) -> Driver:
    """In debug mode, asyncio logs every step that takes longer than a limit: all of them, here."""
    if isinstance(driver, AsyncDriver):
        loop = driver.runner.get_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0
    return driver


def finish(driver: Driver) -> None:
    """Let go of everything: what was never closed or never looked at is told of only now."""
    driver.close()
    gc.collect()


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("body", ["bytes", "stream"])
def test_no_log_and_no_repr_shows_a_secret(
    drive: Drive,
    stand: Stand,
    certificates: Certificates,
    everything: Everything,
    capfd: pytest.CaptureFixture[str],
    outcome: str,
    body: str,
) -> None:
    trouble = OUTCOMES[outcome](stand, certificates)
    driver = wordy(drive.using(**{"read_timeout": 0.3, **trouble.options}))
    content = Stream(lambda: iter([SECRET.encode() * 10_000]), None) if body == "stream" else None
    request = secretive(trouble.url, content)
    for _ in range(2):
        answer = driver.send(request)
        assert SECRET not in f"{answer} {answer!r} {request!r} {driver!r} {driver.options!r}"
        assert SECRET not in repr(outgoing(request, driver.options))
    finish(driver)
    out, err = capfd.readouterr()
    assert "vendor.send: " in everything.text
    assert ("asyncio\nExecuting <Task" in everything.text) == (drive.name == "async")
    assert SECRET not in everything.text + out + err


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_error_of_a_call_shows_a_secret(
    drive: Drive, stand: Stand, certificates: Certificates, everything: Everything, outcome: str
) -> None:
    trouble = OUTCOMES[outcome](stand, certificates)
    driver = wordy(drive.using(**{"read_timeout": 0.3, **trouble.options}))
    api = secret_api(trouble.url)
    told = repr(api)
    try:
        call = api.call(ENQUEUE, segments={"token": SECRET}, params={"apiKey": SECRET}, max_response_bytes=1000)
        told += repr(driver.run(call))
    except MessagingError as error:
        told += told_by(error)
    finish(driver)
    assert "vendor.send: " in everything.text
    assert SECRET not in told + everything.text


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_log_shows_a_proxys_password(
    drive: Drive, stand: Stand, certificates: Certificates, everything: Everything, scheme: str
) -> None:
    server = stand(reply(), certificates.server_context())
    proxy = stand.proxy()
    target = server.url if scheme == "https" else "http://vendor.invalid"
    url = proxy.url.replace("://", f"://user:{SECRET}@")
    driver = wordy(drive.using(proxy=url, verify=certificates.ca_crt))
    answer = driver.send(secretive(target))
    assert isinstance(answer, Response)
    assert proxy.requests
    assert SECRET not in f"{answer!r} {driver.options!r}"
    finish(driver)
    assert SECRET not in everything.text


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1",
        f"http://user:{SECRET}/@127.0.0.1",
        f"http://[{SECRET}",
        f"http://[{SECRET}]/",
        f"http://{SECRET}\u2100.example/",
        f"ftp://127.0.0.1/{SECRET}",
        f"//127.0.0.1/{SECRET}",
    ],
)
def test_no_error_of_a_url_that_cant_be_used_shows_a_secret(drive: Drive, url: str) -> None:
    with pytest.raises(MessagingError) as caught:
        drive.send(Request(method="GET", url=url, operation="vendor.x"))
    assert SECRET not in told_by(caught.value)


def test_no_error_of_a_header_that_cant_be_sent_shows_a_secret(drive: Drive) -> None:
    request = Request(method="GET", url="http://127.0.0.1", operation="vendor.x", headers={"X-Key": f"{SECRET}\n"})
    with pytest.raises(MessagingError) as caught:
        drive.send(request)
    assert SECRET not in told_by(caught.value)


def test_our_own_errors_in_the_middle_of_a_request_show_no_secret(
    drive: Drive, stand: Stand, everything: Everything, tmp_path: Path
) -> None:
    def content() -> Iterator[bytes]:
        yield b"x" * 300_000
        raise StorageError("the bucket is away")

    driver = wordy(drive.using())
    server = stand(reply(200, b"{}"))
    with pytest.raises(StorageError, match="the bucket is away") as caught:
        driver.send(secretive(server.url, Stream(content)))
    assert SECRET not in told_by(caught.value)
    download = Request(
        method="GET",
        url=f"{server.url}/{SECRET}?k={SECRET}",
        operation="vendor.x",
        download_to=str(tmp_path / "nowhere" / "file"),
    )
    with pytest.raises(MessagingError) as caught_download:
        driver.send(download)
    finish(driver)
    assert SECRET not in told_by(caught_download.value) + everything.text


def test_a_body_that_cant_be_sent_on_shows_no_secret(drive: Drive, stand: Stand, everything: Everything) -> None:
    class Hasty(Server):
        def _handle(self, connection: socket.socket, number: int) -> None:
            connection.recv(1000)
            super().answer(Seen("POST", "/", (), b"", number), connection)
            connection.close()
            with self._lock:
                self.open -= 1

    server = stand.add(Hasty(Answer(reset=True)))
    driver = wordy(drive.using())
    for body in (b"x" * 10_000_000, Stream(lambda: iter([b"x" * 10_000_000]))):
        answer = driver.send(secretive(server.url, body))
        assert SECRET not in repr(answer)
    finish(driver)
    assert SECRET not in everything.text


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
async def test_a_cancelled_request_shows_no_secret(stand: Stand, everything: Everything, head: bytes) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    server = stand(Answer(head, stall=True))
    async with AsyncTransport(TransportOptions()) as transport:
        for pause in (0.0, 0.001, 0.01, 0.1):
            task = asyncio.create_task(transport.send(secretive(server.url)))
            await asyncio.sleep(pause)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert SECRET not in told_by(caught.value) + repr(task)
    del task, caught
    gc.collect()
    await asyncio.sleep(0)
    assert SECRET not in everything.text


def test_the_records_that_are_dropped_are_those_that_show_it(stand: Stand, everything: Everything) -> None:
    """Were the libraries silent by themselves, the tests above would prove nothing."""
    ask(stand(reply(200, b"{}")), f"/{SECRET}")
    assert SECRET in everything.text


def test_other_users_of_urllib3_keep_their_logs(drive: Drive, stand: Stand, everything: Everything) -> None:
    other = stand(reply(200, b"{}"))

    def in_between(seen: Seen) -> Answer:
        ask(other, "/while-ours-is-in-flight")
        return reply(200, b"{}")

    drive.send(secretive(stand(in_between).url))
    ask(other, "/afterwards")
    assert '"GET /while-ours-is-in-flight HTTP' in everything.text
    assert '"GET /afterwards HTTP' in everything.text
    assert SECRET not in everything.text


def ask(server: Server, path: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", server.url + path, retries=False)
