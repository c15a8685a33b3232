"""The queries of docs/bounce-etl.md, on tables that the operators loaded, against the long way in Python."""

from __future__ import annotations

import math
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator
from tests.contexts import task_context
from tests.transfers.six_weeks import MONTH, Event, Sent, land, make_world, write_manifest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bounce-etl.md"
QUERIES = dict(re.findall(r"```sql\n-- (.+)\n((?s:.+?))```", PAGE.read_text()))
VIEW = "the view"
Row = tuple[Any, ...]
WORLD = make_world()


class Analyst:
    """A session on PostgreSQL, far from UTC, that sees the tables by their names in the page."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._cursor = connection.cursor()
        self._cursor.execute(f"SET search_path TO {schema}")
        self._cursor.execute("SET TIME ZONE 'Asia/Tokyo'")

    def rows(self, query: str) -> list[Row]:
        self._cursor.execute(query)
        return list(self._cursor.fetchall()) if self._cursor.description else []


@pytest.fixture(scope="module")
def analyst(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyst]:
    import psycopg2

    schema = f"analyst_{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("landed")
    with closing(psycopg2.connect(postgres_url)) as connection, pytest.MonkeyPatch.context() as patch:
        connection.autocommit = True
        analyst = Analyst(connection, schema)
        analyst.rows(f"CREATE SCHEMA {schema}")
        patch.setenv("AIRFLOW_CONN_WAREHOUSE", postgres_url)
        try:
            _load(f"{schema}.email_feedback", str(land(WORLD, folder)))
            _load(f"{schema}.email_sent", str(write_manifest(WORLD, folder)), kinds="manifest")
            analyst.rows(QUERIES[VIEW])
            yield analyst
        finally:
            analyst.rows(f"DROP SCHEMA {schema} CASCADE")


def _load(table: str, source_path: str, **arguments: Any) -> None:
    load = FeedbackToSqlOperator(
        task_id="load", source_path=source_path, table=table, sql_conn_id="warehouse", create_table=True, **arguments
    )
    load.execute(task_context())


def bounce_rates() -> list[Row]:
    hard = {
        event.reference
        for event in WORLD.of("bounce", since=datetime.min.replace(tzinfo=UTC))
        if event.bounce_type == "hard"
    }
    sent: Counter[Any] = Counter()
    gone: Counter[Any] = Counter()
    for message in WORLD.messages.values():
        if message.at >= MONTH:
            for domain in (None, message.domain):
                sent[message.at.date(), domain] += 1
                gone[message.at.date(), domain] += message.reference in hard
    rows = []
    for (day, domain), count in sent.items():
        bounces = gone[day, domain]
        line = "suspended" if bounces / count >= 0.04 else "warned" if bounces / count >= 0.02 else "fine"
        if count >= 20:
            rows.append((day, domain, count, bounces, _rounded(100 * bounces / count, 2), line))
    return sorted(rows, key=lambda row: (-row[0].toordinal(), row[1] or ""))


def top_outcomes() -> list[Row]:
    groups: dict[Row, list[Event]] = defaultdict(list)
    for event in WORLD.of("bounce"):
        outcome = str(event.outcome)
        code = {"452-4.2.2 Over quota": "4.2.2", "421 Try again later": "421", "Unknown user": "none"}.get(outcome)
        groups[event.bounce_type, event.category, code or outcome.split()[1]].append(event)
    total = sum(map(len, groups.values()))
    rows = []
    for key, events in groups.items():
        often = Counter(str(event.outcome) for event in events)
        most = min(text for text, count in often.items() if count == max(often.values()))
        share = _rounded(100 * len(events) / total, 1)
        rows.append((*key, len(events), share, len({event.domain for event in events}), most))
    return sorted(rows, key=lambda row: (-row[3], *row[:3]))


def times_to_bounce() -> list[Row]:
    groups: dict[Row, list[timedelta]] = defaultdict(list)
    for event in WORLD.of("bounce"):
        if message := WORLD.messages.get(event.reference):
            groups[event.bounce_type, event.mode].append(event.at - message.at)
    return [(*key, len(times), _part(times, 0.5), _part(times, 0.95)) for key, times in sorted(groups.items())]


def repeated_softly() -> list[Row]:
    groups: dict[str, list[Event]] = defaultdict(list)
    for event in WORLD.of("bounce"):
        if message := WORLD.messages.get(event.reference):
            groups[message.recipient].append(event)
    rows = []
    for recipient, events in groups.items():
        references = {event.reference for event in events}
        if len(references) >= 3 and all(event.bounce_type == "soft" for event in events):
            often = Counter(str(event.category) for event in events)
            most = min(text for text, count in often.items() if count == max(often.values()))
            times = [event.at for event in events]
            rows.append((recipient, len(references), min(times), max(times), most))
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def complaint_rates() -> list[Row]:
    weeks: dict[Any, list[Sent]] = defaultdict(list)
    for message in WORLD.messages.values():
        weeks[message.at.date() - timedelta(days=message.at.weekday())].append(message)
    said = {
        kind: {event.reference for event in WORLD.events if event.kind == kind}
        for kind in ("complaint", "list_unsubscribe")
    }
    rows = []
    for week, messages in weeks.items():
        complaints, left = (sum(message.reference in said[kind] for message in messages) for kind in said)
        rows.append((week, len(messages), complaints, _rounded(1000 * complaints / len(messages), 2), left))
    return sorted(rows, reverse=True)


def without_message() -> list[Row]:
    known = {sent.reference for sent in WORLD.sent}
    found = Counter((event.at.date(), "account", event.kind) for event in WORLD.events if event.reference not in known)
    return sorted(((*key, count) for key, count in found.items()), key=lambda row: (-row[0].toordinal(), *row[1:]))


def quiet_hours() -> list[Row]:
    def hour(moment: datetime) -> datetime:
        return moment.replace(minute=0, second=0, microsecond=0, tzinfo=None)

    busy = {hour(event.at) for event in WORLD.events if event.at >= MONTH}
    every = [min(busy) + timedelta(hours=number) for number in range((max(busy) - min(busy)) // timedelta(hours=1))]
    # An hour that is cut by the month's beginning may have events before it.
    early = {hour(event.at) for event in WORLD.events}
    return [(each,) for each in every if each not in early]


EXPECTED: dict[str, Callable[[], list[Row]]] = {
    "bounce rate by domain and day": bounce_rates,
    "top outcomes": top_outcomes,
    "time to bounce": times_to_bounce,
    "soft bounces that repeat": repeated_softly,
    "complaint rate": complaint_rates,
    "feedback without a message": without_message,
    "hours without feedback": quiet_hours,
}


def _rounded(value: float, digits: int) -> float:
    """Half up, as SQL rounds."""
    return math.floor(value * 10**digits + 0.5 + 1e-9) / 10**digits


def _part(times: list[timedelta], share: float) -> timedelta:
    return sorted(times)[max(0, math.ceil(share * len(times)) - 1)]


def _plain(rows: list[Row]) -> list[Row]:
    return [tuple(float(value) if type(value).__name__ == "Decimal" else value for value in row) for row in rows]


@pytest.mark.parametrize("name", EXPECTED)
def test_query_finds_what_python_finds(analyst: Analyst, name: str) -> None:
    expected = EXPECTED[name]()
    assert _plain(analyst.rows(QUERIES[name])) == expected
    assert len(expected) > 1, "the test has something to find"


def test_lateness_is_from_the_event_to_the_first_loading(analyst: Analyst) -> None:
    groups: dict[Row, list[timedelta]] = defaultdict(list)
    for kind, mode, late in analyst.rows("SELECT kind, mode, first_loaded_at - occurred_at FROM email_feedback"):
        if late < timedelta(days=7):
            groups[kind, mode].append(late)
    expected = [(*key, len(late), _part(late, 0.5), _part(late, 0.99), max(late)) for key, late in groups.items()]
    assert sorted(analyst.rows(QUERIES["how late feedback comes"]), key=str) == sorted(expected, key=str)
    assert len(expected) > 2


def test_bounce_rates_cross_both_lines(analyst: Analyst) -> None:
    assert {row[-1] for row in analyst.rows(QUERIES["bounce rate by domain and day"])} == {
        "fine",
        "warned",
        "suspended",
    }


def test_every_query_of_the_page_has_a_test() -> None:
    assert set(QUERIES) == {VIEW, "how late feedback comes", *EXPECTED}
