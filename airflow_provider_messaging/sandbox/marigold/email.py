"""The rules of a batch of e-mail messages, checked in full: every violation of every message is reported."""

from __future__ import annotations

from typing import Any

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.marigold import checks
from airflow_provider_messaging.sandbox.marigold.batch import check_context, check_duration, check_reference
from airflow_provider_messaging.sandbox.marigold.headers import check_headers
from airflow_provider_messaging.sandbox.marigold.problems import Report

_KNOWN = {
    "reference",
    "content",
    "headers",
    "context",
    "custom_send_time",
    "time_to_live",
    "archive_enabled",
    "archive_duration",
    "priority",
}
# The place of "priority" is not documented: nothing is said about it, wherever it stands.
_CONTENT = {"html", "text", "attachments", "priority"}
_ATTACHMENT = {"file_name", "data", "mime_type"}


def check_message(report: Report, index: int, message: dict[str, Any], now: int) -> None:
    """Report what is wrong with one message; ``now`` is the vendor's clock in ticks."""
    if not message.keys() <= _KNOWN:
        report.unknown(index, "", message.keys() - _KNOWN)
    check_reference(report, index, message)
    if "content" not in message:
        report.required(index, "content")
    else:
        _check_content(report, index, message["content"])
    if "headers" not in message:
        report.required(index, "headers")
    else:
        check_headers(report, index, message["headers"])
    if "context" in message:
        check_context(report, index, message["context"])
    _check_send_time(report, index, message.get("custom_send_time"), now)
    check_duration(report, index, message, "time_to_live", longest=172_800)
    check_duration(report, index, message, "archive_duration", shortest=86_400)
    archive = message.get("archive_enabled")
    if archive is not None and not isinstance(archive, bool):
        report.type_error(index, "archive_enabled", "boolean or null")


def _check_content(report: Report, index: int, content: Any) -> None:
    if not isinstance(content, dict):
        report.type_error(index, "content", "object")
        return
    if not content.keys() <= _CONTENT:
        report.unknown(index, "content.", content.keys() - _CONTENT)
    bodies = [content[name] for name in ("html", "text") if name in content]
    for name in ("html", "text"):
        if name in content and not isinstance(content[name], str):
            report.type_error(index, f"content.{name}", "string")
    if not any(bodies):
        report.add(index, "content", "INVALID_CONTENT_EMPTY", "Html or text content is required.")
    if "attachments" in content:
        _check_attachments(report, index, content["attachments"])


def _check_attachments(report: Report, index: int, attachments: Any) -> None:
    if not isinstance(attachments, list):
        report.type_error(index, "content.attachments", "array")
        return
    names: set[str] = set()
    for number, attachment in enumerate(attachments):
        field = f"content.attachments[{number}]"
        if not isinstance(attachment, dict):
            report.type_error(index, field, "object")
            continue
        if not attachment.keys() <= _ATTACHMENT:
            report.unknown(index, f"{field}.", attachment.keys() - _ATTACHMENT)
        for name in ("file_name", "data", "mime_type"):
            if name not in attachment:
                report.required(index, f"{field}.{name}")
            elif not isinstance(attachment[name], str):
                report.type_error(index, f"{field}.{name}", "string")
            else:
                _check_attachment_value(report, index, field, name, attachment[name])
        file_name = attachment.get("file_name")
        if isinstance(file_name, str):
            if file_name in names:
                report.add(index, f"{field}.file_name", "DUPLICATE_FILE_NAME", "File name has to be unique.")
            names.add(file_name)


def _check_attachment_value(report: Report, index: int, field: str, name: str, value: str) -> None:
    if name == "file_name" and not value:
        report.add(index, f"{field}.file_name", "INVALID_FILE_NAME_EMPTY", "File name can not be empty.")
    elif name == "data" and checks.decoded(value) is None:
        report.add(index, f"{field}.data", "INVALID_ATTACHMENT_DATA", "Data must be base64.")
    elif name == "mime_type" and not checks.MIME_TYPE.fullmatch(value):
        report.add(index, f"{field}.mime_type", "INVALID_MIME_TYPE", "Mime type must be type/subtype.")


def _check_send_time(report: Report, index: int, value: Any, now: int) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        report.type_error(index, "custom_send_time", "string or null")
        return
    moment = checks.utc(value)
    if moment is None:
        report.add(index, "custom_send_time", "INVALID_CUSTOM_SEND_TIME", "Must be a date and time in UTC.")
    elif moment > now + ticks.DAY:
        report.add(
            index,
            "custom_send_time",
            "INVALID_CUSTOM_SEND_TIME_RANGE",
            "Can not be more than 24 hours ahead.",
        )
