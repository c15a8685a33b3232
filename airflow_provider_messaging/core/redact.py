"""Keeping secrets out of texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4
_KEPT = ("", "/", "!*'()")
"""What Python, Python's paths and JavaScript leave unescaped."""
_ESCAPE = re.compile(r"%[0-9A-F]{2}")


def fingerprint(secret: str) -> str:
    """Return what tells a secret from others without holding it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Redactor:
    """Replaces known secrets, plain and percent-encoded, by ``***``."""

    def __init__(self, secrets: Iterable[str | None]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if secret and len(secret) >= _SHORTEST:
                escaped = {quote_plus(secret), *(quote(secret, safe=kept) for kept in _KEPT)}
                forms |= {secret, *escaped}
                forms |= {_ESCAPE.sub(lambda found: found[0].lower(), form) for form in escaped}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._forms)} forms>"
