"""The sends of each channel, and the look-up of an SMS."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.addresses import is_address
from airflow_provider_messaging.sandbox.deliveries import Deliveries, Delivery
from airflow_provider_messaging.sandbox.http import Answer, Request
from airflow_provider_messaging.sandbox.messangi.answers import problem, refuse, sent
from airflow_provider_messaging.sandbox.messangi.bodies import Document, require_text, take
from airflow_provider_messaging.sandbox.messangi.settings import ACCOUNT, Settings
from airflow_provider_messaging.sandbox.phones import is_international

REJECTED_ENDING = "0000"
REJECTED_DOMAIN = "@rejected.test"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as every channel has it."""

    channel: str
    recipient: str
    external_id: str = ""
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an SMS."""

    message_id: str
    external_id: str
    status: str
    description: str
    at: int


def _read_sms(body: Document) -> Outgoing:
    require_text(body, "from")
    require_text(body, "text")
    if require_text(body, "type") != "MT":
        raise refuse("type", "must be MT")
    return Outgoing("sms", _number(body), _external_id(body))


def _read_email(body: Document) -> Outgoing:
    for name in ("from", "to"):
        if not is_address(require_text(body, name)):
            raise refuse(name, "must be an e-mail address")
    require_text(body, "subject")
    require_text(body, "text")
    return Outgoing("email", body["to"], _external_id(body))


def _read_whatsapp(body: Document) -> Outgoing:
    require_text(body, "from")
    require_text(body, "body")
    if require_text(body, "type") != "text":
        raise refuse("type", "must be text")
    return Outgoing("whatsapp", _number(body))


def _read_notification(body: Document) -> Outgoing:
    """What ``request`` holds is not published: an address and an id are taken from it where they are texts."""
    channel, request = require_text(body, "channel"), body.get("request")
    if not isinstance(request, dict) or not request:
        raise refuse("request", "must be an object with members")
    recipient, external_id = (v if isinstance(v := request.get(name), str) else "" for name in ("to", "externalId"))
    return Outgoing("notification", recipient, external_id, (("channel", channel),))


@dataclass(frozen=True, slots=True)
class Kind:
    """A send: the members its body may have and the reader that checks them."""

    members: frozenset[str]
    read: Callable[[Document], Outgoing]


SMS = Kind(frozenset({"from", "to", "text", "type", "externalId"}), _read_sms)
EMAIL = Kind(frozenset({"from", "to", "subject", "text", "externalId"}), _read_email)
WHATSAPP = Kind(frozenset({"from", "to", "type", "body"}), _read_whatsapp)
NOTIFICATION = Kind(frozenset({"channel", "request"}), _read_notification)


class Messages:
    """What was sent: acceptances are deliveries, and SMS are found again."""

    def __init__(self) -> None:
        self.deliveries = Deliveries()
        self._fates: dict[str, Fate] = {}
        self._fates_by_external_id: dict[str, Fate] = {}

    def send(self, request: Request, settings: Settings, kind: Kind) -> Answer:
        request.messages = 1
        message = kind.read(take(request, kind.members))
        fate = _fate(message, settings.accepted_status)
        if fate.status != "REJECTED":
            self.deliveries.add(_delivery(message, fate, request))
        if message.channel == "sms":
            self._fates[fate.message_id] = fate
            if fate.external_id:
                self._fates_by_external_id[fate.external_id] = fate
        return sent(settings, fate.status, fate.message_id, fate.description)

    def look_up(self, request: Request, settings: Settings) -> Answer:
        asked = request.params["message_id"]
        fate = self._fates.get(asked)
        if fate is None and settings.lookup_by_external_id:
            fate = self._fates_by_external_id.get(asked)
        if fate is None or ticks.now() < fate.at + ticks.from_seconds(settings.lookup_lag):
            return problem(404)
        more = {"externalId": fate.external_id} if fate.external_id else {}
        return sent(settings, fate.status, fate.message_id, fate.description, **more)


def _fate(message: Outgoing, accepted: str) -> Fate:
    rejected = message.recipient.lower().endswith((REJECTED_ENDING, REJECTED_DOMAIN))
    status = "REJECTED" if rejected else accepted
    description = "The recipient cannot be reached" if rejected else "The message is accepted"
    return Fate(str(uuid.uuid4()), message.external_id, status, description, ticks.now())


def _delivery(message: Outgoing, fate: Fate, request: Request) -> Delivery:
    return Delivery(
        reference=message.external_id or fate.message_id,
        recipient=message.recipient,
        account=ACCOUNT,
        accepted_at=fate.at,
        request=request.number,
        channel=message.channel,
        size=len(request.body),
        extra={"message_id": fate.message_id, **dict(message.extra)},
    )


def _number(body: Document) -> str:
    number = require_text(body, "to")
    if not is_international(number):
        raise refuse("to", "must be a number with its country code, digits only")
    return number


def _external_id(body: Document) -> str:
    return require_text(body, "externalId") if "externalId" in body else ""
