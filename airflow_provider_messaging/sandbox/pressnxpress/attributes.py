"""The spellings in which attributes came: one more of them is one more attribute in the vendor's reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

EXPECTED = ("email", "firstname", "lastname", "company", "identifier", "phone")


class Spellings:
    """How often each spelling of each attribute came."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def conflict(self, names: Iterable[str]) -> tuple[str, str] | None:
        """The first of ``names`` that is known in another case, and that spelling; the page's own are always known."""
        here: dict[str, str] = {}
        for name in names:
            lowered = name.lower()
            known = lowered if lowered in EXPECTED else next(iter(self._counts.get(lowered, ())), name)
            known = here.setdefault(lowered, known)
            if known != name:
                return name, known
        return None

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            spellings = self._counts.setdefault(name.lower(), {})
            spellings[name] = spellings.get(name, 0) + 1

    def rows(self) -> Iterator[dict[str, Any]]:
        """Per name in lower case, how many contacts came with each of its spellings."""
        return ({"name": name, "spellings": spellings} for name, spellings in self._counts.items())
