"""Lists, the subscribers of each, and owners."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any

from airflow_provider_messaging.sandbox.addresses import folded, is_address
from airflow_provider_messaging.sandbox.messangi.answers import refuse
from airflow_provider_messaging.sandbox.messangi.bodies import require_text
from airflow_provider_messaging.sandbox.messangi.collection import Collection, Document
from airflow_provider_messaging.sandbox.phones import is_international


def new_id() -> str:
    return secrets.token_hex(12)


class Subscribers(Collection):
    """The subscribers of one list, found by address as well."""

    def __init__(self) -> None:
        super().__init__()
        self._addresses: Counter[str] = Counter()

    def put(self, key: str, document: Document) -> bytes:
        self._forget(key)
        self._addresses.update(addresses(document))
        return super().put(key, document)

    def remove(self, key: str) -> bool:
        self._forget(key)
        return super().remove(key)

    def holds(self, document: Document) -> str | None:
        """The member, email or phone, that a subscriber of this list has already."""
        taken = (address.partition(":")[0] for address in addresses(document) if self._addresses[address])
        return next(taken, None)

    def _forget(self, key: str) -> None:
        known = self.get(key)
        if known is not None:
            self._addresses.subtract(addresses(known))


class Directory:
    """Everything below the prefix that the vendor does not publish."""

    def __init__(self) -> None:
        self.lists = Collection()
        self.owners = Collection()
        self.subscribers: dict[str, Subscribers] = {}

    def add_list(self, key: str, document: Document) -> bytes:
        self.subscribers[key] = Subscribers()
        return self.lists.put(key, document)

    def remove_list(self, key: str) -> bool:
        self.subscribers.pop(key, None)
        return self.lists.remove(key)

    def list_rows(self) -> Iterator[dict[str, Any]]:
        """Each list with how many subscribers it has."""
        return ({**row, "subscribers": len(self.subscribers[row["id"]])} for row in self.lists)

    def subscriber_rows(self) -> Iterator[dict[str, Any]]:
        """Each subscriber with the id of its list."""
        return ({"list": key, **row} for key, rows in self.subscribers.items() for row in rows)


def addresses(document: Document) -> Iterator[str]:
    """What may be in a list once: the e-mail address and the phone number, however they are written."""
    if "email" in document:
        yield f"email:{folded(document['email'])}"
    if "phone" in document:
        yield f"phone:{document['phone'].removeprefix('+')}"


def check_list(document: Document) -> None:
    require_text(document, "name")
    _check_members(document, {"name", "description", "data"})
    if not isinstance(document.get("description", ""), str):
        raise refuse("description", "must be a text")


def check_subscriber(document: Document) -> None:
    _check_members(document, {"email", "phone", "data"})
    if not document.keys() & {"email", "phone"}:
        raise refuse("email", "or phone is required")
    if "email" in document and not is_address(require_text(document, "email")):
        raise refuse("email", "must be an e-mail address")
    if "phone" in document and not is_international(require_text(document, "phone").removeprefix("+")):
        raise refuse("phone", "must be a number with its country code")


def check_owner(document: Document) -> None:
    """What an owner has is not published: any members."""
    if not document:
        raise refuse("data", "is required")


def _check_members(document: Document, known: set[str]) -> None:
    for name in sorted(document.keys() - known):
        raise refuse(name, "is not known")
    if not isinstance(document.get("data", {}), dict):
        raise refuse("data", "must be an object")
