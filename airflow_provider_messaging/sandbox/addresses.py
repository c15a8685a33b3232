"""What an e-mail address looks like."""

from __future__ import annotations

import re
from functools import lru_cache

_ATOM = r"[^\s@<>()\[\],;:\\\".\x00-\x1f\x7f]+"
# Not \w: that leaves out the vowel signs of many scripts, which are part of domains as well.
_ALNUM = r"[^\x00-/:-@\[-`{-\x7f\s]"
_LABEL = rf"{_ALNUM}(?:(?:{_ALNUM}|-){{0,61}}{_ALNUM})?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")


@lru_cache(maxsize=1024)
def is_address(text: str) -> bool:
    """``local@domain`` with a dot in the domain, without white space, at most 254 characters."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def folded(address: str) -> str:
    """``address`` for comparing: domains are equal whatever their case, local parts are not."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"
