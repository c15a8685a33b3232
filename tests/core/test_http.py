from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.errors import StorageError
from airflow_provider_messaging.core.http import Failure, FailureKind, Headers, Request, Response, Stream

# Header names are tokens of ASCII.
names = st.text("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1)
SECRET = "s3cr3t"


def recased(name: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from([letter.lower(), letter.upper()]) for letter in name)).map("".join)


@given(st.data(), st.dictionaries(names, st.text()))
def test_headers_are_found_in_any_case(data: st.DataObject, values: dict[str, str]) -> None:
    headers = Headers(values)
    last = {name.lower(): value for name, value in values.items()}
    for name in values:
        other = data.draw(recased(name))
        assert headers[other] == headers.get(other) == last[name.lower()]
        assert other in headers
    assert dict(headers) == last
    assert len(headers) == len(last)


@given(st.dictionaries(names, st.text()), names)
def test_missing_headers_are_missing(values: dict[str, str], name: str) -> None:
    headers = Headers(values)
    if name.lower() not in {known.lower() for known in values}:
        assert name not in headers
        assert headers.get(name, "default") == "default"
        with pytest.raises(KeyError):
            headers[name]


@given(st.dictionaries(names, st.text()))
def test_headers_can_be_wrapped_again(values: dict[str, str]) -> None:
    assert dict(Headers(Headers(values))) == dict(Headers(values))


def test_reprs_show_no_secret() -> None:
    request = Request(
        method="POST",
        url=f"https://vendor.example/?key={SECRET}",
        operation="vendor.send",
        headers={"Authorization": SECRET},
        body=SECRET.encode(),
    )
    response = Response(status=200, headers=Headers({"X-Token": SECRET}), body=SECRET.encode())
    assert repr(request) == "<Request POST vendor.send>"
    assert repr(response) == "<Response 200, 6 bytes>"
    assert SECRET not in repr(response.headers)


@given(st.lists(st.binary(max_size=4)), st.booleans())
def test_a_stream_yields_what_the_source_has_each_time(pieces: list[bytes], known: bool) -> None:
    stream = Stream(lambda: iter(pieces), len(b"".join(pieces)) if known else None)
    for _ in range(2):
        read = list(stream.read())
        assert b"" not in read
        assert b"".join(read) == b"".join(pieces)


@given(st.lists(st.binary(max_size=4)), st.integers(0, 20))
def test_a_stream_of_another_length_is_an_error(pieces: list[bytes], length: int) -> None:
    size = len(b"".join(pieces))
    if size == length:
        return
    read: list[bytes] = []
    with pytest.raises(StorageError, match=f"{length}.*it was said to have"):
        read.extend(Stream(lambda: iter(pieces), length).read())
    # No byte too many ever comes out, and none is held back that is due.
    assert len(b"".join(read)) <= length
    if size < length:
        assert b"".join(read) == b"".join(pieces)


def test_a_stream_closes_its_source_when_reading_stops() -> None:
    source = (piece for piece in [b"1", b"2"])
    reading = Stream(lambda: source).read()
    assert next(reading) == b"1"
    reading.close()
    assert source.gi_frame is None


def test_the_repr_of_a_stream_shows_its_length_only() -> None:
    assert repr(Stream(lambda: iter([SECRET.encode()]), 6)) == "<Stream of 6 bytes>"
    assert repr(Stream(lambda: iter([SECRET.encode()]))) == "<Stream of an unknown number of bytes>"


@given(st.integers(100, 599))
def test_only_2xx_is_ok(status: int) -> None:
    assert Response(status=status).ok is (status // 100 == 2)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"<html>", b"[" * 100_000])
def test_a_body_that_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Response(status=200, body=body).json()
    assert Response(status=200, body=body).json_or_none() is None


def test_what_was_surely_not_taken() -> None:
    assert {kind.name for kind in FailureKind if kind.surely_not_taken} == {
        "DNS",
        "REFUSED",
        "CONNECT_TIMEOUT",
        "TLS",
        "PROXY",
    }


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_reads_as_a_sentence(kind: FailureKind) -> None:
    assert str(Failure(kind=kind)) == kind.value
    assert str(Failure(kind=kind, detail="OSError, EIO")) == f"{kind.value} (OSError, EIO)"
