"""Answers, in both forms and in odd ones."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.vendors.messangi.api import read_items
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.envelope import Envelope, read_envelope
from airflow_provider_messaging.vendors.messangi.problems import read_login_problem, read_problem

SAMPLE = {
    "meta": {
        "timestamp": 1597166699457,
        "transactionId": "70169d77-c165-4795-9932-35b8a3af96fb",
        "explain": "a descriptive text",
    },
    "pagination": {
        "offset": "5f466c67e047e3293115e2ec",
        "limit": 10,
        "next": "5f466c67e047e3293115e2ed",
        "page": 5,
        "pages": 40,
        "total": 1000,
    },
    "errors": {"reason": "failure reason", "details": [{"field": "to", "code": "BAD", "message": "is bad"}, {}]},
    "data": {"id": "m-1", "status": "accepted"},
    "items": [{"id": 1}, {"id": 2}],
}


def answer(document: Any, status: int = 200) -> Response:
    return Response(status=status, body=document if isinstance(document, bytes) else json.dumps(document).encode())


def config(**fields: str) -> MessangiConfig:
    return MessangiConfig(connection="c", base_url="https://example.com", **fields)  # type: ignore[arg-type]


def test_every_segment_of_the_pages_base_response_is_read() -> None:
    found = read_envelope(answer(SAMPLE))
    assert (found.meta.timestamp, found.meta.transaction_id) == (1597166699457, SAMPLE["meta"]["transactionId"])  # type: ignore[index]
    assert (found.pagination.page, found.pagination.pages, found.pagination.total) == (5, 40, 1000)
    assert (found.pagination.limit, found.pagination.next) == (10, "5f466c67e047e3293115e2ed")
    assert found.errors.reason == found.reason == "failure reason"
    assert len(found.errors.details) == 2
    assert found.items == ({"id": 1}, {"id": 2})
    assert (found.status, found.message_id) == ("ACCEPTED", "m-1")
    assert found.raw == SAMPLE


def test_the_flat_form_is_read() -> None:
    found = read_envelope(answer({"status": "rejected", "messageId": "m-1", "description": "no such number"}))
    assert (found.status, found.message_id, found.reason) == ("REJECTED", "m-1", "no such number")
    assert found.is_rejection


def test_a_status_of_a_resource_is_no_rejection_of_the_call() -> None:
    assert not read_envelope(answer({"data": {"status": "REJECTED"}})).is_rejection


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}"])
def test_an_empty_answer_is_an_empty_envelope(body: bytes) -> None:
    found = read_envelope(answer(body))
    assert (found.status, found.message_id, found.reason, found.items) == ("", "", "", None)


@pytest.mark.parametrize("body", [b"<h1>Hello</h1>", b'{"status":', b"\xff"])
def test_what_is_not_json_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_envelope(answer(body))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
SEGMENTS = st.sampled_from([*SAMPLE, "status", "messageId", "description"])
MEMBERS = st.sampled_from(["timestamp", "transactionId", "next", "reason", "details", "status", "id", "total"])


@given(st.dictionaries(SEGMENTS, JSON | st.dictionaries(MEMBERS, JSON)))
def test_segments_of_any_type_are_borne(document: dict[str, Any]) -> None:
    found = read_envelope(answer(document))
    assert isinstance(found, Envelope)
    assert isinstance(found.status + found.reason + found.message_id + found.pagination.next, str)
    read_problem(config(), answer(document, 400))


def test_a_problem_has_reason_details_and_the_transaction() -> None:
    problem = read_problem(config(), answer(SAMPLE, 400))
    assert (problem.message, problem.trace_id) == ("failure reason", SAMPLE["meta"]["transactionId"])  # type: ignore[index]
    [(_, first), (_, second)] = problem.errors
    assert (first.field, first.code, first.message) == ("to", "BAD", "is bad")
    assert (second.code, second.message) == ("VENDOR_REJECTED", "failure reason")
    assert not problem.credentials


def test_a_problem_that_is_no_json_is_still_one() -> None:
    assert read_problem(config(), answer(b"<h1>Bad gateway</h1>", 502)).message == ""


@pytest.mark.parametrize(
    ("fields", "status", "setting"),
    [
        ({"api_key": "key"}, 401, "extra 'api_key' (keys may expire)"),
        ({"username": "u"}, 401, "login (user name) and password"),
        ({"api_key": "key"}, 402, "extra 'two_factor_token' (the vendor asks for one)"),
        (
            {"api_key": "key", "two_factor_token": "t"},
            402,
            "extra 'two_factor_token' (the vendor does not take this one)",
        ),
        ({"api_key": "key"}, 403, "the scopes of the API key"),
        ({"username": "u"}, 403, "login, password, or the scopes of the user"),
        ({"username": "u"}, 404, ""),
    ],
)
def test_a_refusal_names_the_setting(fields: dict[str, str], status: int, setting: str) -> None:
    assert read_problem(config(**fields), answer({}, status)).setting == setting


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refused_login_is_about_the_login(status: int) -> None:
    problem = read_login_problem(config(username="u"), answer({}, status))
    assert (problem.setting, problem.credentials) == ("login (user name) and password", True)


@pytest.mark.parametrize(
    ("document", "rows", "following"),
    [
        (SAMPLE, [{"id": 1}, {"id": 2}], "5f466c67e047e3293115e2ed"),
        ([1, 2], [1, 2], ""),
        (b"", [], ""),
        ({"items": None}, [], ""),
        ({"items": [], "pagination": {"next": ""}}, [], ""),
        ({"items": [1], "pagination": {"next": None}}, [1], ""),
        ({"items": [1], "pagination": []}, [1], ""),
        ({"items": [1], "pagination": {"next": 20}}, [1], "20"),
        ({"data": {"id": 1}}, [{"id": 1}], ""),
        ({"data": [{"id": 1}]}, [{"id": 1}], ""),
        ({"data": {}}, [], ""),
    ],
)
def test_a_page_is_read_in_every_form(document: Any, rows: list[Any], following: str) -> None:
    page = read_items(answer(document))
    assert [json.loads(bytes(row)) for row in page.rows] == rows
    assert page.next_cursor == following


@pytest.mark.parametrize("document", [b"<h1>", {"items": {"id": 1}}, 7])
def test_what_is_no_page_is_an_error(document: Any) -> None:
    with pytest.raises(msgspec.DecodeError, match=r".+"):
        read_items(answer(document))
