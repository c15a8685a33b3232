"""The vendor's answers (its page's "Base Response"), and the flat form that some of its services give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_messaging.core.http import Response

TAKEN = frozenset({"ACCEPTED", "QUEUE", "QUEUED", "PENDING", "SENT", "DELIVERED"})
"""Statuses of a message that the vendor took. It states the first two; the others can only follow on them."""
REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """About the call itself."""

    timestamp: int | None = None
    """Milliseconds since 1970."""
    transaction_id: str = ""
    """What the vendor's support finds the call by."""
    explain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination:
    """Where a page stands. `offset` and `next` are opaque ids, not counts."""

    offset: str = ""
    next: str = ""
    """The `offset` of the page behind this one; empty where there is none."""
    limit: int | None = None
    page: int | None = None
    pages: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Why a call failed: free of form, the HTTP status is what counts."""

    reason: str = ""
    details: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One answer, read: what is missing, or not of its documented type, is empty.

    :param items: the resources of an answer with several, None where it has no such list.
    :param raw: the document as it came.
    """

    meta: Meta = Meta()
    pagination: Pagination = Pagination()
    errors: Errors = Errors()
    data: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Any, ...] | None = None
    flat_status: str = ""
    message_id: str = ""
    """Of a message: ``messageId``, or the id of ``data``."""
    description: str = ""
    raw: Any = None

    @property
    def status(self) -> str:
        """The status of a message, in capitals: the flat form's, or that in ``data``."""
        return self.flat_status or _text(self.data.get("status")).upper()

    @property
    def is_rejection(self) -> bool:
        """Tell whether the flat form says that a call with a status of success was rejected all the same."""
        return self.flat_status == REJECTED

    @property
    def reason(self) -> str:
        """Why it went wrong, in the vendor's words."""
        return self.errors.reason or self.description or self.meta.explain


def read_envelope(response: Response) -> Envelope:
    """Read an answer of either form; an empty body is an empty envelope.

    :raises ValueError: if the body is not JSON.
    """
    if not response.body.strip():
        return Envelope()
    try:
        document = response.json()
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise ValueError(str(error)) from None
    return as_envelope(document)


def as_envelope(document: object) -> Envelope:
    """Read a decoded answer."""
    if not isinstance(document, dict):
        return Envelope(raw=document)
    meta, pagination = _object(document, "meta"), _object(document, "pagination")
    errors, data, items = _object(document, "errors"), _object(document, "data"), document.get("items")
    details = errors.get("details")
    return Envelope(
        meta=Meta(
            timestamp=_number(meta.get("timestamp")),
            transaction_id=_text(meta.get("transactionId")),
            explain=_text(meta.get("explain")),
        ),
        pagination=Pagination(
            offset=_text(pagination.get("offset")),
            next=_text(pagination.get("next")),
            limit=_number(pagination.get("limit")),
            page=_number(pagination.get("page")),
            pages=_number(pagination.get("pages")),
            total=_number(pagination.get("total")),
        ),
        errors=Errors(
            reason=_text(errors.get("reason")),
            details=tuple(item for item in (details if isinstance(details, list) else ()) if isinstance(item, dict)),
        ),
        data=data,
        items=tuple(items) if isinstance(items, list) else None,
        flat_status=_text(document.get("status")).upper(),
        message_id=_text(document.get("messageId") or data.get("messageId") or data.get("id")),
        description=_text(document.get("description")),
        raw=document,
    )


def _object(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _number(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
