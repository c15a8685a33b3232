"""From rows of the input to messages and rejects, many rows at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property, partial
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import FieldError
from airflow_provider_messaging.core.errors import ValidationError as Unfit
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.core.times import parse_timestamp, utc_text
from airflow_provider_messaging.vendors.marigold.rules import Broken, Path, Rule
from airflow_provider_messaging.vendors.marigold.shortform import IGNORED, Location, ShortForm

MIXED = "belongs to the short form, and the row is in the vendor's form: a row is in one of the two"
_EXPECTED = {
    "string_type": "must be a string",
    "string_unicode": "is not valid Unicode",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "invalid_key": "the name of a property must be a string",
}


@dataclass(frozen=True, kw_only=True)
class RowKind:
    """The rules of one kind of message."""

    model: Any
    """A list of TypedDicts: twice as fast to judge with as models, whose instances nobody would look at."""
    short: ShortForm
    recipient: Callable[[Mapping[str, Any]], str]
    across: Callable[[Mapping[str, Any]], Sequence[Broken]]
    """The rules that concern several fields or can't be told by a type. Must bear fields of any type."""
    rules: Mapping[Path, tuple[Rule, ...]]
    absent: Mapping[Path, str]
    """Codes of required fields that are missing or null, where it is not REQUIRED_PROPERTY."""
    null_free: tuple[str, ...]
    """Top-level objects of the vendor's form. The vendor forbids null in them: there it means absent."""
    extra: Literal["allow", "forbid"] = "forbid"
    """What to do with unknown properties."""
    names: frozenset[str] = frozenset()
    """Every known name: for hints at typing errors, and because only a known null means absent."""

    @cached_property
    def adapter(self) -> TypeAdapter[list[Any]]:
        return TypeAdapter(self.model, config=ConfigDict(extra=self.extra, strict=True))


def prepare(
    kind: RowKind,
    rows: Sequence[tuple[int, object]],
    *,
    reference_of: Callable[[int], str],
    now: datetime,
    limits: BatchLimits,
) -> list[Message | Reject]:
    """Judge and encode the rows; the result has their order. Duplicates are told within one call."""
    seen: set[str] = set()
    drafts = [_draft(kind, row, given, reference_of) for row, given in rows]
    faults = _faults(kind, drafts, now)
    prepared: list[Message | Reject] = []
    for index, (row, given) in enumerate(rows):
        draft = drafts[index]
        broken = faults.get(index, [])
        if isinstance(draft, dict):
            broken += kind.across(draft)
            data = _encode(draft, broken)
            if not limits.fits_alone(len(data)):
                broken.append(((), "MESSAGE_TOO_LARGE", limits.excess(len(data))))
            if not broken and (reference := draft["reference"]) not in seen:
                seen.add(reference)
                context = draft.get("context", _EMPTY)
                prepared.append(
                    Message(
                        row=row,
                        reference=reference,
                        recipient=kind.recipient(draft),
                        data=data,
                        profile=context.get("profile"),
                        tags=tuple(context.get("tags", ())),
                    )
                )
                continue
            if not broken:
                broken = [(("reference",), "REFERENCE_DUPLICATE_DETECTED", "stands on an earlier row as well")]
        prepared.append(_reject(kind, row, given, draft, broken))
    return prepared


def _draft(kind: RowKind, row: int, given: object, reference_of: Callable[[int], str]) -> object:
    """Return the row in the vendor's form, with a reference; the row itself is never changed."""
    if not isinstance(given, dict):
        return given
    draft: dict[str, Any]
    if kind.short.is_vendor_form(given):
        draft = {name: value for name, value in given.items() if name != IGNORED}
    else:
        draft = kind.short.expand(given)
    if draft.get("reference") is None:
        draft["reference"] = reference_of(row)
    if draft.get("custom_send_time") is not None:
        draft["custom_send_time"] = _in_utc(draft["custom_send_time"])
    return draft


def _in_utc(when: object) -> object:
    """Return a send time as the vendor reads it, anything unreadable as it is."""
    try:
        if isinstance(when, datetime):
            return utc_text(when)
        if isinstance(when, str) and not _PLAIN_UTC.fullmatch(when):
            return utc_text(parse_timestamp(when))
    except ValueError:
        return str(when)
    return when


