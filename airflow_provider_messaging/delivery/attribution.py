"""Feedback joined with manifests: whom it came from, and who is to get no more mail.

The join is on disk, in a database of its own that is gone with the process: memory does not grow with the number of
messages or events, and a killed task leaves no addresses behind.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, NamedTuple

import msgspec

from airflow_provider_messaging.core.addresses import normalise
from airflow_provider_messaging.delivery._attribution_policy import Policy, Sign, cases, microseconds

__all__ = ["UNATTRIBUTED_KEY", "Attribution", "Counts", "Policy", "Sent"]

UNATTRIBUTED_KEY = "_unattributed"
"""Where a line of an event that was not attributed says why."""

AMBIGUOUS = "AMBIGUOUS_REFERENCE"
PROBLEMS = {
    "MISSING_REFERENCE": "the event has neither a reference nor a recipient",
    AMBIGUOUS: "the manifests and the feedback name more than one recipient of this reference",
    "UNKNOWN_REFERENCE": "no manifest has this reference, and the event names no recipient",
    "INVALID_EMAIL": "the recipient is not an e-mail address",
    "MISSING_TIME": "the event does not say when it happened, or not in a readable way",
}
"""Why an event was not attributed, the first that is true."""

_INVALID = "\n"
"""Stands before a recipient that is no address, so that none of them is taken for one."""

_NEVER = -(2**63)

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -32768;
CREATE TABLE known (reference TEXT NOT NULL, address TEXT NOT NULL, accepted INTEGER NOT NULL);
CREATE TABLE landed (
    id TEXT NOT NULL, sign INTEGER, reference TEXT, recipient TEXT, at INTEGER, counts INTEGER, place INTEGER
);
"""
_JOIN = (
    "CREATE TABLE owner (reference TEXT PRIMARY KEY, address TEXT NOT NULL, ambiguous INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO owner SELECT reference, min(address), min(address) <> max(address) FROM known "
    "GROUP BY reference ORDER BY reference",
    # With min() the other columns are those of the row that has it: of an event's copies the first one counts.
    "CREATE TABLE event AS SELECT min(rowid) AS number, * FROM landed GROUP BY id",
    "DROP TABLE landed",
    """
    CREATE TABLE attributed AS
        SELECT
            id, sign, event.reference, at, counts, place, coalesce(owner.address, recipient) AS address,
            CASE
                WHEN event.reference IS NULL AND recipient IS NULL THEN 'MISSING_REFERENCE'
                WHEN owner.ambiguous THEN 'AMBIGUOUS_REFERENCE'
                WHEN coalesce(owner.address, recipient) IS NULL THEN 'UNKNOWN_REFERENCE'
                WHEN substr(coalesce(owner.address, recipient), 1, 1) = char(10) THEN 'INVALID_EMAIL'
                WHEN at IS NULL THEN 'MISSING_TIME'
            END AS problem
        FROM event LEFT JOIN owner ON owner.reference = event.reference
    """,
    "DROP TABLE event",
)
_CASES = """
SELECT address, sign, reference, at, counts FROM attributed
WHERE problem IS NULL AND sign IS NOT NULL ORDER BY address, at, reference, id
"""
_UNATTRIBUTED = """
SELECT place, problem FROM attributed WHERE problem IS NOT NULL AND counts ORDER BY at, id
"""
_REACHED = """
SELECT DISTINCT address, reference FROM known
WHERE accepted
    AND reference NOT IN (SELECT reference FROM attributed WHERE reference IS NOT NULL)
    AND address NOT IN (SELECT address FROM attributed WHERE problem IS NULL OR problem = 'MISSING_TIME')
ORDER BY address, reference
"""


class Sent(NamedTuple):
    """A message that was sent, or may have been; `accepted` says which."""

    reference: str
    recipient: str
    accepted: bool


@dataclass(slots=True)
class Counts:
    """``events == attributed + ambiguous + unattributed``, without the copies.

    :param messages: lines of manifests.
    :param copies: events that had come already.
    :param problems: events that were not attributed, by code.
    :param reasons: addresses, by the reason why they are suppressed.
    """

    messages: int = 0
    events: int = 0
    copies: int = 0
    attributed: int = 0
    ambiguous: int = 0
    unattributed: int = 0
    addresses: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {
            "messages": self.messages,
            "events": self.events,
            "copies": self.copies,
            "attributed": self.attributed,
            "ambiguous": self.ambiguous,
            "unattributed": self.unattributed,
            "problems": dict(sorted(self.problems.items())),
            "addresses": self.addresses,
            "reasons": dict(sorted(self.reasons.items())),
        }


