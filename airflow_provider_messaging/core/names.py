"""File names made of other people's texts, which never choose a path."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,8})$")
_DIGEST = 16
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
"""What a name of ours looks like: no separator, no leading dot or dash, ASCII only."""


def safe_stem(text: str, longest: int = 40) -> str:
    """Return letters, digits, ``-`` and ``_`` that remind of `text`; ``x`` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _UNSAFE.sub("-", plain).strip("-")[:longest].rstrip("-") or "x"


def unique_name(text: str, *identity: str) -> str:
    """Return a safe name that no other text and identity has, upper and lower case aside as well."""
    whole = "\0".join((text, *identity)).encode("utf-8", "surrogatepass")
    return f"{safe_stem(text)}-{hashlib.sha256(whole).hexdigest()[:_DIGEST]}"


def numbered_name(number: int, file_name: str) -> str:
    """Return ``0001-invoice.pdf``: the number makes it unique, the rest is for people."""
    base = re.split(r"[/\\]", file_name)[-1]
    found = _EXTENSION.search(base)
    extension = f".{found[1].lower()}" if found else ""
    return f"{number:04}-{safe_stem(base[: found.start()] if found else base, 60)}{extension}"
