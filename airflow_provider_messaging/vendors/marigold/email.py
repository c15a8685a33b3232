"""E-mail messages: the vendor's JSON, its rules, and the short form of a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NotRequired

from pydantic import StringConstraints
from typing_extensions import TypedDict

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.vendors.marigold import rows as _rows
from airflow_provider_messaging.vendors.marigold.rules import (
    SHARED_ABSENT,
    SHARED_RULES,
    ArchiveDuration,
    Broken,
    Context,
    Path,
    Reference,
    Rule,
    SendTime,
    TimeToLive,
    always,
    breaks_lines,
    is_empty,
    overlong_tags,
)
from airflow_provider_messaging.vendors.marigold.shortform import ShortForm

EMAIL_LIMITS = BatchLimits(max_messages=100, max_bytes=4_000_000)
"""100 messages and 4 MB of JSON a request, 4 MB in its smaller reading."""

_MAX_ADDRESS = 254
_WORD = r'[^\s\p{Cc}@,;:<>()\[\]"\\]'
_LABEL = r'[^\s\p{Cc}@,;:<>()\[\]"\\.]'

Address = Annotated[str, StringConstraints(pattern=rf"^{_WORD}+@{_LABEL}+(?:\.{_LABEL}+)*$", max_length=_MAX_ADDRESS)]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]*$")]
Subject = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]+$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^X-[!-9;-~]+$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x01-\x09\x0b\x0c\x0e-\x7f]+$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]+$")]
Base64 = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$"),
]


class Attachment(TypedDict):
    file_name: FileName
    data: Base64
    mime_type: FileName


class Content(TypedDict, total=False):
    html: str
    text: str
    attachments: list[Attachment]
    priority: Any


class Mailbox(TypedDict):
    address: Address
    alias: NotRequired[HeaderText]


class OptionalHeader(TypedDict):
    name: HeaderName
    value: HeaderValue


Headers = TypedDict(
    "Headers",
    {
        "subject": Subject,
        "to": Mailbox,
        "from": Mailbox,
        "reply": NotRequired[Mailbox],
        "list_unsubscribe": NotRequired[HeaderText],
        "optional": NotRequired[list[OptionalHeader]],
        "priority": NotRequired[Any],
    },
)


class EmailMessage(TypedDict):
    """One element of the body of a send request."""

    reference: Reference
    content: Content
    headers: Headers
    context: NotRequired[Context]
    custom_send_time: NotRequired[SendTime | None]
    time_to_live: NotRequired[TimeToLive | None]
    archive_enabled: NotRequired[bool | None]
    archive_duration: NotRequired[ArchiveDuration | None]
    priority: NotRequired[Any]
    """Documented without a place: it is passed on from wherever it stands, here or in one of the objects."""


def prepare(
    rows: Sequence[tuple[int, object]],
    *,
    reference_of: Callable[[int], str],
    now: datetime,
    limits: BatchLimits = EMAIL_LIMITS,
) -> list[Message | Reject]:
    """Return a message, or a reject with all the rules that its row breaks, for every row, in their order.

    :param rows: row numbers and rows, some hundred at a time; they are not changed.
    :param reference_of: gives a row without a reference its own.
    :param now: from where the 24 hours of ``custom_send_time`` count; a retry passes the same.
    :param limits: what one request may hold.
    """
    return _rows.prepare(_EMAIL, rows, reference_of=reference_of, now=now, limits=limits)


def _recipient(message: Mapping[str, Any]) -> str:
    address: str = message["headers"]["to"]["address"]
    return address


def _across(message: Mapping[str, Any]) -> list[Broken]:
    broken = overlong_tags(message)
    content, headers = message.get("content"), message.get("headers")
    if isinstance(content, dict):
        if not (content.get("html") or content.get("text")):
            broken.append((("content",), "REQUIRED_CONTENT", "html or text is required"))
        if attachments := content.get("attachments"):
            broken.extend(_across_attachments(attachments))
    if isinstance(headers, dict) and (optional := headers.get("optional")):
        broken.extend(_across_optional(optional))
    return broken


def _across_attachments(attachments: object) -> list[Broken]:
    broken: list[Broken] = []
    known: set[str] = set()
    for position, attachment in enumerate(attachments if isinstance(attachments, list) else ()):
        name = attachment.get("file_name") if isinstance(attachment, dict) else None
        if not isinstance(name, str):
            continue
        if name in known:
            where = ("content", "attachments", position, "file_name")
            broken.append((where, "DUPLICATE_FILE_NAME", "is the name of an earlier attachment of this message"))
        known.add(name)
    return broken


def _across_optional(optional: object) -> list[Broken]:
    broken: list[Broken] = []
    known: set[str] = set()
    for position, header in enumerate(optional if isinstance(optional, list) else ()):
        name = header.get("name") if isinstance(header, dict) else None
        if not isinstance(name, str):
            continue
        where = ("headers", "optional", position, "name")
        if name.lower() in known:
            broken.append((where, "DUPLICATE_HEADER", "stands twice"))
        known.add(name.lower())
        if name.lower().removeprefix("x-") in _RECIPIENT_HEADERS:
            broken.append((where, "RECIPIENT_OVERRIDE", "recipients can't be overridden: change headers.to"))
    return broken


_RECIPIENT_HEADERS = frozenset({"to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc", "envelope-to", "rcpt-to"})

_ONE_LINE = Rule("INVALID_HEADER_VALUE", "can not hold a line break", breaks_lines)
_ADDRESS = (
    Rule("INVALID_ADDRESS", f"is longer than {_MAX_ADDRESS} characters", lambda text: len(text) > _MAX_ADDRESS),
    Rule(
        "INVALID_ADDRESS",
        "must be one address, local@domain, without spaces, commas and line breaks"
        " (short form: or Name <address>, a name with a comma or an @ in double quotes)",
        lambda text: 0 < len(text) <= _MAX_ADDRESS,
    ),
)

_RULES: Mapping[Path, tuple[Rule, ...]] = {
    **SHARED_RULES,
    ("headers", "subject"): (
        Rule("INVALID_SUBJECT_EMPTY", "can not be empty", is_empty),
        _ONE_LINE,
    ),
    ("headers", "to", "address"): (Rule("REQUIRED_TO_ADDRESS", "is required", is_empty), *_ADDRESS),
    ("headers", "from", "address"): (Rule("REQUIRED_FROM_ADDRESS", "is required", is_empty), *_ADDRESS),
    ("headers", "reply", "address"): (Rule("INVALID_ADDRESS", "can not be empty", is_empty), *_ADDRESS),
    ("headers", "to", "alias"): (_ONE_LINE,),
    ("headers", "from", "alias"): (_ONE_LINE,),
    ("headers", "reply", "alias"): (_ONE_LINE,),
    ("headers", "list_unsubscribe"): (_ONE_LINE,),
    ("headers", "optional", "[]", "name"): (
        Rule("INVALID_HEADER_NAME", "can not be empty", is_empty),
        Rule(
            "INVALID_HEADER_NAME",
            "must start with 'X-'",
            lambda text: bool(text) and not text.startswith("X-"),
        ),
        Rule("INVALID_HEADER_NAME", "must have more than 'X-'", lambda text: text == "X-"),
        Rule(
            "INVALID_HEADER_NAME",
            "may hold printable US-ASCII characters (33 to 126) without ':' only",
            lambda text: re.fullmatch(r"[!-9;-~]*", text) is None,
        ),
    ),
    ("headers", "optional", "[]", "value"): (
        Rule("INVALID_HEADER_VALUE", "can not be empty", is_empty),
        _ONE_LINE,
        Rule("INVALID_HEADER_VALUE", "may hold US-ASCII characters only", lambda text: not text.isascii()),
    ),
    ("content", "attachments", "[]", "file_name"): (
        Rule("INVALID_ATTACHMENT_NAME", "can not be empty nor hold a line break", always),
    ),
    ("content", "attachments", "[]", "mime_type"): (
        Rule("INVALID_ATTACHMENT_TYPE", "can not be empty nor hold a line break", always),
    ),
    ("content", "attachments", "[]", "data"): (
        Rule("INVALID_ATTACHMENT_DATA", "can not be empty", is_empty),
        Rule("INVALID_ATTACHMENT_DATA", "must be base64 with padding and without line breaks", bool),
    ),
}

_ABSENT: Mapping[Path, str] = {
    **SHARED_ABSENT,
    ("headers", "to"): "REQUIRED_TO_HEADER",
    ("headers", "to", "address"): "REQUIRED_TO_ADDRESS",
    ("headers", "from"): "REQUIRED_FROM_HEADER",
    ("headers", "from", "address"): "REQUIRED_FROM_ADDRESS",
}

SHORT_FORM = ShortForm(
    objects=("headers", "content", "context"),
    required=("headers", "content"),
    places={
        "to": "headers",
        "from": "headers",
        "reply": "headers",
        "subject": "headers",
        "list_unsubscribe": "headers",
        "custom_headers": "headers",
        "html": "content",
        "text": "content",
        "attachments": "content",
        "profile": "context",
        "tags": "context",
        "metadata": "context",
    },
    mailboxes=frozenset({"to", "from", "reply"}),
    standing_for={"content": "html"},
    pairs={"custom_headers": "optional"},
)
SHORT_FIELDS = frozenset(SHORT_FORM.places) | (EmailMessage.__annotations__.keys() - set(SHORT_FORM.objects))
"""Every field of a message in the short form."""
_MODELS: tuple[Any, ...] = (EmailMessage, Content, Headers, Context, Mailbox, Attachment, OptionalHeader)

_EMAIL = _rows.RowKind(
    model=list[EmailMessage],
    short=SHORT_FORM,
    recipient=_recipient,
    across=_across,
    rules=_RULES,
    absent=_ABSENT,
    null_free=SHORT_FORM.objects,
    names=SHORT_FIELDS | {name for model in _MODELS for name in model.__annotations__},
)
