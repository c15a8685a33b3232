"""The inbox: what is received is in a database before it is acknowledged, and leaves it when its segment is landed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.engine import Connection

from airflow_provider_messaging.vendors.marigold.segments import Segment
from airflow_provider_messaging.webhooks.schema import INBOX, LEASE, SEALER, SEEN, SEGMENTS, create_tables, open_engine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE = 500
_PURGED_AT_ONCE = 5_000


class Received(NamedTuple):
    """An event on its way into the inbox.

    :param key: see `event_key`.
    :param kind: of its segment.
    :param received: microseconds since 1970.
    :param payload: its line in the segment, without line feed.
    """

    key: str
    kind: str
    received: int
    payload: str


class Waiting(NamedTuple):
    """Events of one kind and day that are in no segment yet; `oldest` in microseconds since 1970."""

    kind: str
    day: str
    events: int
    size: int
    oldest: int


class Sealed(NamedTuple):
    """A segment that is to be written."""

    id: str
    path: str
    kind: str
    events: int


def event_key(source: str, event_id: str) -> str:
    """Return 32 hexadecimal digits for what identifies an event: its source and id."""
    digest = blake2b(digest_size=16)
    for part in (source, event_id):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()


def microseconds() -> int:
    """Return now, as microseconds since 1970."""
    return time.time_ns() // 1_000


def moment(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


class Inbox:
    """Safe to use from several threads, processes and machines at once.

    :raises ConfigurationError: if the URL can't be used.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._readers = self._engine.execution_options(reads=True)
        self.database = self._engine.dialect.name
        self._is_postgres = self.database == "postgresql"

    def create(self) -> None:
        """Make the tables that are not there."""
        create_tables(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def ping(self) -> None:
        """Ask the database something.

        :raises SQLAlchemyError: if it does not answer.
        """
        with self._reading() as connection:
            connection.execute(select(LEASE.c.until)).first()

    # ------------------------------------------------------------------------------------------------ receiving

    def store(self, events: Iterable[Received]) -> set[str]:
        """Store the events that were never seen, in one transaction; return their keys once it is committed.

        Of several receivers that store one event at the same time one does, and the others wait for its commit.

        :raises SQLAlchemyError: if nothing of them was stored, or it is not known.
        """
        unique = {event.key: event for event in events}
        # In one order everywhere: two receivers that wait for each other's events would be a deadlock.
        ordered = [unique[key] for key in sorted(unique)]
        with self._engine.begin() as connection:
            if self._is_postgres:
                return self._store_in_postgres(connection, ordered)
            return self._store_in_turn(connection, ordered)

    def _store_in_postgres(self, connection: Connection, events: Sequence[Received]) -> set[str]:
        columns: dict[str, Any] = {
            "keys": [event.key for event in events],
            "kinds": [event.kind for event in events],
            "days": [_day(event.received) for event in events],
            "received": [event.received for event in events],
            "payloads": [event.payload for event in events],
        }
        return {row[0] for row in connection.execute(_STORE, columns)}

    def _store_in_turn(self, connection: Connection, events: Sequence[Received]) -> set[str]:
        """The transaction has the only lock there is: nobody else adds anything between look and insert."""
        seen: set[str] = set()
        for start in range(0, len(events), _AT_ONCE):
            keys = [event.key for event in events[start : start + _AT_ONCE]]
            seen.update(connection.execute(select(SEEN.c.key).where(SEEN.c.key.in_(keys))).scalars())
        new = [event for event in events if event.key not in seen]
        if new:
            connection.execute(insert(SEEN), [{"key": event.key, "received": event.received} for event in new])
            connection.execute(
                insert(INBOX),
                [
                    {
                        "kind": event.kind,
                        "day": _day(event.received),
                        "received": event.received,
                        "size": len(event.payload.encode()),
                        "payload": event.payload,
                    }
                    for event in new
                ],
            )
        return {event.key for event in new}

    # -------------------------------------------------------------------------------------------------- sealing

    def lease(self, owner: str, seconds: float) -> bool:
        """Tell whether `owner` is the one that seals, for so many seconds from now on."""
        now = microseconds()
        is_mine_or_over = or_(LEASE.c.owner == owner, LEASE.c.until < now)
        statement = (
            update(LEASE)
            .where(LEASE.c.name == SEALER, is_mine_or_over)
            .values(owner=owner, until=now + round(seconds * 1_000_000))
        )
        with self._engine.begin() as connection:
            return bool(connection.execute(statement).rowcount)

    def release(self, owner: str) -> None:
        """Let another one seal at once."""
        with self._engine.begin() as connection:
            connection.execute(update(LEASE).where(LEASE.c.name == SEALER, LEASE.c.owner == owner).values(until=0))

    def waiting(self) -> list[Waiting]:
        """Return what is in no segment yet, the oldest first."""
        statement = (
            select(INBOX.c.kind, INBOX.c.day, func.count(), func.sum(INBOX.c.size), func.min(INBOX.c.received))
            .where(INBOX.c.segment.is_(None))
            .group_by(INBOX.c.kind, INBOX.c.day)
        )
        with self._reading() as connection:
            found = [
                Waiting(kind, day, n, int(size), oldest) for kind, day, n, size, oldest in connection.execute(statement)
            ]
        return sorted(found, key=lambda each: each.oldest)

    def seal(
        self,
        kind: str,
        day: str,
        *,
        most_events: int,
        most_bytes: int,
        compressed: bool,
        owner: str | None = None,
    ) -> Sealed | None:
        """Fix what the next segment of a kind and day holds, its oldest events; None if there are none.

        :param most_bytes: the segment is full once it has so many.
        :param owner: None as well if he has lost the lease. Whoever takes it finds all that was sealed before, so
            segments become visible in the order of their stamps.
        """
        waits = and_(INBOX.c.segment.is_(None), INBOX.c.kind == kind, INBOX.c.day == day)
        with self._engine.begin() as connection:
            last, size = None, 0
            oldest = select(INBOX.c.seq, INBOX.c.size).where(waits).order_by(INBOX.c.seq).limit(most_events)
            for row in connection.execute(oldest):
                last, size = row.seq, size + row.size
                if size >= most_bytes:
                    break
            if last is None:
                return None
            name = secrets.token_hex(6)
            stamp = self._next_stamp(connection, owner)
            if stamp is None:
                return None
            segment = Segment(kind, date.fromisoformat(day), moment(stamp), name, compressed)
            claim = update(INBOX).where(waits, INBOX.c.seq <= last).values(segment=name)
            events = connection.execute(claim).rowcount
            if not events:
                return None
            sealed = Sealed(name, segment.path, kind, events)
            connection.execute(insert(SEGMENTS), {**sealed._asdict(), "sealed": stamp, "landed": None})
        return sealed

    def _next_stamp(self, connection: Connection, owner: str | None) -> int | None:
        """Return now, later than the stamp of every segment before, whatever the clocks of the machines say."""
        lease = LEASE.c.name == SEALER
        if owner is not None:
            lease = and_(lease, LEASE.c.owner == owner)
        if not connection.execute(update(LEASE).where(lease).values(last_stamp=LEASE.c.last_stamp + 1)).rowcount:
            return None
        last: int = connection.execute(select(LEASE.c.last_stamp).where(lease)).scalar_one()
        stamp = max(microseconds(), last)
        connection.execute(update(LEASE).where(lease).values(last_stamp=stamp))
        return stamp

    def unlanded(self) -> list[Sealed]:
        """Return the segments that are sealed and not known to be landed, in the order of sealing."""
        columns = (SEGMENTS.c.id, SEGMENTS.c.path, SEGMENTS.c.kind, SEGMENTS.c.events)
        statement = select(*columns).where(SEGMENTS.c.landed.is_(None)).order_by(SEGMENTS.c.sealed)
        with self._reading() as connection:
            return [Sealed(*row) for row in connection.execute(statement)]

    def lines(self, segment: Sealed) -> list[str]:
        """Return the lines of a segment, in the order of receipt; none if it is landed already."""
        statement = select(INBOX.c.payload).where(INBOX.c.segment == segment.id).order_by(INBOX.c.seq)
        with self._reading() as connection:
            return list(connection.execute(statement).scalars())

    def landed(self, segment: Sealed) -> None:
        """Drop a segment's events, whose file is there now. Their keys stay."""
        with self._engine.begin() as connection:
            connection.execute(delete(INBOX).where(INBOX.c.segment == segment.id))
            connection.execute(update(SEGMENTS).where(SEGMENTS.c.id == segment.id).values(landed=microseconds()))

    def purge(self, before: datetime) -> int:
        """Forget events that came before then and are landed; return how many."""
        limit = (before - _EPOCH) // timedelta(microseconds=1)
        forgotten = 0
        is_waiting = exists().where(INBOX.c.received < limit)
        with self._reading() as connection:
            if connection.execute(select(is_waiting)).scalar():
                # Storage has been away for longer than the retention: rather keep too much.
                return 0
        while True:
            old = select(SEEN.c.key).where(SEEN.c.received < limit).limit(_PURGED_AT_ONCE)
            with self._engine.begin() as connection:
                count = connection.execute(delete(SEEN).where(SEEN.c.key.in_(old))).rowcount
                connection.execute(delete(SEGMENTS).where(SEGMENTS.c.landed < limit))
            forgotten += count
            if count < _PURGED_AT_ONCE:
                return forgotten

    # ------------------------------------------------------------------------------------------------- figures

    def depth(self) -> tuple[int, int | None]:
        """Return how many events are not landed yet, and when the oldest of them came."""
        with self._reading() as connection:
            events, oldest = connection.execute(select(func.count(), func.min(INBOX.c.received))).one()
        return events, oldest

    def _reading(self) -> Any:
        return self._readers.begin()


def _day(received: int) -> str:
    return moment(received).date().isoformat()


_STORE = text(
    f"""
    WITH given AS (
        SELECT * FROM unnest(
            CAST(:keys AS text[]), CAST(:kinds AS text[]), CAST(:days AS text[]),
            CAST(:received AS bigint[]), CAST(:payloads AS text[])
        ) AS given (key, kind, day, received, payload)
    ), new AS (
        INSERT INTO {SEEN.name} (key, received) SELECT key, received FROM given
        ON CONFLICT (key) DO NOTHING RETURNING key
    ), stored AS (
        INSERT INTO {INBOX.name} (kind, day, received, size, payload)
        SELECT kind, day, received, octet_length(payload), payload FROM given JOIN new USING (key)
    )
    SELECT key FROM new
    """
)
