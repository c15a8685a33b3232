"""From rows of the input to contacts as the vendor takes them, and rejects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_provider_messaging.core import addresses, phones
from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import ConfigurationError, FieldError, ValidationError
from airflow_provider_messaging.core.messages import Message, Reject
from airflow_provider_messaging.vendors.pressnxpress.config import ContentType
from airflow_provider_messaging.vendors.pressnxpress.endpoints import ChannelName
from airflow_provider_messaging.vendors.pressnxpress.spellings import Spellings

if TYPE_CHECKING:
    from airflow_provider_messaging.core.templates import Templates

LIMITS = BatchLimits(max_messages=1, max_bytes=100_000)
"""One contact a request, says the vendor. The size is ours: what common web servers take without being asked."""

RECIPIENTS: dict[ChannelName, str] = {"email": "email", "sms": "phone"}
TEXTS = ("firstname", "lastname", "company", "identifier")
NAMES = ("email", "phone", *TEXTS)
"""The attributes that the vendor's page names."""
REFERENCE, VARS, REJECTED = "reference", "vars", "_rejected"
OURS = frozenset({REFERENCE, VARS, REJECTED})
"""Keys of a row that are never sent: its name in the manifest, variables of the template, errors of an earlier send."""
_LONGEST_REFERENCE = 255

Row = dict[str, Any]


@dataclass(slots=True)
class _Draft:
    """A contact in the making, and the rules that its row breaks."""

    number: int
    contact: Row = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)

    def refuse(self, where: str, code: str, message: str) -> None:
        self.errors.append(FieldError(field=where, code=code, message=message))


class ContactRules:
    """Judges and completes the rows of one task, the same way at every try and as often as it is asked.

    :param default_region: the country (``DE``) of phone numbers without a country code.
    :param attributes: attributes of every contact that has none of its own; ``vars`` among them are variables. None
        pins no more than the spelling of an attribute.
    :param identifier: a compiled template, named ``identifier``, for rows without one.
    :raises ConfigurationError: if there is no such country, or an attribute can't be the same for every contact.
    """

    def __init__(
        self,
        *,
        channel: ChannelName,
        content_type: ContentType,
        default_region: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        identifier: Templates | None = None,
    ) -> None:
        self._recipient = RECIPIENTS[channel]
        self._encode = _ENCODERS[content_type]
        self._default_region = _known_region(default_region)
        self._identifier = identifier
        given = attributes or {}
        self._spellings = Spellings((*NAMES, *OURS))
        self._check_attributes(given)
        self._spellings = Spellings((*NAMES, *OURS, *given))
        self._defaults = {name: value for name, value in given.items() if name not in OURS and value is not None}
        self._variables: Row = given.get(VARS) or {}

    def prepare(
        self, rows: Sequence[tuple[int, object]], reference_of: Callable[[int], str]
    ) -> Iterable[Message | Reject]:
        """Judge and encode rows, in their order."""
        return [self._judge(number, given, reference_of) for number, given in rows]

    def _judge(self, number: int, given: object, reference_of: Callable[[int], str]) -> Message | Reject:
        if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
            return Reject.of(number, "", "INVALID_TYPE", "a contact must be an object")
        draft = _Draft(number)
        reference = _reference(draft, given) or reference_of(number)
        own = {name: value for name, value in given.items() if name not in OURS and value is not None}
        for name, sentence in self._spellings.differing(own, number).items():
            draft.refuse(name, "ATTRIBUTE_CASE_MISMATCH", sentence)
        draft.contact = {**self._defaults, **own}
        self._check_recipient(draft)
        self._identify(draft, given, reference)
        for name, value in draft.contact.items():
            if name != self._recipient:
                _check_value(draft, name, value)
        data = self._encoded(draft)
        if draft.errors:
            return Reject(row=number, errors=tuple(draft.errors), reference=reference)
        self._spellings.note(own, number)
        contact = draft.contact
        return Message(
            row=number,
            reference=reference,
            recipient=contact[self._recipient],
            data=data,
            profile=contact.get("identifier"),
        )

    def _check_recipient(self, draft: _Draft) -> None:
        name = self._recipient
        value = draft.contact.get(name)
        if value is None or value == "":
            draft.refuse(name, "REQUIRED_PROPERTY", "is required")
        elif isinstance(value, str):
            try:
                draft.contact[name] = (
                    addresses.normalise(value) if name == "email" else phones.normalise(value, self._default_region)
                )
            except ValueError as error:
                draft.refuse(name, f"INVALID_{name.upper()}", str(error))
        else:
            draft.refuse(name, "INVALID_TYPE", "must be text")

    def _identify(self, draft: _Draft, given: Row, reference: str) -> None:
        """Write the identifier of a row that has none."""
        variables = given.get(VARS)
        if variables is None:
            variables = {}
        elif not isinstance(variables, dict) or not all(isinstance(name, str) for name in variables):
            draft.refuse(VARS, "INVALID_TYPE", "must be an object")
            return
        if self._identifier is None or draft.contact.get("identifier") is not None:
            return
        from airflow_provider_messaging.core.templates import Unrenderable

        everything = {REFERENCE: reference, **draft.contact, **self._variables, **variables}
        present = {name: value for name, value in everything.items() if value is not None}
        try:
            draft.contact["identifier"] = self._identifier.render("identifier", present)
        except Unrenderable as error:
            draft.refuse("identifier", error.code, error.message)

    def _encoded(self, draft: _Draft) -> bytes:
        if draft.errors:
            return b""
        try:
            data = self._encode(draft.contact)
        except ValidationError as error:
            draft.refuse("", "INVALID_TYPE", error.message)
            return b""
        except ValueError as error:
            draft.refuse("", "INVALID_TYPE", f"can't be written in UTF-8: {type(error).__name__}")
            return b""
        if not LIMITS.fits_alone(len(data)):
            draft.refuse("", "MESSAGE_TOO_LARGE", LIMITS.excess(len(data)))
        return data

    def _check_attributes(self, given: Any) -> None:
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise ConfigurationError("attributes must be an object", setting="attributes")
        draft = _Draft(-1)
        for name, sentence in self._spellings.differing(given, 0).items():
            draft.refuse(name, "", sentence)
        for name, value in given.items():
            if name in (self._recipient, REFERENCE, REJECTED):
                draft.refuse(name, "", "can not be the same for every contact")
            elif name == VARS:
                if value is not None and not isinstance(value, Mapping):
                    draft.refuse(name, "", "must be an object")
            elif name == "identifier" and self._identifier is not None and value is not None:
                draft.refuse(name, "", "has a template, and so no default")
            elif value is not None:
                _check_value(draft, name, value)
        if draft.errors:
            wrong = "; ".join(f"{error.field} {error.message}" for error in draft.errors)
            raise ConfigurationError(f"attributes: {wrong}", setting="attributes")


