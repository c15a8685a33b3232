"""The vendor's rules for the fields of a message.

A type tells good from bad at Rust's speed; for what it refuses, a list of rules tells all that are broken,
each under the vendor's code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.vendors.marigold.shortform import Location
from airflow_provider_messaging.vendors.marigold.times import parse_duration

Path = tuple[str, ...]
"""Where a field stands, positions in lists written as ``[]``."""
Broken = tuple[Location, str, str]
"""Where, the code, and a sentence without its subject."""

MAX_TAG_BYTES = 96
_MAX_TEXT = 140
_MAX_TIME_TO_LIVE = 2 * 86_400
_MIN_ARCHIVE_DURATION = 86_400
_MAX_AHEAD = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the author of a row is told of it. `broken` is asked only about what a type refused."""

    code: str
    message: str
    broken: Callable[[str], bool]


def breaks_lines(text: str) -> bool:
    return "\r" in text or "\n" in text or "\0" in text


def always(_: str) -> bool:
    return True


def is_empty(text: str) -> bool:
    return not text


def utf8_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
REFERENCE_RULES = (
    Rule("INVALID_REFERENCE_EMPTY", "can not be empty", is_empty),
    Rule("INVALID_REFERENCE_LENGTH", "is longer than 64 characters", lambda text: len(text) > 64),
    Rule(
        "INVALID_REFERENCE_CHAR",
        "may hold letters (A to Z), digits and '-' only",
        lambda text: re.fullmatch(r"[A-Za-z0-9-]*", text) is None,
    ),
)

# The limit is in bytes, which no pattern can count: see `overlong_tags` for what this type lets through.
Tag = Annotated[str, StringConstraints(pattern=r"^[^/]+$", max_length=MAX_TAG_BYTES)]
TAG_TOO_LONG = Rule(
    "INVALID_TAG_LENGTH",
    f"is longer than {MAX_TAG_BYTES} bytes in UTF-8",
    lambda text: utf8_length(text) > MAX_TAG_BYTES,
)
TAG_RULES = (
    Rule("INVALID_TAG_EMPTY", "can not be empty", is_empty),
    TAG_TOO_LONG,
    Rule("INVALID_TAG_CHAR", "can not hold '/'", lambda text: "/" in text),
)

ShortText = Annotated[str, StringConstraints(max_length=_MAX_TEXT)]
METADATA_RULES = (Rule("INVALID_METADATA_LENGTH", f"is longer than {_MAX_TEXT} characters", always),)
PROFILE_RULES = (Rule("INVALID_PROFILE_LENGTH", f"is longer than {_MAX_TEXT} characters", always),)


class Context(TypedDict, total=False):
    """What travels with a message and comes back with its feedback; the same for every channel."""

    tags: list[Tag]
    metadata: ShortText
    profile: ShortText
    priority: Any


SHARED_RULES: Mapping[Path, tuple[Rule, ...]] = {
    ("reference",): REFERENCE_RULES,
    ("context", "tags", "[]"): TAG_RULES,
    ("context", "metadata"): METADATA_RULES,
    ("context", "profile"): PROFILE_RULES,
}
SHARED_ABSENT: Mapping[Path, str] = {("context", "tags", "[]"): "INVALID_TAG_EMPTY"}


def overlong_tags(message: Mapping[str, object]) -> list[Broken]:
    """Return the tags that have few enough characters and too many bytes."""
    context = message.get("context")
    tags = context.get("tags") if isinstance(context, dict) else None
    if not isinstance(tags, list):
        return []
    return [
        (("context", "tags", position), TAG_TOO_LONG.code, TAG_TOO_LONG.message)
        for position, tag in enumerate(tags)
        if isinstance(tag, str) and not tag.isascii() and TAG_TOO_LONG.broken(tag)
    ]


def _send_time(text: str, info: ValidationInfo) -> str:
    try:
        moment = parse_timestamp(text)
    except ValueError as error:
        raise _refusal("INVALID_CUSTOM_SEND_TIME", str(error)) from None
    now = info.context["now"] if info.context else None
    if now is None:
        return text
    if moment - (now if now.tzinfo else now.replace(tzinfo=UTC)) > _MAX_AHEAD:
        raise _refusal("INVALID_CUSTOM_SEND_TIME", "is more than 24 hours ahead")
    return text


def _time_to_live(text: str) -> str:
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise _refusal("INVALID_TIME_TO_LIVE", str(error)) from None
    if not 0 < length.shortest <= length.longest <= _MAX_TIME_TO_LIVE:
        raise _refusal("INVALID_TIME_TO_LIVE", "must be longer than nothing and at most 2 days (P2D)")
    return text


def _archive_duration(text: str) -> str:
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise _refusal("INVALID_ARCHIVE_DURATION", str(error)) from None
    if length.shortest < _MIN_ARCHIVE_DURATION:
        raise _refusal("INVALID_ARCHIVE_DURATION", "must be at least 1 day (P1D)")
    return text


def _refusal(code: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{reason}", {"reason": message})


SendTime = Annotated[str, AfterValidator(_send_time)]
TimeToLive = Annotated[str, AfterValidator(_time_to_live)]
ArchiveDuration = Annotated[str, AfterValidator(_archive_duration)]
