"""Errors in the vendor's form: RFC 7807 with a trace id and a list of errors."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from airflow_provider_messaging.sandbox.http import Answer, Refused, json_answer

PROBLEM_JSON = "application/problem+json"
_RFC7231 = "https://tools.ietf.org/html/rfc7231#section-"
_TYPES = {
    400: f"{_RFC7231}6.5.1",
    401: "https://tools.ietf.org/html/rfc7235#section-3.1",
    403: f"{_RFC7231}6.5.3",
    404: f"{_RFC7231}6.5.4",
    405: f"{_RFC7231}6.5.5",
    406: f"{_RFC7231}6.5.6",
    408: f"{_RFC7231}6.5.7",
    413: f"{_RFC7231}6.5.11",
    415: f"{_RFC7231}6.5.13",
    422: "https://tools.ietf.org/html/rfc4918#section-11.2",
    429: "https://tools.ietf.org/html/rfc6585#section-4",
    500: f"{_RFC7231}6.6.1",
    502: f"{_RFC7231}6.6.3",
    503: f"{_RFC7231}6.6.4",
    504: f"{_RFC7231}6.6.5",
}
Error = dict[str, Any]


def problem(
    status: int,
    detail: str | None = None,
    *,
    title: str | None = None,
    errors: Sequence[Error] = (),
) -> Answer:
    """An error answer; without ``detail`` the status speaks for itself."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    document: dict[str, Any] = {
        "type": _TYPES.get(status, "about:blank"),
        "title": title or phrase,
        "status": status,
        "detail": detail or phrase,
        "traceId": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00",
    }
    if errors:
        document["errors"] = list(errors)
    answer = json_answer(document, status, PROBLEM_JSON)
    if status == 401:
        return Answer(answer.status, answer.body, answer.content_type, (("WWW-Authenticate", "Bearer"),))
    return answer


def validation_problem(errors: Sequence[Error]) -> Answer:
    return problem(400, "One or more validation errors occurred.", title="Validation errors", errors=errors)


def field_error(field: str, error: str, message: str) -> Error:
    """An error of a single entity, whose text the page calls ``message``."""
    return {"field": field, "error": error, "message": message}


def refuse(field: str, error: str, message: str) -> Refused:
    return Refused(validation_problem([field_error(field, error, message)]))


class Report:
    """The errors of a batch, whose text the page calls ``detail``."""

    def __init__(self) -> None:
        self.errors: list[Error] = []

    def add(self, index: int, field: str, error: str, detail: str | None = None) -> None:
        """Without ``detail``, the code is the text, as several of this vendor's codes are."""
        self.errors.append({"index": index, "field": field, "error": error, "detail": detail or error})

    def type_error(self, index: int, field: str, expected: str) -> None:
        self.add(index, field, "INVALID_TYPE", f"Request property type doesn't match expected type: {expected}.")

    def required(self, index: int, field: str) -> None:
        self.add(index, field, "REQUIRED_PROPERTY", "property is required.")

    def unknown(self, index: int, prefix: str, names: set[str]) -> None:
        for name in sorted(names):
            self.add(index, prefix + name, "UNKNOWN_PROPERTY", "property is not known.")
