"""Both drivers choose the same proxy and talk to it alike."""

from __future__ import annotations

import base64
import socket

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.http import Failure, FailureKind, Request, Response
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.proxies import Proxy, choose_proxy
from tests.drivers import Drive
from tests.transport.servers import Answer, Certificates, Server, Stand, reply

# Resolves nowhere: an answer can come from the proxy only.
ELSEWHERE = "http://vendor.invalid"
CREDENTIALS = "Basic " + base64.b64encode("us er:pä:ss".encode()).decode()


def post(url: str) -> Request:
    return Request(method="POST", url=url, operation="vendor.send", body=b"[]")


def with_credentials(server: Server) -> str:
    return server.url.replace("http://", "http://us%20er:p%C3%A4:ss@")


def test_plain_requests_go_through_the_proxy(drive: Drive, stand: Stand) -> None:
    proxy = stand.proxy()
    driver = drive.using(proxy=proxy.url)
    for _ in range(2):
        assert isinstance(driver.send(post(f"{ELSEWHERE}/a%2Fb/%2E%2E?$top=1")), Response)
    assert [seen.target for seen in proxy.requests] == [f"{ELSEWHERE}/a%2Fb/%2E%2E?$top=1"] * 2
    assert {seen.header("Host") for seen in proxy.requests} == {"vendor.invalid"}
    assert {seen.header("Proxy-Authorization") for seen in proxy.requests} == {None}
    assert proxy.connections == 1


def test_tls_requests_tunnel_through_the_proxy(drive: Drive, stand: Stand, certificates: Certificates) -> None:
    server = stand(reply(), certificates.server_context())
    proxy = stand.proxy()
    driver = drive.using(proxy=with_credentials(proxy), verify=certificates.ca_crt)
    for _ in range(2):
        assert isinstance(driver.send(post(f"{server.url}/path")), Response)
    [connect] = proxy.requests
    assert (connect.method, connect.target) == ("CONNECT", f"127.0.0.1:{server.port}")
    assert connect.header("Proxy-Authorization") == CREDENTIALS
    assert [(seen.target, seen.header("Proxy-Authorization")) for seen in server.requests] == [("/path", None)] * 2


def test_plain_requests_carry_the_proxys_credentials(drive: Drive, stand: Stand) -> None:
    proxy = stand.proxy(reply())
    driver = drive.using(proxy=with_credentials(proxy))
    for _ in range(2):
        assert isinstance(driver.send(post(ELSEWHERE)), Response)
    assert [seen.header("Proxy-Authorization") for seen in proxy.requests] == [CREDENTIALS] * 2


def test_the_target_certificate_is_verified_through_a_tunnel(
    drive: Drive, stand: Stand, certificates: Certificates
) -> None:
    server = stand(reply(), certificates.server_context())
    failure = drive.using(proxy=stand.proxy().url).send(post(server.url))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TLS
    assert server.requests == []


