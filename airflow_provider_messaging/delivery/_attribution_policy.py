"""Which feedback takes an address off the lists, and for what reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Literal

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.feedback import BOUNCE, COMPLAINT, HARD, LIST_UNSUBSCRIBE, SOFT, SPAM

MOST_REFERENCES = 20
"""References that a line names at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Sign(IntEnum):
    """What speaks against an address, the weightiest first: of several, the first one is the reason."""

    COMPLAINT = 0
    UNSUBSCRIBE = 1
    HARD = 2
    SPAM = 3
    SOFT = 4


REASONS: Mapping[Sign, str] = {
    Sign.COMPLAINT: "Complaint",
    Sign.UNSUBSCRIBE: "Recipient Unsubscribed",
    Sign.HARD: "Hard Bounce",
    Sign.SPAM: "Spam Bounce",
    Sign.SOFT: "Soft Bounce",
}
"""Three of them in the words of EngageOne, which has none for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which feedback suppresses an address.

    :param hard: one hard bounce does.
    :param soft_bounces: that many messages that bounced softly within `soft_window` do; None: soft bounces never do.
        Messages are counted, not events: one that bounced twice counts once.
    :param soft_window: from the first of these bounces to the last at most.
    :param spam_bounces: what to do with messages that were refused as spam: ``ignore`` them, since they say more of the
        message than of its recipient; or count them as ``soft`` or as ``hard`` bounces.
    :param complaints: one complaint does.
    :param unsubscribes: one unsubscribe does.
    :param since: only what an event from then on brings about. Earlier soft bounces count towards their number.
    """

    hard: bool = True
    soft_bounces: int | None = 3
    soft_window: timedelta = timedelta(days=30)
    spam_bounces: Literal["ignore", "soft", "hard"] = "ignore"
    complaints: bool = True
    unsubscribes: bool = True
    since: datetime | None = None

    def check(self) -> None:
        """Judge the arguments.

        :raises ConfigurationError: naming the one at fault.
        """
        if self.soft_bounces is not None and self.soft_bounces < 1:
            raise ConfigurationError("soft_bounces must be at least 1, or None", setting="soft_bounces")
        if self.soft_window <= timedelta(0):
            raise ConfigurationError("soft_window must be longer than nothing", setting="soft_window")
        if self.spam_bounces not in {"ignore", "soft", "hard"}:
            message = f"spam_bounces is {self.spam_bounces!r}; it must be one of ignore, soft, hard"
            raise ConfigurationError(message, setting="spam_bounces")

    @property
    def history_since(self) -> datetime | None:
        """The time before which an event makes no difference."""
        if self.since is None or self.soft_bounces is None:
            return self.since
        try:
            return self.since - self.soft_window
        except OverflowError:
            return None

    def signs(self) -> dict[tuple[str, str | None], Sign]:
        """Return what an event of a kind and a bounce type says against its recipient, where that counts."""
        found = dict(_SIGNS)
        if self.spam_bounces == "soft":
            found[BOUNCE, SPAM] = Sign.SOFT
        wanted = {
            Sign.COMPLAINT: self.complaints,
            Sign.UNSUBSCRIBE: self.unsubscribes,
            Sign.HARD: self.hard,
            Sign.SPAM: self.spam_bounces == "hard",
            Sign.SOFT: self.soft_bounces is not None,
        }
        return {event: sign for event, sign in found.items() if wanted[sign]}


_SIGNS: Mapping[tuple[str, str | None], Sign] = {
    (COMPLAINT, None): Sign.COMPLAINT,
    (LIST_UNSUBSCRIBE, None): Sign.UNSUBSCRIBE,
    (BOUNCE, HARD): Sign.HARD,
    (BOUNCE, SPAM): Sign.SPAM,
    (BOUNCE, SOFT): Sign.SOFT,
}


@dataclass(slots=True)
class Evidence:
    """The events of one sign; `first` and `last` in microseconds since 1970."""

    first: int
    last: int = 0
    events: int = 0
    references: dict[str, None] = field(default_factory=dict)

    def add(self, reference: str, at: int) -> None:
        self.events += 1
        self.last = at
        if reference and len(self.references) < MOST_REFERENCES:
            self.references[reference] = None


class Case:
    """What speaks against one address. Its memory is bounded, however many events there are."""

    __slots__ = ("_evidence", "_policy", "_recent", "_soft", "address")

    def __init__(self, address: str, policy: Policy) -> None:
        self.address = address
        self._policy = policy
        self._evidence: dict[int, Evidence] = {}
        self._recent: dict[str, int] = {}
        """When a message bounced softly last, of those within the window."""
        self._soft = False

    def add(self, sign: int, reference: str, at: int, *, counts: bool) -> None:
        """Add an event; they come in the order of time.

        :param reference: empty if there is none: all such soft bounces count as one message.
        :param counts: it is not from before the policy's `since`.
        """
        evidence = self._evidence.get(sign)
        if evidence is None:
            evidence = self._evidence[sign] = Evidence(at)
        evidence.add(reference, at)
        if sign == Sign.SOFT and not self._soft:
            self._soft = self._enough(reference, at) and counts

    def _enough(self, reference: str, at: int) -> bool:
        """Tell whether with this soft bounce there are enough of them within the window."""
        needed = self._policy.soft_bounces
        assert needed is not None
        self._recent.pop(reference, None)
        self._recent[reference] = at
        began = at - self._policy.soft_window // _MICROSECOND
        while self._recent[oldest := next(iter(self._recent))] < began:
            del self._recent[oldest]
        while len(self._recent) > needed:
            del self._recent[next(iter(self._recent))]
        return len(self._recent) >= needed

    def line(self, category: str | None) -> dict[str, Any] | None:
        """Return the line of an address that is to be suppressed, None if the policy lets it be."""
        for sign in sorted(self._evidence):
            if sign != Sign.SOFT or self._soft:
                return self._line(Sign(sign), category)
        return None

    def _line(self, sign: Sign, category: str | None) -> dict[str, Any]:
        evidence = self._evidence[sign]
        return {
            "email": self.address,
            "reason": REASONS[sign],
            "category": category,
            "references": list(evidence.references),
            "events": evidence.events,
            "first_at": moment(evidence.first),
            "last_at": moment(evidence.last),
        }


def microseconds(at: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def cases(rows: Iterator[tuple[str, int, str | None, int, int]], policy: Policy) -> Iterator[Case]:
    """Gather rows of address, sign, reference, time and whether it counts, sorted by address and time, into cases."""
    case: Case | None = None
    for address, sign, reference, at, counts in rows:
        if case is None or case.address != address:
            if case is not None:
                yield case
            case = Case(address, policy)
        case.add(sign, reference or "", at, counts=bool(counts))
    if case is not None:
        yield case
