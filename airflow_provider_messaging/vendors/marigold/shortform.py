"""The short form of a row: flat, addresses as ``Name <address>``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        return {"address": text}
    alias, address = match.groups()
    if '"' in alias:
        alias = _QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), alias)
    alias, address = alias.strip(_BLANKS), address.strip(_BLANKS)
    return {"alias": alias, "address": address} if alias else {"address": address}


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
        places, mailboxes, pairs = self.places, self.mailboxes, self.pairs
        for name, value in row.items():
            place = places.get(name)
            if place is None:
                if name != IGNORED and name not in parts:
                    message[name] = value
            elif value is not None:
                if name in mailboxes:
                    # The vendor's object must not pass here: its address and alias have no place in this form.
                    value = parse_mailbox(value) if isinstance(value, str) else {"address": value}
                elif name in pairs:
                    name, value = pairs[name], as_pairs(value)
                parts[place][name] = value
        for name, part in parts.items():
            if part or name in self.required:
                message[name] = part
        return message

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


def as_pairs(value: object) -> object:
    """Return an object's members as ``{"name", "value"}``; null means absent. Anything else stays as it is."""
    if not isinstance(value, dict):
        return value
    return [{"name": name, "value": text} for name, text in value.items() if text is not None]


def _pair_at(value: object, location: Location) -> Location:
    if not isinstance(value, dict) or not location or not isinstance(location[0], int):
        return location
    return (str([name for name, text in value.items() if text is not None][location[0]]),)
