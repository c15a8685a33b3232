"""What a send comes to."""

from __future__ import annotations

from dataclasses import dataclass

COUNTS = ("messages", "accepted", "rejected", "ambiguous", "reconciled", "resumed", "requests")


@dataclass(slots=True, kw_only=True)
class Report:
    """Counts of one send. At its end ``accepted + rejected + ambiguous == messages``.

    `resumed` (accepted by an earlier try) and `reconciled` (found accepted by look-up) are parts of `accepted`.
    """

    messages: int = 0
    accepted: int = 0
    rejected: int = 0
    ambiguous: int = 0
    reconciled: int = 0
    resumed: int = 0
    requests: int = 0
    repeated: int = 0
    """Messages sent once more, after a look-up showed that they had not been taken."""
    throttled: int = 0
    """Times that the vendor asked to wait."""

    def counts(self) -> dict[str, int]:
        """Return the documented counts, as plain integers."""
        return {name: getattr(self, name) for name in COUNTS}

    @property
    def settled(self) -> int:
        return self.accepted + self.rejected + self.ambiguous

    def __str__(self) -> str:
        parts = [f"{self.messages} messages", f"{self.accepted} accepted"]
        parts += [
            f"{count} {name}"
            for name, count in (
                ("of them by an earlier try", self.resumed),
                ("of them found by look-up", self.reconciled),
                ("rejected", self.rejected),
                ("ambiguous", self.ambiguous),
                ("not attempted", self.messages - self.settled),
            )
            if count
        ]
        return ", ".join(parts) + f", in {self.requests} requests"
