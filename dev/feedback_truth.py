"""What a table of feedback has to hold, told from the sandbox's own list: no code of the package has a part in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Event = tuple[Any, ...]

SELECT = (
    "SELECT kind, vendor, schema_version, account_id, reference, recipient, occurred_at, domain, mailbox, "
    "bounce_type, mode, category, reason, outcome FROM {table}"
)
"""The columns of an `Event`."""

_KINDS = {"bounces": "bounce", "complaints": "complaint", "list_unsubscribes": "list_unsubscribe"}


def truth(
    entries: Iterable[Mapping[str, Any]],
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    listed_by: datetime | None = None,
    at_most: timedelta | None = None,
) -> Counter[Event]:
    """Return the events of ``sandbox.state("feedback")``, each once: copies only tell that it was listed earlier.

    :param since: only events that happened from then on.
    :param before: only events that happened before.
    :param listed_by: only those that were listed by then.
    :param at_most: only those that were listed no later than so long after they happened.
    """
    listed: dict[tuple[str, str], datetime] = {}
    rows = {}
    for entry in entries:
        key = (entry["kind"], entry["row"]["external_reference"])
        listed[key] = min(moment(entry["listed_at"]), listed.get(key, datetime.max.replace(tzinfo=UTC)))
        if not entry["copy"]:
            rows[key] = entry["row"]
    events: Counter[Event] = Counter()
    for key, row in rows.items():
        happened = moment(row["timestamp"])
        if (
            (since is None or since <= happened)
            and (before is None or happened < before)
            and (listed_by is None or listed[key] <= listed_by)
            and (at_most is None or listed[key] - happened <= at_most)
        ):
            events[_event(key[0], row)] += 1
    return events


def table_rows(rows: Iterable[Sequence[Any]]) -> Counter[Event]:
    """Return the events of what `SELECT` gives, whatever the database."""
    return Counter(tuple(_plain(value) for value in row) for row in rows)


def differences(expected: Counter[Event], found: Counter[Event]) -> list[str]:
    """Return what is wrong with a table, in words; nothing if it is right."""
    problems = []
    for what, events in (("missing", expected - found), ("too many", found - expected)):
        if count := sum(events.values()):
            problems.append(f"{count} of {sum(expected.values())} events are {what}, such as {next(iter(events))}")
    return problems


def moment(text: str) -> datetime:
    """Return a time in any of the vendor's spellings, all of which mean UTC, without its tenths of microseconds."""
    return datetime.fromisoformat(text[:26]).replace(tzinfo=UTC)


def _event(kind: str, row: Mapping[str, Any]) -> Event:
    return (
        _KINDS[kind],
        "marigold",
        1,
        row["account_id"],
        row["external_reference"],
        None,
        f"{moment(row['timestamp']).replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')}",
        row["domain"],
        row.get("mailbox"),
        row.get("mapping"),
        row.get("mode"),
        row.get("outcome_category"),
        row.get("finalize_reason"),
        row.get("outcome"),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return value
