"""Who is told of events: subscriptions, on this machine only."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.http import InvalidOrder
from airflow_provider_messaging.sandbox.marigold.cloudevents import TYPES
from airflow_provider_messaging.sandbox.marigold.settings import ACCOUNT


class SubscriptionOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a subscription is asked for with. The vendor publishes no body: this one is the sandbox's own."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    types: tuple[str, ...] = TYPES
    headers: dict[str, str] = {}
    """Sent with each post: where a secret goes. Their values are never shown."""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    account: str
    order: SubscriptionOrder
    created_at: int

    def shown(self) -> dict[str, Any]:
        order = self.order
        return {
            "id": self.id,
            "url": order.url,
            "types": order.types,
            "headers": sorted(order.headers),
            "created_at": ticks.text(self.created_at),
        }


def subscription(account: str, asked: Mapping[str, Any]) -> Subscription:
    """:raises InvalidOrder: the body is malformed, or its URL leads off this machine."""
    try:
        order = msgspec.convert(dict(asked), SubscriptionOrder)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from None
    if not _is_local(order.url):
        raise InvalidOrder("url must be http or https, to a loopback address: events leave this machine never")
    if unknown := sorted(set(order.types).difference(TYPES)):
        raise InvalidOrder(f"unknown types {unknown}; there are {list(TYPES)}")
    return Subscription(id=secrets.token_hex(8), account=account, order=order, created_at=ticks.now())


def seeded(asked: Mapping[str, Any]) -> Subscription:
    """The subscription that an admin's order asks for: as above, and of any ``account`` and ``id``."""
    order = {name: value for name, value in asked.items() if name not in ("kind", "account", "id")}
    made = subscription(str(asked.get("account", ACCOUNT)), order)
    return msgspec.structs.replace(made, id=str(asked.get("id", made.id)))


def _is_local(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.username is not None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
