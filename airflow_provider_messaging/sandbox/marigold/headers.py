"""The rules of an e-mail's headers."""

from __future__ import annotations

from typing import Any

from airflow_provider_messaging.sandbox.addresses import is_address
from airflow_provider_messaging.sandbox.marigold import checks
from airflow_provider_messaging.sandbox.marigold.problems import Report

_KNOWN = {"subject", "to", "from", "reply", "list_unsubscribe", "optional", "priority"}
_MAILBOX = {"alias", "address"}
_OPTIONAL = {"name", "value"}
_RECIPIENTS = {"to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc", "apparently-to"}


def check_headers(report: Report, index: int, headers: Any) -> None:
    if not isinstance(headers, dict):
        report.type_error(index, "headers", "object")
        return
    if not headers.keys() <= _KNOWN:
        report.unknown(index, "headers.", headers.keys() - _KNOWN)
    _check_subject(report, index, headers.get("subject"))
    for name in ("to", "from"):
        if headers.get(name) is None:
            report.add(
                index,
                f"headers.{name}",
                f"REQUIRED_{name.upper()}_HEADER",
                f"{name.title()}: header is required.",
            )
        else:
            _check_mailbox(report, index, name, headers[name])
    if "reply" in headers:
        _check_mailbox(report, index, "reply", headers["reply"])
    if "list_unsubscribe" in headers:
        value = headers["list_unsubscribe"]
        if not isinstance(value, str):
            report.type_error(index, "headers.list_unsubscribe", "string")
        elif checks.breaks_line(value):
            report.add(
                index,
                "headers.list_unsubscribe",
                "INVALID_LIST_UNSUBSCRIBE_CHAR",
                "Line breaks are not allowed.",
            )
    if "optional" in headers:
        _check_optional(report, index, headers["optional"])


def _check_subject(report: Report, index: int, subject: Any) -> None:
    if subject is None or subject == "":
        report.add(index, "headers.subject", "INVALID_SUBJECT_EMPTY", "e-mail 'Subject' can not be empty.")
    elif not isinstance(subject, str):
        report.type_error(index, "headers.subject", "string")
    elif checks.breaks_line(subject):
        report.add(index, "headers.subject", "INVALID_SUBJECT_CHAR", "Line breaks are not allowed.")


def _check_mailbox(report: Report, index: int, name: str, mailbox: Any) -> None:
    if not isinstance(mailbox, dict):
        report.type_error(index, f"headers.{name}", "object")
        return
    if not mailbox.keys() <= _MAILBOX:
        report.unknown(index, f"headers.{name}.", mailbox.keys() - _MAILBOX)
    address = mailbox.get("address")
    if not isinstance(address, str) or not is_address(address):
        _report_address(report, index, name, address)
    if "alias" in mailbox:
        alias = mailbox["alias"]
        if not isinstance(alias, str):
            report.type_error(index, f"headers.{name}.alias", "string")
        elif checks.breaks_line(alias):
            code = f"INVALID_{name.upper()}_ALIAS"
            report.add(index, f"headers.{name}.alias", code, "Line breaks are not allowed.")


def _report_address(report: Report, index: int, name: str, address: Any) -> None:
    field, title = f"headers.{name}.address", name.title()
    if address is None or address == "":
        report.add(index, field, f"REQUIRED_{name.upper()}_ADDRESS", f"{title}: Address is required.")
    elif not isinstance(address, str):
        report.type_error(index, field, "string")
    else:
        report.add(index, field, f"INVALID_{name.upper()}_ADDRESS", f"{title}: Address is not valid.")


def _check_optional(report: Report, index: int, optional: Any) -> None:
    if not isinstance(optional, list):
        report.type_error(index, "headers.optional", "array")
        return
    seen: set[str] = set()
    duplicates: list[str] = []
    for number, header in enumerate(optional):
        field = f"headers.optional[{number}]"
        if not isinstance(header, dict):
            report.type_error(index, field, "object")
            continue
        if not header.keys() <= _OPTIONAL:
            report.unknown(index, f"{field}.", header.keys() - _OPTIONAL)
        name, value = header.get("name"), header.get("value")
        if not isinstance(name, str | None) or not isinstance(value, str | None):
            report.type_error(index, field, "name and value as strings")
            continue
        _check_optional_header(report, index, field, name, value)
        if name and name.lower() in seen:
            duplicates.append(name)
        seen.add((name or "").lower())
    if duplicates:
        report.add(index, "headers.optional", f"Duplicate headers detected: [{', '.join(duplicates)}].")


def _check_optional_header(report: Report, index: int, field: str, name: str | None, value: str | None) -> None:
    """The codes of these rules are the texts of the page."""
    if not name:
        report.add(index, field, "Error for optional header: name can not be null or empty.")
    elif name.lower() in _RECIPIENTS:
        report.add(index, field, "The api call does not support recipient overrides. Change the addressee instead.")
    else:
        if not name.startswith("X-"):
            report.add(index, field, f"Error for header [{name}]: name of custom headers should start with 'X-'.")
        if not checks.HEADER_NAME.fullmatch(name):
            report.add(
                index,
                field,
                f"Error for header {name}: A field name MUST be composed of printable US - ASCII characters "
                "(i.e., characters that have values between 33 and 126, inclusive), except colon",
            )
    if not value:
        report.add(index, field, f"Error for optional header [{name or ''}]: value can not be null or empty")
    elif not value.isascii():
        report.add(index, field, f"Error for header {value}:A field value MUST be composed of US - ASCII characters")
    elif checks.breaks_line(value):
        report.add(index, field, "INVALID_HEADER_VALUE_CHAR", f"Header [{name or ''}]: line breaks are not allowed.")
