"""The pure parts under both drivers."""

from __future__ import annotations

import gzip
import socket
import ssl
import zlib
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.http import FailureKind, Headers, Request
from airflow_provider_messaging.transport.failures import classify, describe
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.transport.wire import Body, Broken, TooLarge, outgoing

SECRET = "https://vendor.example/?apiKey=s3cr3t"
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n"))


def request(url: str = "http://vendor.example/", limit: int = 10**6) -> Request:
    return Request(method="GET", url=url, operation="vendor.read", max_response_bytes=limit)


# ----------------------------------------------------------------------------------------------------- URLs


@given(text, text)
def test_a_url_keeps_its_meaning_and_changes_no_more(path: str, query: str) -> None:
    path = path.translate(str.maketrans("", "", "?#"))
    query = query.replace("#", "")
    out = outgoing(request(f"http://vendor.example/{path}?{query}"), TransportOptions())
    assert out.url.isascii()
    assert out.url.isprintable()
    assert " " not in out.url
    parts = urlsplit(out.url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("http", "vendor.example", "")
    assert unquote(parts.path) == unquote("/" + path)
    assert unquote(parts.query) == unquote(query)
    assert outgoing(request(out.url), TransportOptions()).url == out.url


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("HTTP://Vendor.Example", "http://vendor.example/"),
        ("https://bücher.example:8443/x", "https://xn--bcher-kva.example:8443/x"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://vendor.example/a/../b", "http://vendor.example/a/../b"),
    ],
)
def test_hosts_are_written_in_ascii(url: str, sent: str) -> None:
    assert outgoing(request(url), TransportOptions()).url == sent


# --------------------------------------------------------------------------------------------------- bodies


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


@given(st.binary(), st.sampled_from(["", "gzip", "deflate"]), st.lists(st.integers(0), max_size=8), st.integers(0, 50))
def test_a_body_is_whole_however_it_arrives_or_too_large(data: bytes, coding: str, cuts: list[int], limit: int) -> None:
    encoded = {"": data, "gzip": gzip.compress(data), "deflate": zlib.compress(data)}[coding]
    body = Body(request(limit=limit), Headers({"Content-Encoding": coding}))
    try:
        for piece in pieces(encoded, cuts):
            body.feed(piece)
        whole = body.finish()
    except TooLarge:
        assert len(data) > limit
    else:
        assert whole == data
        assert len(data) <= limit


@given(st.binary(min_size=1), st.integers(0), st.lists(st.integers(0), max_size=5))
def test_a_cut_off_compressed_body_is_noticed(data: bytes, cut: int, cuts: list[int]) -> None:
    encoded = gzip.compress(data)
    part = encoded[: 1 + cut % (len(encoded) - 1)]
    body = Body(request(), Headers({"Content-Encoding": "gzip"}))

    def read() -> bytes:
        for piece in pieces(part, cuts):
            body.feed(piece)
        return body.finish()

    with pytest.raises(Broken):
        read()


@given(st.binary(max_size=200), st.lists(st.integers(0), max_size=5))
def test_no_compressed_garbage_does_anything_else(data: bytes, cuts: list[int]) -> None:
    body = Body(request(limit=1000), Headers({"Content-Encoding": "gzip"}))
    try:
        for piece in pieces(data, cuts):
            body.feed(piece)
        assert len(body.finish()) <= 1000
    except (Broken, TooLarge):
        pass


# ------------------------------------------------------------------------------------------------- failures


class Foreign(Exception):
    pass


ERRORS = [
    Foreign(SECRET),
    ValueError(SECRET),
    OSError(SECRET),
    OSError(5, SECRET),
    ConnectionResetError(104, SECRET),
    TimeoutError(SECRET),
    socket.gaierror(-2, SECRET),
    ssl.SSLError(1, SECRET),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("proxied", [True, False])
@pytest.mark.parametrize("status", [None, 200])
def test_no_errors_text_gets_into_a_failure(error: Exception, connected: bool, proxied: bool, status: int) -> None:
    outer = Foreign(SECRET)
    outer.__cause__ = error
    outermost = Foreign(SECRET, outer)
    failure = classify(outermost, connected=connected, proxied=proxied, status=status if connected else None)
    assert "s3cr3t" not in f"{failure} {failure!r}"
    assert failure.kind.surely_not_taken <= (not connected)
    assert failure.detail.startswith(type(error).__name__) or failure.kind is FailureKind.BODY


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(111, SECRET), "ConnectionRefusedError, ECONNREFUSED"),
        (OSError(113, SECRET), "OSError, EHOSTUNREACH"),
        (OSError(987654, SECRET), "OSError, 987654"),
        (socket.gaierror(-2, SECRET), "gaierror, EAI_NONAME"),
        (TimeoutError(), "TimeoutError"),
        (Foreign(SECRET), "Foreign"),
    ],
)
def test_an_error_is_described_by_class_and_number(error: Exception, text: str) -> None:
    assert describe(error) == text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(-3, ""), FailureKind.DNS),
        (ConnectionRefusedError(111, ""), FailureKind.REFUSED),
        (OSError(113, "no route"), FailureKind.REFUSED),
        (ConnectionResetError(104, ""), FailureKind.REFUSED),
        (ssl.SSLEOFError(8, ""), FailureKind.REFUSED),
        (TimeoutError(), FailureKind.CONNECT_TIMEOUT),
        (ssl.SSLError(1, ""), FailureKind.TLS),
        (ssl.SSLCertVerificationError(1, ""), FailureKind.TLS),
        (Foreign(), FailureKind.OTHER),
    ],
)
def test_what_happened_before_the_connection_stood(error: Exception, kind: FailureKind) -> None:
    assert classify(error, connected=False, proxied=False).kind is kind


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", FailureKind.TLS),
        ("TLSV1_ALERT_UNKNOWN_CA", FailureKind.TLS),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", FailureKind.TLS),
        ("SSLV3_ALERT_BAD_CERTIFICATE", FailureKind.TLS),
        ("DECRYPTION_FAILED_OR_BAD_RECORD_MAC", FailureKind.RESET),
        ("TLSV1_ALERT_INTERNAL_ERROR", FailureKind.RESET),
        ("SSLV3_ALERT_CLOSE_NOTIFY", FailureKind.RESET),
        (None, FailureKind.RESET),
    ],
)
def test_tls_errors_after_the_handshake(reason: str | None, kind: FailureKind) -> None:
    error = ssl.SSLError(1, "")
    error.reason = reason  # type: ignore[assignment]
    assert classify(error, connected=True, proxied=False).kind is kind


def test_errors_that_name_each_other_end_somewhere() -> None:
    one, other = Foreign(), Foreign()
    one.__cause__, other.__cause__ = other, one
    assert classify(one, connected=True, proxied=False).kind is FailureKind.OTHER
