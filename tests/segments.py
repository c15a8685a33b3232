"""The webhook's events, and the segments that a receiver would land."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from airflow_provider_messaging.vendors.marigold.segments import Segment, segment_kind

Event = dict[str, Any]

AT = datetime(2026, 3, 10, 12, 0, 0, 123456, UTC)
TYPES = {
    "failed": "com.sdc.deliveries.email.failed",
    "sent": "com.sdc.deliveries.email.sent",
    "bounced": "com.sdc.bounces.email.bounced",
    "complaint": "com.sdc.bounces.email.complaintfiled",
    "unsubscribe": "com.sdc.bounces.email.listunsubscribed",
}
_numbers = count(1)


def event(what: str, reference: str, *, at: datetime = AT, recipient: str | None = None, **data: Any) -> Event:
    """An event as the vendor posts it and the receiver writes it; one of a delivery has a recipient."""
    details: dict[str, Any] = {"account_id": "a", "external_reference": reference}
    if what in ("failed", "sent"):
        details |= {
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f0"),
            "recipient": recipient or f"{reference}@example.com",
        }
    else:
        details |= {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00"), "mailbox": "bounce@service.slgnt.eu"}
    if what == "failed":
        details |= {
            "result": "undeliverable",
            "outcome": "550 5.1.1 No such user",
            "outcome_category": "badUser",
            "finalize_reason": "hardBounce",
        }
    return {
        "id": blake2b(f"{what} {reference} {at}".encode(), digest_size=16).hexdigest(),
        "source": "/sdc",
        "type": TYPES[what],
        "specversion": "1.0",
        "time": at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
        "datacontenttype": "application/json",
        "subject": reference,
        "data": {**details, **data},
        "receivedat": at.isoformat(),
    }


def land_segment(
    root: Path, events: Sequence[Event], *, sealed_at: datetime | None = None, compressed: bool = False, name: str = ""
) -> str:
    """Write events of one kind as a segment, whole or not at all, and return its path."""
    sealed = sealed_at or datetime.now(UTC)
    kind = segment_kind(events[0]["type"])
    number = name or f"s{next(_numbers)}"
    segment = Segment(kind=kind, day=sealed.date(), sealed_at=sealed, id=number, compressed=compressed)
    path = root / segment.path
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(json.dumps(each).encode() + b"\n" for each in events)
    part = path.with_name(f"{path.name}.part-1")
    part.write_bytes(gzip.compress(data) if compressed else data)
    part.rename(path)
    return str(path)
