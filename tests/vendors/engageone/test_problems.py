from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import FieldError, VendorError
from airflow_provider_messaging.vendors.engageone.endpoints import CREATE_CAMPAIGN, GET_CAMPAIGN
from airflow_provider_messaging.vendors.engageone.problems import read_object, read_problem
from tests.vendors.engageone.flows import answer, services


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"message": "No", "code": "NO"}, "No", "NO"),
        ({"message": "Forbidden"}, "Forbidden", ""),
        ({"error": "invalid_grant", "error_description": "No"}, "No", "invalid_grant"),
        ({"error": "It is wrong"}, "It is wrong", ""),
        ({"error": {"code": 17, "message": "No"}}, "No", "17"),
        ({"title": "Bad", "detail": "No", "errorCode": "E1"}, "No", "E1"),
        ({"errors": [{"code": "E2", "message": "No"}]}, "No", "E2"),
        ({"errors": ["No"]}, "No", "VENDOR_REJECTED"),
        ("No", "No", ""),
        (b"<h1>Not Found</h1>", "", ""),
        (b"", "", ""),
        ({"message": {"no": "text"}, "code": True}, "", ""),
        ([1, 2], "", ""),
        (None, "", ""),
    ],
)
def test_an_error_of_any_form_is_read(body: Any, message: str, code: str) -> None:
    problem = read_problem(answer(body, 400))
    assert (problem.message, problem.code) == (message, code)


def test_a_list_of_errors_and_the_trace_id_are_kept() -> None:
    listed = [{"index": 1, "field": "email", "code": "E", "message": "No"}, {"index": True, "error": "What"}, 5]
    problem = read_problem(answer({"requestId": "abc", "errors": listed}, 400))
    assert problem.trace_id == "abc"
    assert problem.errors == (
        (1, FieldError(field="email", code="E", message="No")),
        (None, FieldError(field="", code="VENDOR_REJECTED", message="What")),
        (None, FieldError(field="", code="VENDOR_REJECTED", message="5")),
    )


def test_secrets_are_taken_out_of_every_text() -> None:
    body = {"message": "S", "code": "S", "traceId": "S", "errors": [{"field": "S", "code": "S", "message": "S"}, "S"]}
    assert "S" not in repr(read_problem(answer(body, 400), lambda text: text.replace("S", "*"))).replace("SENT", "")


@pytest.mark.parametrize(("body", "document"), [({"a": 1}, {"a": 1}), (b"", {}), (b" \n", {})])
def test_an_answer_is_an_object_or_nothing(body: Any, document: dict[str, Any]) -> None:
    assert read_object(services().api(), GET_CAMPAIGN, answer(body)) == document


@pytest.mark.parametrize("body", [b"{", [1], "text", None])
@pytest.mark.parametrize(("endpoint", "retryable"), [(GET_CAMPAIGN, True), (CREATE_CAMPAIGN, False)])
def test_another_answer_is_an_error_that_lets_nothing_be_created_twice(
    body: Any, endpoint: Endpoint, retryable: bool
) -> None:
    with pytest.raises(VendorError) as caught:
        read_object(services().api(), endpoint, answer(body))
    assert caught.value.retryable is retryable
    assert ("must not be repeated" in str(caught.value)) is not retryable
