"""Access tokens that really expire."""

from __future__ import annotations

import secrets
import time
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


class TokenStore(Generic[Subject]):
    """Issued tokens and whom each was issued to."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[float, Subject]] = {}

    def issue(self, subject: Subject, lifetime: float, token: str | None = None) -> str:
        """Return a token that is good for ``lifetime`` seconds: ``token``, or else a new opaque one."""
        now = time.monotonic()
        if len(self._issued) > 10_000:
            self._issued = {token: entry for token, entry in self._issued.items() if entry[0] > now}
        token = secrets.token_urlsafe(48) if token is None else token
        self._issued[token] = (now + lifetime, subject)
        return token

    def subject(self, token: str) -> Subject | None:
        """Whom ``token`` was issued to, or None if it is unknown or has expired."""
        entry = self._issued.get(token)
        if entry is None or entry[0] <= time.monotonic():
            return None
        return entry[1]

    def expire_all(self) -> None:
        self._issued.clear()