def _faults(kind: RowKind, drafts: list[object], now: datetime) -> dict[int, list[Broken]]:
    """Return the broken rules by position. Drafts with nulls that mean "absent" are replaced by drafts without."""
    errors = _errors(kind, drafts, now)
    with_nulls = {int(error["loc"][0]) for error in errors if error["input"] is None}
    if with_nulls:
        for index in with_nulls:
            drafts[index] = _without_nulls(kind, drafts[index])
        errors = _errors(kind, drafts, now)
    faults: dict[int, list[Broken]] = {}
    for error in errors:
        index, location = int(error["loc"][0]), error["loc"][1:]
        faults.setdefault(index, []).extend(_explain(kind, location, error, drafts[index]))
    return faults


def _errors(kind: RowKind, drafts: list[object], now: datetime) -> list[ErrorDetails]:
    try:
        kind.adapter.validate_python(drafts, context={"now": now})
    except ValidationError as invalid:
        return invalid.errors(include_url=False, include_context=False)
    return []


def _without_nulls(kind: RowKind, draft: object) -> object:
    if not isinstance(draft, dict):
        return draft
    absent = {*kind.null_free, *kind.short.places}
    return {
        name: _without_known_nulls(kind, value) if name in kind.null_free else value
        for name, value in draft.items()
        if value is not None or name not in absent
    }


def _without_known_nulls(kind: RowKind, part: object, depth: int = 2) -> object:
    if not isinstance(part, dict) or not depth:
        return part
    return {
        name: _without_known_nulls(kind, value, depth - 1)
        for name, value in part.items()
        if value is not None or name not in kind.names
    }


def _explain(kind: RowKind, location: Location, error: ErrorDetails, draft: object) -> Iterable[Broken]:
    """Turn one of pydantic's errors into the vendor's vocabulary."""
    fault, value, message = error["type"], error["input"], error["msg"]
    if fault.isupper():
        return [(location, fault, message)]
    if fault == "extra_forbidden":
        return [_foreign(kind, location, draft)]
    path = tuple("[]" if isinstance(part, int) else part for part in location)
    if fault == "missing" or (value is None and location):
        return [(location, kind.absent.get(path, "REQUIRED_PROPERTY"), "is required")]
    if isinstance(value, str):
        broken = [(location, rule.code, rule.message) for rule in kind.rules.get(path, ()) if rule.broken(value)]
        if broken:
            return broken
    return [(location, "INVALID_TYPE", _EXPECTED.get(fault, message))]


def _foreign(kind: RowKind, location: Location, draft: object) -> Broken:
    name = str(location[-1])
    if len(location) == 1 and name in kind.short.places:
        return location, "MIXED_FORMS", MIXED
    if name in {"cc", "bcc"}:
        return location, "UNKNOWN_PROPERTY", "does not exist: a message has one recipient"
    similar = get_close_matches(name[:40], kind.names, n=1)
    hint = f": did you mean {similar[0]!r}?" if similar and similar[0] != name else ""
    return location, "UNKNOWN_PROPERTY", f"is unknown here{hint}"


def _reject(kind: RowKind, row: int, given: object, draft: object, broken: Iterable[Broken]) -> Reject:
    shown: Callable[[Location], Location] = tuple
    reference = None
    if isinstance(given, dict) and isinstance(draft, dict):
        if not kind.short.is_vendor_form(given):
            shown = partial(kind.short.location, row=given)
        if isinstance(draft["reference"], str):
            reference = draft["reference"]
    errors = [
        FieldError(field=_text(shown(location)), code=code, message=message) for location, code, message in broken
    ]
    return Reject(row=row, errors=tuple(dict.fromkeys(errors)), reference=reference)


def _text(location: Location) -> str:
    """Return a location as ``context.tags[2]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _encode(draft: dict[str, Any], broken: list[Broken]) -> bytes:
    """Return the JSON bytes. What JSON can't hold is added to `broken`, unless that says enough already."""
    try:
        return encode_json(draft)
    except Unfit as error:
        if not broken:
            broken.append(((), "INVALID_TYPE", error.message))
        return b""


_PLAIN_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?Z?", re.ASCII)
_EMPTY: dict[str, Any] = {}
