"""Reading the vendor's error answers. Their form is not published: whatever is usual is understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.flow import Api, Problem
from airflow_provider_messaging.core.http import Response

Redact = Callable[[str], str]

_MESSAGES = ("message", "detail", "error_description", "description", "title", "reason")
_CODES = ("code", "error_code", "errorCode")
_TRACES = ("traceId", "trace_id", "requestId", "request_id")


def read_problem(response: Response, redact: Redact = str) -> Problem:
    """Read what there is of a message, a code, a trace id and a list ``errors``.

    :param redact: takes secrets out of the vendor's texts.
    """
    document = response.json_or_none()
    if isinstance(document, str):
        return Problem(message=redact(document))
    if not isinstance(document, Mapping):
        return Problem()
    inner = document.get("error")
    error = inner if isinstance(inner, Mapping) else document
    listed = document.get("errors")
    errors = tuple(_read_error(item, redact) for item in (listed if isinstance(listed, list) else ()))
    spoken = inner if isinstance(inner, str) else ""
    code = _first(error, _CODES) or (spoken if spoken and " " not in spoken else "")
    return Problem(
        message=redact(_first(error, _MESSAGES) or spoken or (errors[0][1].message if errors else "")),
        code=redact(code or (errors[0][1].code if errors else "")),
        trace_id=redact(_first(document, _TRACES)),
        errors=errors,
    )


def _read_error(item: Any, redact: Redact) -> tuple[int | None, FieldError]:
    if not isinstance(item, Mapping):
        return None, FieldError(field="", code="VENDOR_REJECTED", message=redact(_text(item)))
    index = item.get("index")
    code = _first(item, _CODES) or "VENDOR_REJECTED"
    message = _first(item, _MESSAGES) or _text(item.get("error")) or code
    return (
        index if isinstance(index, int) and not isinstance(index, bool) else None,
        FieldError(field=redact(_text(item.get("field"))), code=redact(code), message=redact(message)),
    )


def _first(document: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _text(document.get(name)))), "")


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def read_object(api: Api, endpoint: Endpoint, response: Response) -> dict[str, Any]:
    """Return the JSON object of an answer; an answer without a body is an empty one.

    :raises VendorError: if it is something else, not retryable where the request may not be repeated.
    """
    if not response.body.strip():
        return {}
    document = response.json_or_none()
    if not isinstance(document, dict):
        raise api.unreadable(endpoint, response, "its answer is not the JSON object expected")
    return document
