"""Segments: files of webhook events, one CloudEvent a line, named by what is in them and when they were sealed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import NamedTuple

from airflow_provider_messaging.vendors.marigold.feedback import Kind
from airflow_provider_messaging.vendors.marigold.webhooks import (
    BOUNCED,
    COMPLAINT_FILED,
    FAILED,
    LIST_UNSUBSCRIBED,
    SENT,
    canonical_type,
)

DELIVERIES = "deliveries"
OTHER = "other"
SEGMENT_KINDS = (*(kind.value for kind in Kind), DELIVERIES, OTHER)
"""Folders of feedback, by the names of the feedback landing; of messages sent; and of unknown types."""

_KINDS = {
    FAILED: Kind.BOUNCES.value,
    BOUNCED: Kind.BOUNCES.value,
    COMPLAINT_FILED: Kind.COMPLAINTS.value,
    LIST_UNSUBSCRIBED: Kind.LIST_UNSUBSCRIBES.value,
    SENT: DELIVERIES,
}
_STAMP = "%Y%m%dT%H%M%S%fZ"
_PATH = re.compile(
    rf"(?:^|/)kind=(?P<kind>{'|'.join(SEGMENT_KINDS)})/date=(?P<day>\d{{4}}-\d\d-\d\d)"
    r"/segment-(?P<stamp>\d{8}T\d{12}Z)-(?P<id>[A-Za-z0-9]{1,64})\.ndjson(?P<gz>\.gz)?$",
    re.ASCII,
)


def segment_kind(event_type: object) -> str:
    """Return the kind of segment that an event of this type belongs to."""
    return _KINDS.get(canonical_type(event_type), OTHER)


class Segment(NamedTuple):
    """One segment. Within a kind, `name` sorts by the time of sealing.

    :param kind: one of `SEGMENT_KINDS`.
    :param day: the day (UTC) on which its events were received.
    :param sealed_at: aware, UTC, microseconds.
    :param id: letters and digits.
    """

    kind: str
    day: date
    sealed_at: datetime
    id: str
    compressed: bool = False

    @property
    def name(self) -> str:
        stamp = self.sealed_at.astimezone(UTC).strftime(_STAMP)
        return f"segment-{stamp}-{self.id}.ndjson{'.gz' if self.compressed else ''}"

    @property
    def path(self) -> str:
        """The path below the root folder."""
        return f"kind={self.kind}/date={self.day.isoformat()}/{self.name}"

    @classmethod
    def parse(cls, path: str) -> Segment | None:
        """Return the segment of a path that ends like `path`, None for every other file."""
        match = _PATH.search(path)
        if match is None:
            return None
        try:
            return cls(
                kind=match["kind"],
                day=date.fromisoformat(match["day"]),
                sealed_at=datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC),
                id=match["id"],
                compressed=match["gz"] is not None,
            )
        except ValueError:
            return None
