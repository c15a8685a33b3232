"""Archived messages made to order: of any day, with any file names, more than a send could bring."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.http import InvalidOrder
from airflow_provider_messaging.sandbox.marigold.archive import Archive
from airflow_provider_messaging.sandbox.marigold.settings import ACCOUNT


class SeededAttachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of ``size`` bytes; its name is given back as it is, however hostile."""

    file_name: str
    mime_type: str = "application/octet-stream"
    size: Annotated[int, msgspec.Meta(ge=0)] = 10

    @property
    def data(self) -> bytes:
        pattern = self.file_name.encode("utf-8", "surrogatepass") or b"-"
        return (pattern * (self.size // len(pattern) + 1))[: self.size]


class SeededMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message_id: str
    timestamp: str
    channel: str = "email"
    subject: str = "Seeded"
    text: str = "Seeded"
    attachments: list[SeededAttachment] = []


class ArchiveOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the admin."""

    kind: Literal["archive"]
    profile: str
    messages: list[SeededMessage]
    account: str = ACCOUNT


def seed_archive(archive: Archive, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the messages into the archive, beside those that were sent; tracking knows nothing of them.

    :raises InvalidOrder: the order is malformed.
    """
    try:
        read = msgspec.convert(order, ArchiveOrder)
        moments = [ticks.parse(message.timestamp)[0] for message in read.messages]
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidOrder(str(error)) from None
    for number, (message, moment) in enumerate(zip(read.messages, moments, strict=True)):
        delivery = Delivery(
            reference=message.message_id,
            recipient="seeded@example.com",
            account=read.account,
            accepted_at=moment,
            request=0,
            channel=message.channel,
            size=0,
            profile=read.profile,
            archived=True,
        )
        archive.add(-1 - number, delivery, msgspec.json.encode(_document(message)), None)
    return {"kind": read.kind, "profile": read.profile, "messages": len(read.messages)}


def _document(message: SeededMessage) -> dict[str, Any]:
    attachments = [
        {"file_name": each.file_name, "mime_type": each.mime_type, "data": b64encode(each.data).decode()}
        for each in message.attachments
    ]
    return {
        "reference": message.message_id,
        "headers": {
            "subject": message.subject,
            "from": {"address": "news@example.com"},
            "to": {"address": "seeded@example.com"},
        },
        "content": {"text": message.text, "attachments": attachments},
    }
