"""Answers in the vendor's forms: its envelope, and the flat one of the message sends."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from airflow_provider_messaging.sandbox.http import Answer, Refused, json_answer
from airflow_provider_messaging.sandbox.messangi.settings import Settings

Detail = dict[str, str]
REASONS = {
    401: "Couldn't authenticate your request",
    402: "2FA Token required",
    403: "Invalid scope",
    404: "No such object",
    429: "Your connection is being rate limited",
    500: "Something went wrong",
    503: "Your connection is being throttled or the service is down for maintenance",
}
"""The page's words for its status codes."""


def envelope(explain: str, status: int = 200, /, **segments: Any) -> Answer:
    """``meta`` and the segments that this answer has."""
    meta = {"timestamp": time.time_ns() // 1_000_000, "transactionId": str(uuid.uuid4()), "explain": explain}
    return json_answer({"meta": meta, **segments}, status)


def problem(status: int, reason: str | None = None, details: Sequence[Detail] = ()) -> Answer:
    """An error in the envelope; without ``reason`` the status speaks for itself."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    errors = {"reason": reason or REASONS.get(status, phrase), "details": list(details)}
    answer = envelope(phrase, status, errors=errors)
    if status == 401:
        return Answer(answer.status, answer.body, answer.content_type, (("WWW-Authenticate", "Bearer"),))
    return answer


def refuse(field: str, message: str) -> Refused:
    """400 for one member or parameter."""
    return Refused(problem(400, f"{field} {message}", [{"field": field, "message": message}]))


def sent(settings: Settings, status: str, message_id: str, description: str, **more: str) -> Answer:
    """What became of a message."""
    members = {"status": status, "messageId": message_id, "description": description, **more}
    return json_answer(members) if settings.send_form == "flat" else envelope(description, data=members)
