"""Certificates count the same with both drivers."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import struct
import subprocess
import warnings
from pathlib import Path

import certifi
import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.http import Failure, FailureKind, Request, Response
from tests.drivers import Drive
from tests.transport.servers import Answer, Babbler, Certificates, Server, Stand, reply


def post(server: Server, host: str = "127.0.0.1") -> Request:
    url = server.url.replace("127.0.0.1", host)
    return Request(method="POST", url=f"{url}/path", operation="vendor.send", body=b"[]")


@pytest.fixture
def server(stand: Stand, certificates: Certificates) -> Server:
    return stand(reply(), certificates.server_context())


def test_an_untrusted_certificate_is_refused(drive: Drive, server: Server) -> None:
    failure = drive.send(post(server))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TLS
    assert failure.detail.startswith("SSLCertVerificationError, CERTIFICATE_VERIFY_FAILED")
    assert server.requests == []


def test_a_certificate_for_another_host_is_refused(drive: Drive, stand: Stand, certificates: Certificates) -> None:
    server = stand(reply(), certificates.server_context("other"))
    failure = drive.using(verify=certificates.ca_crt).send(post(server))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TLS
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_of_the_given_authority_is_trusted(
    drive: Drive, server: Server, certificates: Certificates, host: str
) -> None:
    driver = drive.using(verify=certificates.ca_crt)
    for _ in range(3):
        assert isinstance(driver.send(post(server, host)), Response)
    assert server.connections == 1


def test_authorities_may_come_as_a_folder(
    drive: Drive, server: Server, certificates: Certificates, tmp_path: Path
) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("names the files of such a folder with the openssl command")
    command = [openssl, "x509", "-noout", "-hash", "-in", certificates.ca_crt]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(certificates.ca_crt, tmp_path / f"{name}.0")
    assert isinstance(drive.using(verify=str(tmp_path)).send(post(server)), Response)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_environment_may_name_the_authorities(
    drive: Drive, server: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, certificates.ca_crt)
    assert isinstance(drive.send(post(server)), Response)
    explicit = drive.using(verify=certifi.where()).send(post(server))
    assert isinstance(explicit, Failure)


def test_verification_can_be_switched_off(drive: Drive, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    driver = drive.using(verify=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert isinstance(driver.send(post(server)), Response)
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage() == "vendor: certificates are not verified, as the connection's extra 'verify' says"


def test_a_client_certificate_is_presented(drive: Drive, stand: Stand, certificates: Certificates) -> None:
    server = stand(reply(), certificates.server_context(ask_client=True))
    driver = drive.using(
        verify=certificates.ca_crt, client_cert=certificates.client_crt, client_key=certificates.client_key
    )
    assert isinstance(driver.send(post(server)), Response)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_is_a_tls_failure(
    drive: Drive, stand: Stand, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    context = certificates.server_context(ask_client=True)
    context.maximum_version = version
    server = stand(reply(), context)
    failure = drive.using(verify=certificates.ca_crt).send(post(server))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TLS
    assert server.requests == []


def test_a_port_without_tls_is_a_tls_failure(drive: Drive, stand: Stand) -> None:
    server = stand.add(Babbler(reply()))
    failure = drive.send(Request(method="GET", url=f"https://127.0.0.1:{server.port}", operation="vendor.x"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TLS


def test_no_common_cipher_is_a_tls_failure(drive: Drive, stand: Stand, certificates: Certificates) -> None:
    context = certificates.server_context()
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = stand(reply(), context)
    failure = drive.using(verify=False).send(post(server))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TLS


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x03\x00"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_handshake_that_is_cut_off_is_a_refused_connection(
    drive: Drive, stand: Stand, hello: bytes, reset: bool
) -> None:
    server = stand.add(Slammer(reply(), hello=hello, reset=reset))
    failure = drive.send(Request(method="GET", url=f"https://127.0.0.1:{server.port}", operation="vendor.x"))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.REFUSED


class Slammer(Server):
    def __init__(self, script: Answer, *, hello: bytes, reset: bool) -> None:
        super().__init__(script)
        self._hello, self._reset = hello, reset

    def _handle(self, connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(self._hello)
        if self._reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def test_a_closed_tls_connection_is_not_used_again(drive: Drive, stand: Stand, certificates: Certificates) -> None:
    # Closed with and without TLS's goodbye.
    server = stand(Answer(reply().data, close=True, pause=0.05), certificates.server_context())
    driver = drive.using(verify=certificates.ca_crt)
    for _ in range(4):
        assert isinstance(driver.send(post(server)), Response)
        assert server.idle()
    assert server.connections == 4


@pytest.mark.parametrize(
    ("option", "options"),
    [
        ("verify", {"verify": "/no/such/file"}),
        ("verify", {"verify": __file__}),
        ("client_cert", {"verify": False, "client_cert": "/no/such/file"}),
        ("client_cert", {"verify": False, "client_cert": __file__}),
    ],
)
def test_unusable_files_are_named(drive: Drive, option: str, options: dict[str, object]) -> None:
    driver = drive.using(**options)
    with pytest.raises(ConfigurationError, match=rf"to change: extra '{option}'\]"):
        driver.send(Request(method="GET", url="https://127.0.0.1:1/", operation="vendor.x"))
    assert isinstance(driver.send(Request(method="GET", url="http://127.0.0.1:1/", operation="vendor.x")), Failure)
