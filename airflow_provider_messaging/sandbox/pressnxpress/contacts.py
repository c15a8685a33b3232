"""The contact of a request: read by its content type, checked by the page's list of attributes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_messaging.sandbox.addresses import is_address
from airflow_provider_messaging.sandbox.http import Request
from airflow_provider_messaging.sandbox.phones import is_e164

Contact = dict[str, Any]
TEXTS = ("firstname", "lastname", "company", "identifier")
MAX_INTEGER = 2**63 - 1


class Unfit(Exception):
    """The request is answered with ``status`` and this text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_contact(request: Request) -> Contact:
    """Attributes by name, in their order.

    :raises Unfit: the body is neither, or not what its content type says.
    """
    read = _READERS.get(request.media_type())
    if read is None:
        raise Unfit(415, f"The content-type can be one of: {', '.join(_READERS)}.")
    if request.too_large:
        raise Unfit(413, "The body is too large.")
    try:
        pairs = read(request.body.decode())
    except (ValueError, RecursionError) as error:
        raise Unfit(400, f"The body cannot be read: {error}") from None
    contact = dict(pairs)
    if len(contact) < len(pairs):
        raise Unfit(400, "An attribute is given more than once.")
    return contact


def check_contact(contact: Contact, required: str) -> None:
    """Check the address of the recipient, which is ``required``, and that every attribute is a plain value.

    :raises Unfit: the first thing that is wrong.
    """
    address = contact.get(required)
    if address is None or address == "":
        raise Unfit(400, f"{required} is required.")
    if not isinstance(address, str) or not _IS_ADDRESS[required](address):
        raise Unfit(400, f"{required} is not valid.")
    for name in TEXTS:
        if not isinstance(contact.get(name, ""), str):
            raise Unfit(400, f"{name} must be a text.")
    for name, value in contact.items():
        if not name:
            raise Unfit(400, "An attribute has no name.")
        if isinstance(value, list | dict) or (isinstance(value, int) and abs(value) > MAX_INTEGER):
            raise Unfit(400, f"{name} must be a text, a number or a boolean.")


def _json_pairs(text: str) -> list[tuple[str, Any]]:
    document = json.loads(text, object_pairs_hook=tuple, parse_constant=_refuse_constant)
    if not isinstance(document, tuple):
        raise ValueError("it must be a JSON object")
    return [(name, {} if isinstance(value, tuple) else value) for name, value in document]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _form_pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict")


_READERS: dict[str, Callable[[str], list[tuple[str, Any]]]] = {
    "application/json": _json_pairs,
    "application/x-www-form-urlencoded": _form_pairs,
}
_IS_ADDRESS: dict[str, Callable[[str], bool]] = {"email": is_address, "phone": is_e164}
