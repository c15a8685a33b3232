"""What batches of e-mail and push messages have in common: their limits, their references, their context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox.http import Refused, Request
from airflow_provider_messaging.sandbox.marigold import checks
from airflow_provider_messaging.sandbox.marigold.auth import require_json
from airflow_provider_messaging.sandbox.marigold.problems import Report, refuse, validation_problem

MAX_MESSAGES = 100
Check = Callable[[Report, int, dict[str, Any]], None]
_CONTEXT = {"tags", "metadata", "profile", "priority"}
_scan = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


def read_batch(request: Request, check: Check) -> list[tuple[dict[str, Any], msgspec.Raw]]:
    """Read a batch and check all of it.

    :return: each message with the JSON it was made of.
    :raises Refused: anything is wrong with any of them.
    """
    require_json(request)
    try:
        raws = _scan(request.body)
        messages = [_decode(raw) for raw in raws]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refuse("", "INVALID_TYPE", f"The body must be a JSON array of messages: {error}") from None
    request.messages = len(raws)
    if not 1 <= len(raws) <= MAX_MESSAGES:
        raise refuse("", "INVALID_BATCH_SIZE", f"A request holds 1 to {MAX_MESSAGES} messages, not {len(raws)}.")
    report = Report()
    references: set[str] = set()
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            report.type_error(index, "", "object")
            continue
        check(report, index, message)
        reference = message.get("reference")
        if isinstance(reference, str):
            if reference in references:
                report.add(
                    index,
                    "reference",
                    "REFERENCE_DUPLICATE_DETECTED",
                    "Duplicate references have been detected in the batch",
                )
            references.add(reference)
    if report.errors:
        raise Refused(validation_problem(report.errors))
    return list(zip(messages, raws, strict=True))


def check_reference(report: Report, index: int, message: dict[str, Any]) -> None:
    reference = message.get("reference")
    if isinstance(reference, str) and checks.REFERENCE.fullmatch(reference):
        return
    if "reference" not in message:
        report.required(index, "reference")
    elif reference is None or reference == "":
        report.add(index, "reference", "INVALID_REFERENCE_EMPTY", "Message reference can not be empty.")
    elif not isinstance(reference, str):
        report.type_error(index, "reference", "string")
    else:
        if len(reference) > 64:
            report.add(
                index,
                "reference",
                "INVALID_REFERENCE_LENGTH",
                "Message reference length threshold exceeded (64).",
            )
        if not checks.REFERENCE_CHARS.fullmatch(reference):
            report.add(
                index,
                "reference",
                "INVALID_REFERENCE_CHAR",
                "Message reference can only contain letters,'-' and digits.",
            )


def check_context(report: Report, index: int, context: Any) -> None:
    if not isinstance(context, dict):
        report.type_error(index, "context", "object")
        return
    if not context.keys() <= _CONTEXT:
        report.unknown(index, "context.", context.keys() - _CONTEXT)
    if "tags" in context:
        _check_tags(report, index, context["tags"])
    for name in ("metadata", "profile"):
        if name not in context:
            continue
        value = context[name]
        if not isinstance(value, str):
            report.type_error(index, f"context.{name}", "string")
        elif len(value) > 140:
            report.add(
                index,
                f"context.{name}",
                f"INVALID_{name.upper()}_LENGTH",
                f"{name.title()} can not contain more than 140 characters",
            )


def _check_tags(report: Report, index: int, tags: Any) -> None:
    if not isinstance(tags, list):
        report.type_error(index, "context.tags", "array")
        return
    for tag in tags:
        if tag is None or tag == "":
            report.add(index, "context.tags", "INVALID_TAG_EMPTY", "Tag can not be null or empty!")
        elif not isinstance(tag, str):
            report.type_error(index, "context.tags", "string")
        else:
            if len(tag.encode()) > 96:
                report.add(index, "context.tags", "INVALID_TAG_LENGTH", "Tag length can not be more than 96 bytes.")
            if "/" in tag:
                report.add(index, "context.tags", "INVALID_TAG_CHAR", "Tag contains an invalid character: '/'.")


def check_duration(
    report: Report,
    index: int,
    message: dict[str, Any],
    name: str,
    *,
    shortest: float = 0,
    longest: float = float("inf"),
) -> None:
    """``name`` must be null or an ISO 8601 duration between the given seconds."""
    value = message.get(name)
    if value is None:
        return
    if not isinstance(value, str):
        report.type_error(index, name, "string or null")
        return
    seconds = checks.seconds_of(value)
    if seconds is None:
        report.add(index, name, f"INVALID_{name.upper()}", f"{name} must be an ISO 8601 duration.")
    elif seconds <= 0 or not shortest <= seconds <= longest:
        report.add(index, name, f"INVALID_{name.upper()}_RANGE", f"{name} is out of range.")
