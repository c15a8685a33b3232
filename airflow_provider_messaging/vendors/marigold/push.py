"""Push messages. The vendor documents their errors, not their JSON: other keys than the rules' pass through.

After the error sample's ``content.title``, `title`, `body` and `in_app` are taken to be in `content`, and
`reference`, `token`, `type`, `provider` and `context` beside it.
"""

from __future__ import annotations

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
    Broken,
    Context,
    Reference,
    Rule,
    always,
    overlong_tags,
)
from airflow_provider_messaging.vendors.marigold.shortform import ShortForm

PUSH_LIMITS = BatchLimits(max_messages=100, max_bytes=4_000_000)
"""Documented for e-mail; push shares the page and has no limits of its own."""


class InApp(TypedDict):
    title: Annotated[str, StringConstraints(min_length=1)]
    body: Annotated[str, StringConstraints(min_length=1)]


class PushContent(TypedDict, total=False):
    title: str | None
    body: str | None
    in_app: InApp | None


class PushMessage(TypedDict):
    """One element of the body of a send request."""

    reference: Reference
    token: Annotated[str, StringConstraints(min_length=1)]
    type: NotRequired[str | None]
    provider: NotRequired[Annotated[str, StringConstraints(pattern="^(?i:apple|google|huawei)$")] | None]
    content: NotRequired[PushContent | None]
    context: NotRequired[Context]


def prepare(
    rows: Sequence[tuple[int, object]],
    *,
    reference_of: Callable[[int], str],
    now: datetime,
    limits: BatchLimits = PUSH_LIMITS,
) -> list[Message | Reject]:
    """Return a message, or a reject with all the rules that its row breaks, for every row, in their order.

    The parameters are those of `email.prepare`; the recipient of a message is its device token.
    """
    return _rows.prepare(_PUSH, rows, reference_of=reference_of, now=now, limits=limits)


def _recipient(message: Mapping[str, Any]) -> str:
    token: str = message["token"]
    return token


def _across(message: Mapping[str, Any]) -> list[Broken]:
    broken = overlong_tags(message)
    kind = message.get("type")
    kind = kind.lower() if isinstance(kind, str) else ""
    content = message.get("content")
    content = {} if content is None else content
    if isinstance(content, dict):
        if kind != "silent":
            if content.get("title") in _NOTHING:
                broken.append((("content", "title"), "INVALID_EMPTY_TITLE", "is required unless type is Silent"))
            if content.get("body") in _NOTHING:
                broken.append((("content", "body"), "INVALID_EMPTY_BODY", "is required unless type is Silent"))
        if content.get("in_app") is not None and kind not in _TYPES_WITH_IN_APP:
            broken.append((("content", "in_app"), "INAPP_CONTENT_NOT_ALLOWED", "needs type PushWithInApp or Silent"))
    if not _SHORT_NAMES.isdisjoint(message):
        broken.extend(((name,), "MIXED_FORMS", _rows.MIXED) for name in _SHORT.places if name in message)
    return broken


_NOTHING = (None, "")
_TYPES_WITH_IN_APP = frozenset({"pushwithinapp", "silent"})

_SHORT = ShortForm(
    objects=("content", "context"),
    required=(),
    places={
        "title": "content",
        "body": "content",
        "in_app": "content",
        "profile": "context",
        "tags": "context",
        "metadata": "context",
    },
)
_SHORT_NAMES = frozenset(_SHORT.places)

_PUSH = _rows.RowKind(
    model=list[PushMessage],
    short=_SHORT,
    recipient=_recipient,
    across=_across,
    rules={
        **SHARED_RULES,
        ("token",): (Rule("INVALID_EMPTY_TOKEN", "is required", always),),
        ("provider",): (Rule("UNKNOWN_PROVIDER", "must be apple, google or huawei", always),),
        ("content", "in_app", "title"): (Rule("INVALID_INAPP_EMPTY_TITLE", "can not be empty", always),),
        ("content", "in_app", "body"): (Rule("INVALID_INAPP_EMPTY_BODY", "can not be empty", always),),
    },
    absent={
        **SHARED_ABSENT,
        ("token",): "INVALID_EMPTY_TOKEN",
        ("content", "in_app", "title"): "INVALID_INAPP_EMPTY_TITLE",
        ("content", "in_app", "body"): "INVALID_INAPP_EMPTY_BODY",
    },
    null_free=("context",),
    names=frozenset(Context.__annotations__),
    extra="allow",
)
