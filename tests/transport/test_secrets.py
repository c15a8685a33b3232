"""Secrets of URLs, headers, bodies and proxies don't get out, whatever happens to the request."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import pytest
import urllib3

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.http import Reply, Request
from tests.drivers import AsyncDriver, Drive, Driver
from tests.transport.servers import Answer, Babbler, Certificates, Seen, Server, Stand, reply

SECRET = "s3cr3t"
LIBRARIES = ["urllib3", "requests", "aiohttp", "asyncio", "charset_normalizer", "airflow_provider_messaging"]


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in LIBRARIES:
            caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def secretive(url: str) -> Request:
    return Request(
        method="POST",
        url=f"{url}/{SECRET}-in-path/x?apiKey={SECRET}-in-query",
        operation="vendor.send",
        headers={"Authorization": f"Bearer {SECRET}", "X-API-Key": SECRET},
        body=f'{{"key": "{SECRET}"}}'.encode(),
        max_response_bytes=1000,
    )


def refused(stand: Stand) -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


OUTCOMES: dict[str, Callable[[Stand], str]] = {
    "answer": lambda stand: stand(reply(200, b"{}")).url,
    "error": lambda stand: stand(reply(500, b"{}")).url,
    "redirect": lambda stand: stand(reply(302, b"", f"Location: /{SECRET}")).url,
    "retry after": lambda stand: stand(reply(429, b"", "Retry-After: 1")).url,
    "odd header": lambda stand: stand(reply(200, b"{}", "no colon here")).url,
    "refused": refused,
    "unknown host": lambda stand: "http://nothing.invalid",
    "reset": lambda stand: stand(Answer(reset=True)).url,
    "closed": lambda stand: stand(Answer(close=True)).url,
    "half a head": lambda stand: stand(Answer(b"HTTP/1.1 200 OK\r\nX: y", close=True)).url,
    "garbage": lambda stand: stand(Answer(b"what?\r\n\r\n", close=True)).url,
    "broken body": lambda stand: stand(Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", close=True)).url,
    "too large": lambda stand: stand(reply(200, b"x" * 1001)).url,
    "timeout": lambda stand: stand(Answer(stall=True)).url,
    "tls": lambda stand: stand.add(Babbler(reply())).url.replace("http:", "https:"),
}


def send_wordily(driver: Driver, request: Request) -> Reply:
    if isinstance(driver, AsyncDriver):
        driver.runner.get_loop().set_debug(True)
    return driver.send(request)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_log_shows_a_secret(
    drive: Drive,
    stand: Stand,
    everything_logged: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    outcome: str,
) -> None:
    driver = drive.using(read_timeout=0.3)
    request = secretive(OUTCOMES[outcome](stand))
    for _ in range(2):
        answer = send_wordily(driver, request)
        assert SECRET not in f"{answer} {answer!r} {request!r} {driver!r}"
    driver.close()
    out, err = capfd.readouterr()
    assert "vendor.send: " in everything_logged.text
    assert SECRET not in everything_logged.text + out + err


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", [200, 407, 502])
def test_no_log_shows_a_proxys_password(
    drive: Drive,
    stand: Stand,
    certificates: Certificates,
    everything_logged: pytest.LogCaptureFixture,
    scheme: str,
    status: int,
) -> None:
    def script(seen: Seen) -> Answer:
        return Answer() if seen.method == "CONNECT" and status == 200 else reply(status)

    server = stand(reply(), certificates.server_context())
    proxy = stand.proxy(script)
    target = server.url if scheme == "https" else "http://vendor.invalid"
    url = proxy.url.replace("://", f"://user:{SECRET}@")
    driver = drive.using(proxy=url, verify=certificates.ca_crt)
    answer = send_wordily(driver, secretive(target))
    assert proxy.requests
    assert SECRET not in f"{answer!r} {driver.options!r}"
    driver.close()
    assert SECRET not in everything_logged.text


def test_no_error_shows_a_secret(drive: Drive) -> None:
    def flow() -> Flow[None]:
        yield secretive(f"http://user:{SECRET}@127.0.0.1")

    with pytest.raises(MessagingError) as caught:
        drive.run(flow())
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert SECRET not in str(caught.value)


def test_other_users_of_urllib3_keep_their_logs(
    drive: Drive, stand: Stand, everything_logged: pytest.LogCaptureFixture
) -> None:
    other = stand(reply(200, b"{}"))

    def in_between(seen: Seen) -> Answer:
        ask(other, "/while-ours-is-in-flight")
        return reply(200, b"{}")

    drive.send(secretive(stand(in_between).url))
    ask(other, "/afterwards")
    requests = [r.getMessage() for r in everything_logged.records if r.name == "urllib3.connectionpool"]
    assert [text for text in requests if '"GET /while-ours-is-in-flight HTTP' in text]
    assert [text for text in requests if '"GET /afterwards HTTP' in text]
    assert SECRET not in everything_logged.text


def ask(server: Server, path: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", server.url + path, retries=False)
