"""The error tree.

MessagingError
├── ConfigurationError      the connection or an argument is wrong; nothing was sent
│   └── ChangedInputError   a retry found another input than the one that was begun with; nothing was sent now
├── AuthenticationError     the vendor refuses the credentials; nothing was sent
├── ValidationError         rows break the vendor's rules
├── RateLimitedError        the vendor throttles beyond our patience; retryable
├── VendorError             the vendor answered with an error, or not at all
├── StorageError            files can't be read or written now; retryable
└── AmbiguousDeliveryError  messages of which nobody can say whether they were taken

No text in here holds a secret: they are built from codes, names and vendor messages only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One broken rule: the field's path, the code (the vendor's where it has one) and a sentence."""

    field: str
    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """All the broken rules of one row (0-based)."""

    row: int
    errors: tuple[FieldError, ...]

    def __str__(self) -> str:
        return f"row {self.row}: " + "; ".join(f"{e.field} {e.code} ({e.message})" for e in self.errors)


class MessagingError(Exception):
    """Base of all errors of this package.

    :param vendor: the vendor's module name, for instance ``marigold``.
    :param operation: the endpoint's name, for instance ``send_email``.
    :param connection: the Airflow connection id.
    :param setting: what to change, where that is known.
    :param trace_id: the vendor's name of the call, which its support asks for.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        vendor: str = "",
        operation: str = "",
        connection: str = "",
        setting: str = "",
        trace_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.vendor = vendor
        self.operation = operation
        self.connection = connection
        self.setting = setting
        self.trace_id = trace_id

    def __str__(self) -> str:
        where = " ".join(part for part in (self.vendor, self.operation) if part)
        text = f"{where}: {self.message}" if where else self.message
        hints = []
        code = getattr(self, "code", "")
        if code and code not in text:
            hints.append(f"code {code}")
        if self.connection:
            hints.append(f"connection {self.connection!r}")
        if self.setting:
            hints.append(f"to change: {self.setting}")
        if self.trace_id:
            hints.append(f"trace id {self.trace_id}")
        return f"{text} [{', '.join(hints)}]" if hints else text


class ConfigurationError(MessagingError):
    """The connection or an argument can't work; nothing was sent."""


class ChangedInputError(ConfigurationError):
    """The input of a retry is not the one that an earlier try began to send."""


class AuthenticationError(MessagingError):
    """The vendor refuses the credentials; nothing was sent."""


class ValidationError(MessagingError):
    """Rows, or arguments, break the vendor's rules.

    :param rows: every row at fault with all its broken rules.
    """

    def __init__(self, message: str, *, rows: Sequence[RowError] = (), **where: Any) -> None:
        super().__init__(message, **where)
        self.rows = tuple(rows)


class RateLimitedError(MessagingError):
    """The vendor throttles and the waiting budget is spent.

    :param retry_after: seconds the vendor asked to wait, None where it did not say.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.retry_after = retry_after


class VendorError(MessagingError):
    """The vendor answered with an error, or there was no complete answer.

    :param status: HTTP status, None where no answer came.
    :param code: the vendor's code of the first error.
    :param errors: the vendor's errors as ``(index in the request or None, FieldError)``.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        errors: Sequence[tuple[int | None, FieldError]] = (),
        retryable: bool = False,
        **where: Any,
    ) -> None:
        super().__init__(message, **where)
        self.status = status
        self.code = code
        self.errors = tuple(errors)
        self.retryable = retryable


class StorageError(MessagingError):
    """Object storage failed in a way that a later try may not see."""

    retryable = True


class AmbiguousDeliveryError(MessagingError):
    """A send that may or may not have been taken.

    :param references: the references concerned, at most a few hundred.
    :param retryable: True when a retry can look them up once more; a retry never sends them blindly.
    """

    def __init__(self, message: str, *, references: Sequence[str] = (), retryable: bool = False, **where: Any) -> None:
        super().__init__(message, **where)
        self.references = tuple(references)
        self.retryable = retryable
