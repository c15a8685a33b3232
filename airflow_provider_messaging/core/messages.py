"""A message between a row of the input and a vendor's verdict. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import FieldError, MessagingError, RowError


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A valid message, encoded once as the element of the request that will carry it.

    A struct rather than a dataclass: there is one for every row, and it is made in a tenth of the time.
    """

    row: int
    """0-based position in the input."""
    reference: str
    recipient: str
    data: bytes
    profile: str | None = None
    tags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Message row {self.row}, {len(self.data)} bytes>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A row that breaks the rules, with all of them."""

    row: int
    errors: tuple[FieldError, ...]
    reference: str | None = None

    @classmethod
    def of(cls, row: int, where: str, code: str, message: str, reference: str | None = None) -> Reject:
        """Return the reject of a row that breaks one rule."""
        return cls(row=row, errors=(FieldError(field=where, code=code, message=message),), reference=reference)

    def as_row_error(self) -> RowError:
        return RowError(row=self.row, errors=self.errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The vendor took every message of the request."""

    outcome: str = ""
    """The vendor's finer word, counted in the report: ``already_listed``."""
    receipt: str = ""
    """What the vendor calls the request. Kept in the ledger where the channel asks for that."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Joined to the manifest lines of the request's messages."""


@dataclass(frozen=True, slots=True)
class RowsRejected:
    """The vendor took nothing and says which positions of the request are at fault."""

    errors: Mapping[int, tuple[FieldError, ...]]


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """The vendor took nothing and does not say which messages are at fault."""

    error: FieldError


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The vendor may or may not have taken the messages."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The vendor took nothing, for a reason that is not the messages': going on makes no sense now."""

    error: MessagingError = field(repr=False)


Verdict = Accepted | RowsRejected | RequestRejected | Ambiguous | NotTaken
"""What the vendor's reply says about the messages of one request."""


class Doubt(Enum):
    """What is to be done about a message that may or may not have been taken."""

    LOOK_UP = "the vendor's tracking can be asked"
    REPEAT = "a repeat does no harm"
    REPORT = "nobody can say, and a repeat may do harm"


class Sighting(Enum):
    """What a look-up says about one reference."""

    SEEN = "the vendor accepted it"
    NOT_SEEN = "the vendor's tracking works and does not know it"
    NOT_FOUND = "404: the vendor does not know it, or the look-up's path is wrong"
