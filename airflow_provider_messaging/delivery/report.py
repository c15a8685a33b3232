"""What a send comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

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
    duplicates: int = 0
    """Rows that added nothing to an earlier one; no messages."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Accepted messages by the vendor's finer word, those of earlier tries included."""
    receipts: list[str] = field(default_factory=list)
    """What the vendor calls the accepted requests, those of earlier tries first."""
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
                ("more that repeat others", self.duplicates),
                ("not attempted", self.messages - self.settled),
            )
            if count
        ]
        return ", ".join(parts) + f", in {self.requests} requests{_words(self.outcomes)}"


def _words(outcomes: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count} {word}' for word, count in sorted(outcomes.items()))})" if outcomes else ""
