"""The messages that were archived, by account and profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.marigold.checks import seconds_of
from airflow_provider_messaging.sandbox.marigold.events import due, zone_of

LISTED = 100
LONGEST = 31_536_000
"""Seconds a message is kept at most, the tenant's setting."""
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Archived:
    """One archived message with the JSON it was sent as."""

    delivery: Delivery
    position: int
    raw: bytes
    time_to_live: int
    gone_at: int | None = None
    """Ticks from which on it is deleted."""

    @property
    def message(self) -> dict[str, Any]:
        return _decode(self.raw)

    def metadata(self, skew: int) -> dict[str, Any]:
        """The fields of the page, in its order."""
        delivery, message = self.delivery, self.message
        document: dict[str, Any] = {
            "message_id": delivery.reference,
            "channel": delivery.channel,
            "tags": delivery.tags,
            "metadata": delivery.metadata,
            "profile": delivery.profile,
        }
        if delivery.channel == "email":
            document["attachments"] = [
                {"file_name": attachment["file_name"], "mime_type": attachment["mime_type"]}
                for attachment in message["content"].get("attachments", ())
            ]
            document["subject"] = message["headers"]["subject"]
        document["timestamp"] = ticks.text(due(delivery) + skew, zone_of(delivery.reference))
        document["time_to_live"] = self.time_to_live
        return document


class Archive:
    """Messages by account and profile, oldest first."""

    def __init__(self) -> None:
        self._profiles: dict[tuple[str, str], list[Archived]] = {}

    def add(self, position: int, delivery: Delivery, raw: bytes, duration: str | None) -> None:
        """Keep a message; one without a profile can never be looked up."""
        if delivery.profile:
            asked = seconds_of(duration) if duration is not None else None
            time_to_live = LONGEST if asked is None else int(min(asked, LONGEST))
            kept = self._profiles.setdefault((delivery.account, delivery.profile), [])
            kept.append(Archived(delivery, position, raw, time_to_live))

    def _present(self, account: str, profile: str, now: int, delay: int) -> Iterator[Archived]:
        for archived in self._profiles.get((account, profile), ()):
            if due(archived.delivery) + delay <= now and (archived.gone_at is None or now < archived.gone_at):
                yield archived

    def messages(self, account: str, profile: str, now: int, delay: int) -> list[Archived]:
        """All messages that are archived by ``now``, newest first."""
        return sorted(self._present(account, profile, now, delay), key=_left, reverse=True)

    def find(self, account: str, profile: str, message_id: str, now: int, delay: int) -> Archived | None:
        """The newest message with this id."""
        found = [a for a in self._present(account, profile, now, delay) if a.delivery.reference == message_id]
        return max(found, key=_left, default=None)

    def delete(self, account: str, profile: str, archived: Archived) -> None:
        self._profiles[account, profile].remove(archived)

    def delete_profile(self, account: str, profile: str, gone_at: int) -> None:
        """Let all messages of ``profile`` be gone from ``gone_at`` on."""
        for archived in self._profiles.get((account, profile), ()):
            archived.gone_at = gone_at if archived.gone_at is None else min(archived.gone_at, gone_at)


def _left(archived: Archived) -> tuple[int, int]:
    return due(archived.delivery), archived.position
