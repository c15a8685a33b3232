"""From rows of the input to the bodies of the four kinds of message, and rejects.

The vendor publishes no list of fields, so names that are not known here are passed on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any

from airflow_provider_messaging.core import addresses, phones
from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import FieldError, ValidationError
from airflow_provider_messaging.core.messages import Message, Reject

LIMITS = BatchLimits(max_messages=1, max_bytes=1_000_000)
"""One message a request. The size is ours: the vendor states none."""
REJECTED = "_rejected"
"""What a rejects file adds to a row."""
EXTERNAL_ID = "externalId"

_REFERENCE = re.compile(r"[!-~]{1,64}")
_DIGITS = re.compile(r"\d+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_NOTHING = (None, "")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What rows need not say.

    :param sender: the ``from`` of rows without one.
    :param region: the country (``BR``) of phone numbers without a country code; empty: there are none such.
    """

    sender: str = ""
    region: str = ""


@dataclass(slots=True)
class Draft:
    """A message in the making: what is left of the row, and the rules that it breaks."""

    rest: Row
    defaults: Defaults
    reference: str
    recipient: str = ""
    errors: list[FieldError] = field(default_factory=list)

    def refuse(self, where: str, code: str, message: str) -> None:
        self.errors.append(FieldError(field=where, code=code, message=message))

    def text(self, name: str, *, one_line: bool = False) -> str:
        """Take a field that must be there and hold text."""
        value = self.rest.pop(name, None)
        if value in _NOTHING:
            self.refuse(name, "REQUIRED_PROPERTY", "is required")
        elif not isinstance(value, str):
            self.refuse(name, "INVALID_TYPE", "must be a string")
        elif one_line and _CONTROL.search(value):
            self.refuse(name, "INVALID_CHARACTER", "must be one line, without control characters")
        else:
            return str.__str__(value)
        return ""

    def sender(self) -> str:
        """Take who it comes from; the default takes the place of a sender that is missing."""
        given = self.rest.get("from")
        if given in _NOTHING:
            self.rest["from"] = self.defaults.sender
        elif isinstance(given, int):
            self.rest["from"] = str(given)
        return self.text("from", one_line=True)

    def phone(self, name: str = "to") -> str:
        """Take a phone number; return country code and number without the +, as the vendor wants it."""
        value = self.rest.pop(name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value in _NOTHING:
            self.refuse(name, "REQUIRED_PROPERTY", "is required")
        elif not isinstance(value, str):
            self.refuse(name, "INVALID_TYPE", "must be a string")
        else:
            try:
                return self._in_digits(value.strip())
            except ValueError as error:
                self.refuse(name, "INVALID_PHONE_NUMBER", str(error))
        return ""

    def address(self, name: str, given: str) -> str:
        """Return the e-mail address in a text that was taken; a name beside it is left out."""
        if not given:
            return ""
        try:
            return addresses.normalise(parseaddr(given)[1] if "<" in given else given)
        except ValueError as error:
            self.refuse(name, "INVALID_EMAIL_ADDRESS", str(error))
        return ""

    def _in_digits(self, text: str) -> str:
        if not self.defaults.region:
            # The vendor's own form is a country code without anything before it.
            if text.startswith("00"):
                text = "+" + text[2:]
            elif _DIGITS.fullmatch(text):
                text = "+" + text
        return phones.normalise(text, self.defaults.region or None).removeprefix("+")


Compose = Callable[[Draft], Row]
"""Makes the body of a request out of a draft; what is left in `rest` is added to it."""


def sms(draft: Draft) -> Row:
    """``{from, to, text, type}``"""
    return {"from": draft.sender(), "to": _to_phone(draft), "text": draft.text("text"), "type": _type(draft, "MT")}


def tracked_sms(draft: Draft) -> Row:
    """The same with our reference as ``externalId``."""
    return {**sms(draft), EXTERNAL_ID: draft.reference}


def email(draft: Draft) -> Row:
    """``{from, to, subject, text, externalId}``; ``html`` may stand for or beside ``text``."""
    body = {
        "from": draft.sender(),
        "to": draft.text("to", one_line=True),
        "subject": draft.text("subject", one_line=True),
    }
    draft.address("from", body["from"])
    body["to"] = draft.recipient = draft.address("to", body["to"])
    if draft.rest.get("html") in _NOTHING:
        draft.rest.pop("html", None)
        body["text"] = draft.text("text")
    return {**body, EXTERNAL_ID: draft.reference}


def whatsapp(draft: Draft) -> Row:
    """``{from, to, type, body}``; other types than ``text`` bring what they need along."""
    body = {"from": draft.sender(), "to": _to_phone(draft), "type": _type(draft, "text")}
    if "text" in draft.rest and "body" in draft.rest:
        draft.refuse("text", "MIXED_FORMS", "belongs to the short form, and the row has the vendor's 'body' as well")
    if body["type"] == "text" or "text" in draft.rest:
        body["body"] = draft.text("text" if "text" in draft.rest else "body")
    return body


def notification(draft: Draft) -> Row:
    """``{channel, request}``; the short form is that of an SMS."""
    if "request" not in draft.rest:
        channel = draft.text("channel") if draft.rest.get("channel") else "SMS"
        if channel.upper() != "SMS":
            draft.refuse("request", "REQUIRED_PROPERTY", "is required: only SMS has a short form")
        request = {"to": _to_phone(draft), "shortcode": draft.sender(), "body": draft.text("text")}
        return {"channel": "SMS", "request": request}
    request = draft.rest.pop("request")
    if not isinstance(request, dict):
        draft.refuse("request", "INVALID_TYPE", "must be an object")
        request = {}
    draft.recipient = str(request.get("to") or "")
    return {"channel": draft.text("channel"), "request": request}


COMPOSERS: Mapping[str, Compose] = {"sms": sms, "email": email, "whatsapp": whatsapp, "notification": notification}
"""By the name of the channel."""


def prepare(
    compose: Compose, row: int, given: object, *, reference_of: Callable[[int], str], defaults: Defaults
) -> Message | Reject:
    """Return the message of a row, or a reject with all the rules that it breaks."""
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        return Reject.of(row, "", "INVALID_TYPE", "must be an object")
    rest = {name: value for name, value in given.items() if value is not None and name != REJECTED}
    draft = Draft(rest=rest, defaults=defaults, reference="")
    draft.reference = _reference(draft, lambda: reference_of(row))
    profile, tags = _profile(draft), _tags(draft)
    body = {**compose(draft), **draft.rest}
    data = b""
    if not draft.errors:
        data = _encode(draft, body)
    if draft.errors:
        return Reject(row=row, errors=tuple(draft.errors), reference=draft.reference or None)
    return Message(row=row, reference=draft.reference, recipient=draft.recipient, data=data, profile=profile, tags=tags)


def _to_phone(draft: Draft) -> str:
    draft.recipient = draft.phone()
    return draft.recipient


def _type(draft: Draft, default: str) -> str:
    draft.rest.setdefault("type", default)
    return draft.text("type")


def _reference(draft: Draft, made: Callable[[], str]) -> str:
    external = draft.rest.get(EXTERNAL_ID)
    given = draft.rest.pop("reference", external)
    if given is None:
        return made()
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not _REFERENCE.fullmatch(given) or given in {".", ".."}:
        draft.refuse("reference", "INVALID_REFERENCE", "must be 1 to 64 printable ASCII characters without blanks")
        return ""
    if external is not None and str(external) != given:
        draft.refuse(EXTERNAL_ID, "MIXED_FORMS", "is another name for the reference, and differs from it")
    draft.rest.pop(EXTERNAL_ID, None)
    if external is not None:
        draft.rest[EXTERNAL_ID] = given
    return given


def _profile(draft: Draft) -> str | None:
    profile = draft.rest.pop("profile", None)
    if profile is not None and not isinstance(profile, str):
        draft.refuse("profile", "INVALID_TYPE", "must be a string")
        return None
    return profile


def _tags(draft: Draft) -> tuple[str, ...]:
    tags = draft.rest.pop("tags", ())
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        draft.refuse("tags", "INVALID_TYPE", "must be a list of strings")
        return ()
    return tuple(tags)


def _encode(draft: Draft, body: Row) -> bytes:
    try:
        data = encode_json(body)
    except ValidationError as error:
        draft.refuse("", "INVALID_TYPE", error.message)
        return b""
    if not LIMITS.fits_alone(len(data)):
        draft.refuse("", "MESSAGE_TOO_LARGE", LIMITS.excess(len(data)))
    return data
