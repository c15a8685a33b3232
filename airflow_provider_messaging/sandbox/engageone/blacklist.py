"""The addresses that get no mail, and what the public API says about an address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from airflow_provider_messaging.sandbox.addresses import folded
from airflow_provider_messaging.sandbox.engageone.problems import read, refuse, require_address
from airflow_provider_messaging.sandbox.engageone.settings import Settings
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer

INVALID_DOMAIN = "invalid.test"
UNKNOWN_DOMAIN = "unknown.test"


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to blacklist an address."""

    email: str
    category: Annotated[str, msgspec.Meta(min_length=1)] | UnsetType = UNSET
    reason: Annotated[str, msgspec.Meta(min_length=1)] | UnsetType = UNSET


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request to verify an address."""

    email: str


class Entry(msgspec.Struct, gc=False):
    """One address with what was said when it was listed first."""

    email: str
    category: str | None
    reason: str | None
    at: float
    """Seconds since 1970."""
    posts: int = 1
    """How often it was asked for, this first time included."""


class Blacklist:
    """Addresses in the order they came; the case of a domain makes no difference, that of a local part does."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, order: Order) -> bool:
        """Return whether it was not there before; if it was, the earlier entry stays as it is."""
        key = folded(order.email)
        entry = self._entries.get(key)
        if entry is not None:
            entry.posts += 1
            return False
        self._entries[key] = Entry(order.email, order.category or None, order.reason or None, time.time())
        return True

    def remove(self, email: str) -> bool:
        """Return whether it was there."""
        return self._entries.pop(folded(email), None) is not None

    def __contains__(self, email: str) -> bool:
        return folded(email) in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())


def add(blacklist: Blacklist, settings: Settings, request: Request) -> Answer:
    order = read(request, Order)
    require_address(order.email, "email")
    if blacklist.add(order):
        return json_answer({"email": order.email, "status": "listed"}, 201)
    if settings.already_listed == "conflict":
        raise refuse(409, "The address is on the blacklist already.", "ALREADY_LISTED")
    return json_answer({"email": order.email, "status": "already_listed"})


def remove(blacklist: Blacklist, request: Request) -> Answer:
    email = request.params["email"]
    require_address(email, "email")
    if not blacklist.remove(email):
        raise refuse(404, "The address is not on the blacklist.", "NOT_LISTED")
    return Answer(204)


def verify(request: Request) -> Answer:
    """Decide by the domain."""
    email = read(request, Question).email
    require_address(email, "email")
    domain = email.rpartition("@")[2].lower()
    if domain == INVALID_DOMAIN:
        return json_answer({"email": email, "status": "invalid", "reason": "The domain takes no mail."})
    if domain == UNKNOWN_DOMAIN:
        return json_answer({"email": email, "status": "unknown", "reason": "The mail server does not tell."})
    return json_answer({"email": email, "status": "valid"})
