"""Six weeks of mail and what came back, to be landed and loaded, and to be counted in Python."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.transfers.loads import bounce

NOW = datetime.now(UTC)
MONTH = NOW - timedelta(days=30)
MARGIN = timedelta(hours=3)
"""Nothing happens so close to the month's beginning: the database looks at its clock some time after us."""
HARD_SHARE = {"example.com": 0.01, "example.org": 0.03, "example.net": 0.07, "few.example.com": 0.5}
OUTCOMES = {
    "soft": [
        ("mailboxFull", "452 4.2.2 The mailbox is full"),
        ("mailboxFull", "452-4.2.2 Over quota"),
        ("unavailable", "421 Try again later"),
    ],
    "hard": [("badUser", "550 5.1.1 No such user here"), ("badUser", "Unknown user"), ("spam", "554 5.7.1 Blocked")],
}


@dataclass(frozen=True)
class Sent:
    reference: str
    recipient: str
    outcome: str
    at: datetime

    @property
    def domain(self) -> str:
        return self.recipient.rpartition("@")[2].lower()


@dataclass(frozen=True)
class Event:
    kind: str
    reference: str
    at: datetime
    bounce_type: str | None = None
    mode: str | None = None
    category: str | None = None
    outcome: str | None = None
    domain: str = "example.com"


@dataclass
class World:
    """What was sent and what came back, over six weeks."""

    sent: list[Sent] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @cached_property
    def messages(self) -> dict[str, Sent]:
        """What was accepted for one recipient, by reference, as it was sent first."""
        recipients = defaultdict(set)
        for sent in self.sent:
            if sent.outcome == "accepted":
                recipients[sent.reference].add(sent.recipient)
        found: dict[str, Sent] = {}
        for sent in sorted(self.sent, key=lambda sent: sent.at):
            if sent.outcome == "accepted" and len(recipients[sent.reference]) == 1:
                found.setdefault(sent.reference, sent)
        return found

    def of(self, *kinds: str, since: datetime = MONTH) -> list[Event]:
        return [event for event in self.events if event.kind in kinds and event.at >= since]


def make_world() -> World:
    rng, world = random.Random(7), World()
    for age in range(42, 0, -1):
        midnight = (NOW - timedelta(days=age)).replace(hour=0, minute=0, second=0, microsecond=0)
        for domain, share in HARD_SHARE.items():
            for number in range(8 if domain.startswith("few") else 40):
                at = midnight + timedelta(seconds=rng.randrange(86_400), microseconds=rng.randrange(10**6))
                if abs(at - MONTH) < MARGIN or at > NOW:
                    continue
                reference = f"m-{age}-{domain.replace('.', '-')}-{number}"
                written = domain.upper() if rng.random() < 0.2 else domain
                recipient = f"{'jane' if number else 'a@b'}.{number}@{written}"
                outcome = rng.choices(["accepted", "rejected", "ambiguous"], [94, 3, 3])[0]
                world.sent.append(Sent(reference, recipient, outcome, at))
                world.events += _feedback(rng, reference, domain, at, share) if outcome == "accepted" else []
    shared = MONTH + timedelta(days=9)
    world.sent += [Sent("shared", f"{name}@example.com", "accepted", shared) for name in ("one", "two")]
    world.events.append(Event("bounce", "shared", shared, "hard", "direct", *OUTCOMES["hard"][0]))
    yesterday = NOW - timedelta(days=1)
    world.events += [Event("complaint", f"unknown-{number}", yesterday) for number in range(3)]
    world.events.append(Event("complaint", "unknown-0", yesterday - timedelta(days=1)))
    again = next(sent for sent in world.sent if sent.outcome == "accepted")
    world.sent.append(Sent(again.reference, again.recipient, "accepted", again.at + timedelta(days=20)))
    world.events = [event for event in world.events if abs(event.at - MONTH) > MARGIN and event.at < NOW]
    return world


def _feedback(rng: random.Random, reference: str, domain: str, at: datetime, share: float) -> Iterator[Event]:
    def later(hours: float) -> datetime:
        return at + timedelta(seconds=rng.expovariate(1 / hours) * 3600)

    if rng.random() < share:
        outcome = rng.choice(OUTCOMES["hard"])
        yield Event("bounce", reference, later(1), "hard", rng.choice(["direct", "indirect"]), *outcome, domain)
    while rng.random() < 0.15:
        yield Event("bounce", reference, later(5), "soft", "direct", *rng.choice(OUTCOMES["soft"]), domain)
    if rng.random() < 0.01:
        yield Event("complaint", reference, later(30), domain=domain)
    if rng.random() < 0.02:
        yield Event("list_unsubscribe", reference, later(30), domain=domain)


def land(world: World, folder: Path) -> Path:
    """Write the events as they land; return the folder."""
    kinds = {"bounce": "bounces", "complaint": "complaints", "list_unsubscribe": "list_unsubscribes"}
    for kind, plural in kinds.items():
        path = folder / "feedback" / f"kind={plural}" / "rows.ndjson"
        path.parent.mkdir(parents=True)
        with path.open("w") as lines:
            for event in world.events:
                if event.kind == kind:
                    lines.write(json.dumps(_row(event)) + "\n")
    return folder / "feedback"


def _row(event: Event) -> dict[str, Any]:
    return bounce(
        event.reference,
        timestamp=event.at.isoformat(),
        domain=event.domain,
        mapping=event.bounce_type,
        mode=event.mode,
        outcome_category=event.category,
        outcome=event.outcome,
    )


def write_manifest(world: World, folder: Path) -> Path:
    """Write what was sent; return the file."""
    path = folder / "manifest.ndjson"
    with path.open("w") as lines:
        for number, sent in enumerate(world.sent):
            made = {
                "dag_id": "mailing",
                "run_id": f"run-{sent.at.date()}-{number % 2}",
                "task_id": "send",
                "map_index": -1,
            }
            line = {"reference": sent.reference, "recipient": sent.recipient, "profile": None, "tags": ["news"], **made}
            lines.write(json.dumps({**line, "row": number, "outcome": sent.outcome, "at": sent.at.isoformat()}) + "\n")
    return path
