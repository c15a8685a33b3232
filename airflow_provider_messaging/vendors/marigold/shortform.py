"""The short form of a row: flat, addresses as ``Name <address>``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

Location = tuple[str | int, ...]
"""Where something stands in a row: names, and positions in lists."""

IGNORED = "_rejected"
"""What a rejects file adds to a row."""

# RFC 5322's name-addr: words, or quoted strings that may hold anything, before one address in angle brackets.
# A comma, semicolon or @ outside of quotes means more than one address, or that a guess would be needed.
# Possessive, so that no text takes long.
_NAME_ADDR = re.compile(r'((?:[^",;<>@]++|"(?:[^"\\]++|\\.)*+")*+)<([^<>]*+)>[ \t]*+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BLANKS = " \t"


def parse_mailbox(text: str) -> dict[str, str]:
    """Return ``{"alias", "address"}``, the alias where there is one.

    What can't be read as one mailbox comes back whole as the address, which no rule for addresses accepts.
    """
    if "<" not in text:
        return {"address": text}
    alias, address = _parts(text)
    return {"alias": alias, "address": address} if alias else {"address": address}


@lru_cache(maxsize=256)
def _parts(text: str) -> tuple[str, str]:
    """Return the alias, perhaps empty, and the address; mostly of a sender, who is the same in every row."""
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        return "", text
    alias, address = match.groups()
    if '"' in alias:
        alias = _QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), alias)
    return alias.strip(_BLANKS), address.strip(_BLANKS)


@dataclass(frozen=True, kw_only=True)
class ShortForm:
    """How a flat row becomes the vendor's nested one."""

    objects: tuple[str, ...]
    """The vendor's nested objects: a row that has one of them is in the vendor's form."""
    required: tuple[str, ...]
    """Those that a message always has."""
    places: Mapping[str, str]
    """The object of every name that is flat in the short form only."""
    mailboxes: frozenset[str] = frozenset()
    standing_for: Mapping[str, str] = field(default_factory=dict)
    """What the short form has in place of an object as a whole."""
    pairs: Mapping[str, str] = field(default_factory=dict)
    """Names and values in one object here, a list of ``{"name", "value"}`` under another name in the vendor's form."""

    def is_vendor_form(self, row: Mapping[str, Any]) -> bool:
        """Tell the form of a row. Null means absent: tables with a column for everything have many."""
        # A loop: a generator would take twice as long, for every row.
        for name in self.objects:  # noqa: SIM110
            if row.get(name) is not None:
                return True
        return False

    def expand(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row in the vendor's form. Names that have no place stay where they are."""
        message: dict[str, Any] = {}
        parts: dict[str, dict[str, Any]] = {name: {} for name in self.objects}
        plain, others = self._plain, self._others
        for name, value in row.items():
            if (place := plain.get(name)) is not None:
                if value is not None:
                    parts[place][name] = value
            elif (other := others.get(name)) is not None:
                if value is not None:
                    place, name, read = other
                    parts[place][name] = read(value)
            elif name != IGNORED and name not in parts:
                message[name] = value
        for name, part in parts.items():
            if part or name in self.required:
                message[name] = part
        return message

    @cached_property
    def _plain(self) -> dict[str, str]:
        """The object of every name whose value stays as it is."""
        return {name: place for name, place in self.places.items() if name not in self._others}

    @cached_property
    def _others(self) -> dict[str, tuple[str, str, Callable[[Any], object]]]:
        """The object of the others, the name in it, and what makes the value of it."""
        others: dict[str, tuple[str, str, Callable[[Any], object]]] = {}
        for name, place in self.places.items():
            if name in self.mailboxes:
                others[name] = place, name, _mailbox
            elif name in self.pairs:
                others[name] = place, self.pairs[name], as_pairs
        return others

    def location(self, location: Location, row: Mapping[str, Any]) -> Location:
        """Return where `row`, in the short form, has what stands at `location` in the vendor's form."""
        if not location or location[0] not in self.objects:
            return location
        if len(location) == 1:
            return (self.standing_for.get(str(location[0]), location[0]),)
        for name, vendors_name in self.pairs.items():
            if location[1] == vendors_name:
                return (name, *_pair_at(row.get(name), location[2:]))
        return location[1:2] if location[1] in self.mailboxes else location[1:]


def _mailbox(value: object) -> dict[str, Any]:
    # The vendor's object must not pass here: its address and alias have no place in this form.
    return parse_mailbox(value) if isinstance(value, str) else {"address": value}


def as_pairs(value: object) -> object:
    """Return an object's members as ``{"name", "value"}``; null means absent. Anything else stays as it is."""
    if not isinstance(value, dict):
        return value
    return [{"name": name, "value": text} for name, text in value.items() if text is not None]


def _pair_at(value: object, location: Location) -> Location:
    if not isinstance(value, dict) or not location or not isinstance(location[0], int):
        return location
    return (str([name for name, text in value.items() if text is not None][location[0]]),)
