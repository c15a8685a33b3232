"""Bodies and their members; one that is unknown is refused."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox.http import Refused, Request
from airflow_provider_messaging.sandbox.messangi.answers import problem, refuse

Document = dict[str, Any]


def take(request: Request, known: Set[str] | None = None) -> Document:
    """The JSON object of the body.

    :param known: the members it may have; None allows any.
    :raises Refused: it is something else.
    """
    if request.media_type() != "application/json":
        raise Refused(problem(400, "Content-Type must be application/json"))
    if request.too_large:
        raise Refused(problem(413))
    return take_object(request.body, known)


def take_object(body: bytes, known: Set[str] | None = None) -> Document:
    try:
        document = msgspec.json.decode(body, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(problem(400, f"This is no JSON object: {error}")) from None
    unknown = [] if known is None else sorted(document.keys() - known)
    if unknown:
        details = [{"field": name, "message": "is not known"} for name in unknown]
        raise Refused(problem(400, f"Unknown members: {', '.join(unknown)}", details))
    return document


def require_text(document: Document, name: str) -> str:
    """:raises Refused: ``name`` is missing, empty, or no text."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise refuse(name, "must be a text" if value is not None else "is required")
    return value