def _known_region(default_region: str | None) -> str | None:
    try:
        return phones.known_region(default_region) if default_region else None
    except ValueError as error:
        raise ConfigurationError(f"default_region: {error}", setting="default_region") from None


def _reference(draft: _Draft, given: Row) -> str | None:
    reference = given.get(REFERENCE)
    if reference is None:
        return None
    if not isinstance(reference, str) or not 0 < len(reference) <= _LONGEST_REFERENCE:
        draft.refuse(REFERENCE, "INVALID_REFERENCE", f"must be a text of 1 to {_LONGEST_REFERENCE} characters")
        return None
    return reference


def _check_value(draft: _Draft, name: str, value: object) -> None:
    if not name:
        draft.refuse(name, "UNKNOWN_PROPERTY", "an attribute has no name")
    elif name == "identifier" and isinstance(value, int) and not isinstance(value, bool):
        draft.contact[name] = str(value)
    elif name in TEXTS:
        if not isinstance(value, str):
            draft.refuse(name, "INVALID_TYPE", "must be text")
    elif not isinstance(value, str | int | float | bool) or (isinstance(value, float) and not math.isfinite(value)):
        draft.refuse(name, "INVALID_TYPE", "must be text, a number, true or false")


def _as_form(contact: Row) -> bytes:
    """Write numbers, true and false as JSON would."""
    pairs = {name: value if isinstance(value, str) else encode_json(value).decode() for name, value in contact.items()}
    return urlencode(pairs).encode("ascii")


_ENCODERS: dict[ContentType, Callable[[Row], bytes]] = {"json": encode_json, "form": _as_form}
MEDIA_TYPES: dict[ContentType, str] = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
