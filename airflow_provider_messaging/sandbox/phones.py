"""What a phone number looks like."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"[1-9][0-9]{6,14}")


def is_international(text: str) -> bool:
    """7 to 15 digits, country code first, without a plus."""
    return _DIGITS.fullmatch(text) is not None


def is_e164(text: str) -> bool:
    """The same behind a plus."""
    return text.startswith("+") and is_international(text[1:])
