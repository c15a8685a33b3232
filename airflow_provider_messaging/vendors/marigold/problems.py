"""Reading the vendor's error documents (RFC 7807, with ``errors[]``)."""

from __future__ import annotations

from typing import Any

from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.flow import Problem
from airflow_provider_messaging.core.http import Response


def read_problem(response: Response) -> Problem:
    """Read what there is: members may be missing, and ``error`` is sampled as text though typed as a number."""
    document = response.json_or_none()
    if not isinstance(document, dict):
        return Problem()
    listed = document.get("errors")
    errors = tuple(_read_error(item) for item in (listed if isinstance(listed, list) else ()) if isinstance(item, dict))
    return Problem(
        message=_text(document.get("detail")) or _text(document.get("title")),
        code=errors[0][1].code if errors else "",
        trace_id=_text(document.get("traceId")),
        errors=errors,
    )


def _read_error(item: dict[str, Any]) -> tuple[int | None, FieldError]:
    index = item.get("index")
    code = _text(item.get("error"))
    message = _text(item.get("detail")) or _text(item.get("message"))
    if " " in code and not message:
        code, message = "", code
    return (
        index if isinstance(index, int) and not isinstance(index, bool) else None,
        FieldError(field=_text(item.get("field")), code=code or "VENDOR_REJECTED", message=message or code),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
