"""Rows that name an address: text, or an object that has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_messaging.core.addresses import normalise
from airflow_provider_messaging.core.errors import FieldError

ADDRESS_FIELDS = ("email", "address", "recipient", "_raw")
"""Where an object may have its address: a row of one's own, a line of a manifest, a rejects line of a row of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRow:
    """An address in its one spelling, and what else its row says."""

    address: str
    category: str | None = None
    reason: str | None = None


def read_row(row: object) -> AddressRow | tuple[FieldError, ...]:
    """Return the address of a row, or every rule that the row breaks."""
    if isinstance(row, str):
        return _read("", row, {})
    if not isinstance(row, Mapping):
        return (_error("", "INVALID_TYPE", "a row is an address, or an object with one"),)
    for name in ADDRESS_FIELDS:
        if row.get(name) is not None:
            return _read(name, row[name], row)
    named = ", ".join(repr(name) for name in ADDRESS_FIELDS[:3])
    return (_error("email", "REQUIRED_PROPERTY", f"the row has none of {named}"),)


def _read(name: str, value: object, row: Mapping[str, Any]) -> AddressRow | tuple[FieldError, ...]:
    errors: list[FieldError] = []
    address = ""
    if isinstance(value, str):
        try:
            address = normalise(value)
        except ValueError as error:
            errors.append(_error(name, "INVALID_EMAIL", str(error)))
    else:
        errors.append(_error(name, "INVALID_TYPE", "an address is text"))
    texts: dict[str, str | None] = {}
    for extra in ("category", "reason"):
        given = row.get(extra)
        texts[extra] = given if isinstance(given, str) and given else None
        if given is not None and not isinstance(given, str):
            errors.append(_error(extra, "INVALID_TYPE", f"{extra} is text"))
    return tuple(errors) or AddressRow(address=address, **texts)


def _error(field: str, code: str, message: str) -> FieldError:
    return FieldError(field=field, code=code, message=message)
