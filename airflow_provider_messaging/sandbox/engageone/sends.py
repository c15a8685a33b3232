"""Sends: what was accepted in one request, and how far it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NAME = r"[^\s.$*\[\]'\"][^.$*\[\]'\"]*"
_PATH = re.compile(rf"(?:\$(?:\[\*\])?\.)?({_NAME}(?:\.{_NAME})*)")


@dataclass(frozen=True, slots=True)
class Send:
    """One accepted dataset; ``suppressed`` are the addresses that are on the blacklist."""

    send_id: str
    campaign: str
    at: float
    """Seconds since 1970."""
    begun: float
    """The same moment by the monotonic clock."""
    total: int
    sent: int
    failed: int
    suppressed: tuple[str, ...]
    broken: bool = False
    """Whether it ends as FAILED."""

    def progress(self, delay: float) -> dict[str, Any]:
        """What the vendor says of it by now; counts grow until the last status is reached.

        :param delay: seconds from acceptance to the last status.
        """
        elapsed = time.monotonic() - self.begun
        if elapsed >= delay:
            status, share = "FAILED" if self.broken else "COMPLETED", 1.0
        elif elapsed >= delay / 2:
            status, share = "PROCESSING", 0.5
        else:
            status, share = "PENDING", 0.0
        return {
            "send_id": self.send_id,
            "status": status,
            "total": self.total,
            "sent": int(self.sent * share),
            "failed": int(self.failed * share),
            "suppressed": int(len(self.suppressed) * share),
        }

    def row(self, delay: float) -> dict[str, Any]:
        """What a test may read: the progress, with the suppressed addresses."""
        more = {"campaign": self.campaign, "at": self.at, "suppressed_addresses": self.suppressed}
        return {**self.progress(delay), **more}


def address_reader(path: str) -> Callable[[dict[str, Any]], object] | None:
    """What reads the address out of a record; None if ``path`` makes no sense.

    A path is ``email``, ``contact.email``, ``$.contact.email``, or ``$[*].email`` as seen from the whole dataset:
    the vendor's examples have the first and the last form.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    names = match[1].split(".")

    def read(record: dict[str, Any]) -> object:
        value: object = record
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return read
