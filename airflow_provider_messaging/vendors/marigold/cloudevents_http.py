"""CloudEvents over HTTP: from a request's headers and body to events in structured form, judged by the CloudEvents SDK.

The modes of the HTTP protocol binding (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md):
structured, batched, binary. The vendor's page posts structured events with the plain content type ``application/json``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from cloudevents.core.bindings.http import HTTPMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from airflow_provider_messaging.core.times import parse_timestamp

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
PLAIN = "application/json"

MOST_LEVELS = 32
"""Objects and lists in one another, the event itself included."""

_REQUIRED = ("id", "source", "type", "specversion")
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_BINARY = "ce-"
_DATA = frozenset({"data", "data_base64"})
_ZONE = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")
_FORMAT = JSONFormat()
_DECODER = msgspec.json.Decoder()


class MalformedEvent(ValueError):
    """The request is no CloudEvent; says what is wrong with it, without its values."""


class UnsupportedMode(ValueError):
    """The content type is none of those in which CloudEvents come."""


def check_content_type(headers: Mapping[str, str]) -> None:
    """Judge the request by its headers (lower-case names), before its body is read.

    :raises UnsupportedMode: naming what is accepted.
    """
    _media_type(headers)


def parse_request(headers: Mapping[str, str], body: bytes) -> list[dict[str, Any]]:
    """Return the request's events in structured JSON form, as they came: unknown attributes and fields are kept.

    :param headers: lower-case names.
    :raises UnsupportedMode: if the content type is none of those in which CloudEvents come.
    :raises MalformedEvent: if the body, or one event of a batch, is not what CloudEvents 1.0 calls an event. Nulls are
        taken for missing and a ``time`` without offset for UTC, as this vendor's page has them, and attributes with odd
        names are kept.
    """
    media_type = _media_type(headers)
    if _is_binary(headers, media_type):
        return [_binary_event(headers, body)]
    document = _decoded(body)
    if media_type == BATCHED and not isinstance(document, list):
        raise MalformedEvent("the body of a batch must be a JSON array")
    if media_type == STRUCTURED and not isinstance(document, dict):
        raise MalformedEvent("the body must be a JSON object")
    if not isinstance(document, list):
        return [_checked(document, "the event")]
    return [_checked(event, f"event {index}") for index, event in enumerate(document)]


def _media_type(headers: Mapping[str, str]) -> str:
    content_type = headers.get("content-type", "")
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters, re.IGNORECASE)
    if charset is not None and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMode("the charset must be UTF-8")
    if media_type in {STRUCTURED, BATCHED, PLAIN} or _is_binary(headers, media_type):
        return media_type
    raise UnsupportedMode(f"the content type must be {STRUCTURED}, {BATCHED} or {PLAIN}")


def _is_binary(headers: Mapping[str, str], media_type: str) -> bool:
    return f"{_BINARY}specversion" in headers and not media_type.startswith("application/cloudevents")


def _decoded(body: bytes) -> Any:
    try:
        document = _DECODER.decode(body)
    except RecursionError:
        raise MalformedEvent(f"the JSON is nested more than {MOST_LEVELS} levels deep") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"the body is not JSON in UTF-8 ({_short(error)})") from None
    if _is_deeper(document, MOST_LEVELS + (1 if isinstance(document, list) else 0)):
        raise MalformedEvent(f"the JSON is nested more than {MOST_LEVELS} levels deep")
    return document


def _is_deeper(document: Any, levels: int) -> bool:
    level = [document]
    for _ in range(levels):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
    return any(isinstance(value, dict | list) for value in level)


def _binary_event(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    found = {name: value for name, value in headers.items() if name.startswith(_BINARY) or name == "content-type"}
    _require({name.removeprefix(_BINARY): value for name, value in found.items()}, "the event")
    time = found.get(f"{_BINARY}time")
    if time and not _ZONE.search(time):
        found[f"{_BINARY}time"] = f"{time}Z"
    try:
        parsed = from_binary(HTTPMessage(headers=found, body=b""), _FORMAT, CloudEvent)
    except CloudEventValidationError as error:
        raise MalformedEvent(f"the event: {_problems(error)}") from None
    except ValueError:
        raise MalformedEvent("the event: 'time' is no RFC 3339 timestamp") from None
    event = dict(parsed.get_attributes())
    if time:
        event["time"] = time
    else:
        # The SDK fills the present in, which the event did not say.
        event.pop("time", None)
    if not body:
        return event
    media_type = headers.get("content-type", PLAIN).partition(";")[0].strip().lower()
    if media_type == PLAIN or media_type.endswith("+json"):
        event["data"] = _decoded(body)
    else:
        event["data_base64"] = base64.b64encode(body).decode()
    return event


def _checked(event: Any, which: str) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise MalformedEvent(f"{which} is not a JSON object")
    _require(event, which)
    attributes = {
        name: value
        for name, value in event.items()
        if value is not None and name not in _DATA and _ATTRIBUTE.fullmatch(name)
    }
    # The SDK would fill the present in.
    attributes["time"] = _time(attributes.get("time"), which)
    try:
        CloudEvent(attributes)
    except CloudEventValidationError as error:
        raise MalformedEvent(f"{which}: {_problems(error)}") from None
    return event


def _require(attributes: Mapping[str, Any], which: str) -> None:
    """Judge the required attributes: the SDK makes an id up where there is none, and then nothing is a duplicate."""
    for name in _REQUIRED:
        if attributes.get(name) is None:
            raise MalformedEvent(f"{which} has no {name!r}")


def _time(value: Any, which: str) -> Any:
    if value is None:
        return _ANY_TIME
    try:
        return parse_timestamp(value)
    except (TypeError, ValueError):
        raise MalformedEvent(f"{which}: 'time' is no RFC 3339 timestamp") from None


def _problems(error: CloudEventValidationError) -> str:
    return "; ".join(str(problem) for problems in error.errors.values() for problem in problems)


def _short(error: Exception) -> str:
    return str(error)[:120]


_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