class Attribution:
    """Takes manifests and events, joins them, and gives addresses: in that order, each step once.

    All that names the recipient of a reference (lines of manifests, and events that name one themselves) has to name
    the same; otherwise its events are ambiguous, and suppress nobody. A context manager.

    :param policy: whom to suppress.
    :param keep_events: for `unattributed`, which takes as much disk as the events.
    """

    def __init__(self, policy: Policy, *, keep_events: bool = False) -> None:
        policy.check()
        self._policy = policy
        # An empty name makes a file that has none from the start.
        self._open = ExitStack()
        self._database = self._open.enter_context(closing(sqlite3.connect("", isolation_level=None)))
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        self._spool: IO[bytes] | None = None
        if keep_events:
            self._spool = self._open.enter_context(tempfile.TemporaryFile(prefix="messaging-"))  # noqa: SIM115
        self._spooled = 0
        self._told = 0
        self.counts = Counts()

    def __enter__(self) -> Attribution:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add_messages(self, sent: Iterable[Sent]) -> None:
        """Add a manifest's messages; those that were rejected do not belong to them."""

        def rows() -> Iterator[tuple[str, str, bool]]:
            for reference, recipient, accepted in sent:
                self.counts.messages += 1
                yield reference, _address(recipient), accepted

        self._database.executemany("INSERT INTO known VALUES (?, ?, ?)", rows())

    def add_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add events of the data contract. Copies of an event, and what is older than the policy asks for, add none."""
        self._database.executemany("INSERT INTO landed VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows(events))
        self._database.execute(
            "INSERT INTO known SELECT reference, recipient, 0 FROM landed "
            "WHERE rowid > ? AND reference IS NOT NULL AND recipient IS NOT NULL",
            [self._told],
        )
        (self._told,) = self._database.execute("SELECT coalesce(max(rowid), 0) FROM landed").fetchone()

    def _rows(self, events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
        policy, signs = self._policy, self._policy.signs()
        since = _NEVER if policy.since is None else microseconds(policy.since)
        history = _NEVER if policy.history_since is None else microseconds(policy.history_since)
        for event in events:
            at = None if event["occurred_at"] is None else microseconds(event["occurred_at"])
            sign = signs.get((event["kind"], event["bounce_type"]))
            counts = at is None or at >= since
            if not counts and (sign is not Sign.SOFT or (at is not None and at < history)):
                continue
            recipient = event.get("recipient")
            yield (
                event["event_id"],
                None if sign is None else int(sign),
                event["reference"] or None,
                _address(recipient) if recipient else None,
                at,
                counts,
                self._keep(event) if counts else None,
            )

    def _keep(self, event: Mapping[str, Any]) -> int | None:
        if self._spool is None:
            return None
        place = self._spooled
        self._spooled += self._spool.write(_ENCODER.encode(event) + b"\n")
        return place

    def join(self) -> Counts:
        """Find the recipient of every event, and count."""
        counts, database = self.counts, self._database
        (landed,) = database.execute("SELECT count(*) FROM landed WHERE counts").fetchone()
        for statement in _JOIN:
            database.execute(statement)
        found = database.execute("SELECT problem, count(*) FROM attributed WHERE counts GROUP BY problem")
        by_problem: dict[str | None, int] = dict(found)
        counts.attributed = by_problem.pop(None, 0)
        counts.problems = Counter({str(problem): number for problem, number in by_problem.items()})
        counts.ambiguous = counts.problems[AMBIGUOUS]
        counts.unattributed = counts.problems.total() - counts.ambiguous
        counts.events = counts.attributed + counts.problems.total()
        counts.copies = landed - counts.events
        return counts

    def addresses(self, *, category: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield a line for each address that the policy suppresses, sorted by address, and count them.

        :param category: of the mail that they are to get no more of, in the words of whom they are handed to.
        """
        for case in cases(self._database.execute(_CASES), self._policy):
            line = case.line(category)
            if line is not None:
                self.counts.addresses += 1
                self.counts.reasons[line["reason"]] += 1
                yield line

    def unattributed(self) -> Iterator[dict[str, Any]]:
        """Yield the events that were not attributed, ambiguous ones included, with the reason, sorted by time."""
        assert self._spool is not None
        for place, problem in self._database.execute(_UNATTRIBUTED):
            self._spool.seek(place)
            event: dict[str, Any] = _DECODER.decode(self._spool.readline())
            yield {**event, UNATTRIBUTED_KEY: {"code": problem, "message": PROBLEMS[problem]}}

    def reached(self) -> Iterator[dict[str, str]]:
        """Yield the accepted messages of which, and of whose recipients, no event came, sorted by recipient."""
        for address, reference in self._database.execute(_REACHED):
            yield {"email": address.removeprefix(_INVALID), "reference": reference}


def _address(text: str) -> str:
    try:
        return normalise(text)
    except ValueError:
        return _INVALID + text


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])
