from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.http import Failure, FailureKind, Headers, Request, Response

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


@given(st.integers(100, 599))
def test_only_2xx_is_ok(status: int) -> None:
    assert Response(status=status).ok is (status // 100 == 2)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"<html>"])
def test_a_body_that_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Response(status=200, body=body).json()


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
