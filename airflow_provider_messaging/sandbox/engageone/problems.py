"""Errors in one form, ``{"message", "code"}``, and bodies that are read or refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

import msgspec

from airflow_provider_messaging.sandbox.addresses import is_address
from airflow_provider_messaging.sandbox.http import Answer, Refused, Request, json_answer

Body = TypeVar("Body")


def problem(status: int, message: str | None = None, code: str | None = None) -> Answer:
    """An error answer; without ``message`` and ``code`` the status speaks for itself."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    document = {"message": message or phrase, "code": code or phrase.upper().replace(" ", "_").replace("-", "_")}
    answer = json_answer(document, status)
    if status == 401:
        return Answer(answer.status, answer.body, answer.content_type, (("WWW-Authenticate", "Bearer"),))
    return answer


def refuse(status: int, message: str | None = None, code: str | None = None) -> Refused:
    return Refused(problem(status, message, code))


def require_plain(request: Request, media_type: str) -> None:
    """:raises Refused: 415 for a body of another type or an encoded one, 413 for one that is too large."""
    if request.media_type() != media_type:
        raise refuse(415, f"Content-Type must be {media_type}.")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise refuse(415, "An encoded body is not supported.")
    if request.too_large:
        raise refuse(413, "The body is too large.")


def read(request: Request, form: type[Body]) -> Body:
    """:raises Refused: the body is not JSON of this form."""
    require_plain(request, "application/json")
    try:
        return msgspec.json.decode(request.body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse(400, f"The body is not valid: {error}", "INVALID_BODY") from None


def require_address(text: str, member: str) -> None:
    """:raises Refused: 400 for what is not an address."""
    if not is_address(text):
        raise refuse(400, f"{member} is not a valid e-mail address.", "INVALID_EMAIL")


def no_parameters(request: Request) -> None:
    """:raises Refused: 400 for any query parameter."""
    if request.query:
        raise refuse(400, f"Unknown parameter {request.query[0][0]}.", "UNKNOWN_PARAMETER")