@pytest.mark.parametrize("target", ["http://vendor.invalid/", "https://vendor.invalid/"])
def test_a_refusing_proxy_is_a_proxy_failure(drive: Drive, target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    failure = drive.using(proxy=f"http://user:pa55word@127.0.0.1:{port}").send(post(target))
    assert failure == Failure(kind=FailureKind.PROXY, detail="ConnectionRefusedError, ECONNREFUSED")


@pytest.mark.parametrize("target", ["http://vendor.invalid/", "https://vendor.invalid/"])
def test_an_unknown_proxy_is_a_proxy_failure(drive: Drive, target: str) -> None:
    failure = drive.using(proxy="http://user:pa55word@nothing.invalid:3128").send(post(target))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.PROXY
    assert "pa55word" not in str(failure)


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_refused_tunnel_is_a_proxy_failure(drive: Drive, stand: Stand, status: int) -> None:
    proxy = stand.proxy(reply(status, b"pa55word", close=True))
    failure = drive.using(proxy=with_credentials(proxy)).send(post("https://vendor.invalid/"))
    assert failure == Failure(kind=FailureKind.PROXY, detail=f"CONNECT answered with {status}")


@pytest.mark.parametrize("end", [Answer(close=True), Answer(b"HTTP/1.1 2", close=True), Answer(reset=True)])
def test_a_broken_tunnel_is_a_proxy_failure(drive: Drive, stand: Stand, end: Answer) -> None:
    proxy = stand(end)
    failure = drive.using(proxy=proxy.url).send(post("https://vendor.invalid/"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.PROXY


def test_a_proxy_that_wants_other_credentials_is_a_proxy_failure(drive: Drive, stand: Stand) -> None:
    proxy = stand.proxy(reply(407, b"who are you?"))
    failure = drive.using(proxy=with_credentials(proxy)).send(post(ELSEWHERE))
    assert failure == Failure(kind=FailureKind.PROXY, detail="it answered with 407")


def test_a_407_without_a_proxy_is_just_an_answer(drive: Drive, stand: Stand) -> None:
    answer = drive.send(post(stand(reply(407)).url))
    assert isinstance(answer, Response)


def test_a_request_lost_behind_the_proxy_may_have_been_taken(drive: Drive, stand: Stand) -> None:
    proxy = stand.proxy(Answer(close=True))
    proxy = stand(Answer(close=True))
    failure = drive.using(proxy=proxy.url).send(post(ELSEWHERE))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.RESET


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_taken(
    drive: Drive, stand: Stand, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    proxy = stand.proxy()
    monkeypatch.setenv(variable, proxy.url)
    assert isinstance(drive.send(post(ELSEWHERE)), Response)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("bypass", ["vendor.invalid", ".invalid", "vendor.invalid:80", "*", "other, vendor.invalid"])
def test_the_environment_may_except_hosts(
    drive: Drive, stand: Stand, monkeypatch: pytest.MonkeyPatch, bypass: str
) -> None:
    proxy = stand.proxy()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", bypass)
    failure = drive.send(post(ELSEWHERE))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.DNS
    assert proxy.requests == []


def test_an_explicit_proxy_overrules_the_environment(
    drive: Drive, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = stand.proxy()
    monkeypatch.setenv("HTTP_PROXY", "http://other.invalid:1")
    monkeypatch.setenv("NO_PROXY", "*")
    assert isinstance(drive.using(proxy=proxy.url).send(post(ELSEWHERE)), Response)


def test_loopback_takes_an_explicit_proxy_only(drive: Drive, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = stand(), stand.proxy()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    drive.send(post(server.url))
    drive.using(proxy=proxy.url).send(post(server.url))
    assert (len(server.requests), len(proxy.requests)) == (1, 1)


@pytest.mark.parametrize(
    "host", ["localhost", "api.localhost", "127.0.0.1", "127.8.8.8", "[::1]", "[::1]:8080", "LOCALHOST:80"]
)
def test_what_counts_as_loopback(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert choose_proxy(f"http://{host}/", TransportOptions()) is None


@pytest.mark.parametrize("host", ["localhost.example", "128.0.0.1", "[2001:db8::1]", "10.0.0.1"])
def test_what_does_not(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "proxy.example:3128")
    assert choose_proxy(f"https://{host}/", TransportOptions()) == Proxy("http://proxy.example:3128")


def test_each_scheme_has_its_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://u:p@[::1]:3128/ignored")
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    secure = choose_proxy("https://vendor.invalid/", TransportOptions())
    assert secure == Proxy("http://[::1]:3128", {"Proxy-Authorization": "Basic dTpw"})
    assert "dTpw" not in repr(secure)
    assert choose_proxy("http://vendor.invalid/", TransportOptions()) == Proxy("http://all.example")


@pytest.mark.parametrize("address", ["socks5://u:pa55word@127.0.0.1:1080", "http://:3128", "http://[x"])
def test_a_proxy_of_another_kind_is_a_configuration_error(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ConfigurationError, match=r"to change: environment variable HTTPS_PROXY") as caught:
        drive.send(post("https://vendor.invalid/"))
    assert "pa55word" not in str(caught.value)
