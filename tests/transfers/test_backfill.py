"""A month of hourly runs against feedback that comes late, twice and in no order: the table is the truth.

The vendor's clock is played, so that a month takes a minute. In its first half runs begin when they are due, in the
second in a scattered order, none before its time. A third of them is done twice, and half of those are killed in the
middle the first time.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from dev.feedback_truth import SELECT, Event, differences, table_rows, truth
from tests.transfers.conftest import Database
from tests.transfers.forker import Forker, execute, running_forker

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2024, 2, 15, tzinfo=UTC)
LAG, LOOK_BACK = timedelta(minutes=15), DAY
COVERED = LAG + LOOK_BACK
"""How late an event may be listed and still get into the table by itself."""


class Hourly:
    """Hourly runs that land in a folder and load into tables.

    :param runs: how many.
    """

    def __init__(self, sandbox: Sandbox, databases: Sequence[Database], folder: Path, *, runs: int, seed: int) -> None:
        self.end = START + runs * HOUR
        self.killed: Counter[str] = Counter()
        self.finished: Counter[int] = Counter()
        self._sandbox = sandbox
        self._runs = runs
        self._rng = random.Random(seed)
        self._patience = 0.1
        self._land = {
            "path": f"{folder}/feedback",
            "page_size": 40,
            "lag": LAG.total_seconds(),
            "look_back": LOOK_BACK.total_seconds(),
        }
        self._loads = [
            {"table": database.table, "sql_conn_id": database.conn_id, "create_table": True} for database in databases
        ]

    def seed(self, rows: int) -> list[dict[str, Any]]:
        """Add feedback, most of it late but still in time for a run that looks back to it; return all of it."""
        start, end = START.isoformat(), (self.end - COVERED - HOUR).isoformat()
        for kind, count in (("bounces", rows), ("complaints", rows // 10), ("list_unsubscribes", rows // 5)):
            self._sandbox.seed(kind, count, start, end, lateness=COVERED.total_seconds())
        self._sandbox.seed("bounces", rows // 20, start, end, seed=2, lateness=6 * DAY.total_seconds())
        self._sandbox.settings(feedback_copies=10)
        return self._sandbox.state("feedback", vendor="marigold")

    def play(self, forker: Forker) -> None:
        """Do every run, and some of them twice."""
        for now, number, dies in self._agenda():
            self._set_clock(now)
            order = self._order(START + number * HOUR, HOUR)
            if dies:
                self._kill(forker, order)
            else:
                _run(order)
                self.finished[number] += 1

    def backfill(self, now: datetime) -> None:
        """Do a run for each day, at once."""
        self._set_clock(now)
        start = START
        while start < self.end:
            _run(self._order(start, DAY))
            start += DAY

    def _agenda(self) -> list[tuple[datetime, int, bool]]:
        """Return moment, run and fate of each try, in order."""
        rng, tries = self._rng, []
        for number in range(self._runs):
            due = START + (number + 1) * HOUR
            is_calm = number < self._runs / 2
            began = due + (rng.uniform(0, 1 / 60) if is_calm else rng.uniform(0, 72)) * HOUR
            if rng.random() < 1 / 3:
                tries.append((began, number, rng.random() < 1 / 2))
                began += rng.expovariate(10 if is_calm else 1) * HOUR
            tries.append((began, number, False))
        return sorted(tries)

    def _set_clock(self, now: datetime) -> None:
        order = self._rng.choice(["arrival", "newest", "shuffled"])
        # Nothing helps against rows that come in between two pages of a listing that has another order each time.
        step = 0 if order == "shuffled" else 20
        self._sandbox.settings(feedback_now=now.isoformat(), feedback_order=order, feedback_step=step)

    def _order(self, start: datetime, length: timedelta) -> dict[str, Any]:
        interval = {"start": start.isoformat(), "end": (start + length).isoformat()}
        return {**interval, "land": self._land, "loads": self._loads}

    def _kill(self, forker: Forker, order: dict[str, Any]) -> None:
        """Let a run die, at any moment of it, or of its loading."""
        if self._rng.random() < 1 / 3:
            order["landed"] = _run({**order, "loads": []})["landed"]
        result = forker.run(order, kill_after=self._rng.uniform(0, self._patience))
        # About as long as a run takes, on this machine and at this time.
        self._patience *= 1.03 if result["killed"] else 0.9
        if result["killed"]:
            self.killed["loading" if "landed" in {**order, **result} else "landing"] += 1


def _run(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for result in execute(order) for name, value in result.items()}


def events(database: Database) -> Counter[Event]:
    return table_rows(database.query(SELECT))


@pytest.fixture
def forker(marigold_conn: str, sqlite: Database, tmp_path: Path) -> Iterator[Forker]:
    with running_forker(tmp_path) as forker:
        yield forker


def check(hourly: Hourly, entries: list[dict[str, Any]], databases: Sequence[Database]) -> None:
    covered, everything = truth(entries, at_most=COVERED), truth(entries)
    spellings = {json.dumps(entry["row"], sort_keys=True) for entry in entries}
    for database in databases:
        found = events(database)
        assert differences(covered, found & covered) == [], "whatever is listed in time is there, once"
        assert differences(everything, found | everything) == [], "and nothing else"
        raw = {json.dumps(json.loads(text), sort_keys=True) for (text,) in database.query("SELECT raw FROM {table}")}
        assert raw <= spellings
    assert events(databases[0]) != everything, "what came later still is not: nobody has looked"
    hourly.backfill(hourly.end + 7 * DAY)
    for database in databases:
        assert differences(everything, events(database)) == [], "until someone does"


def test_three_days_of_hourly_runs_leave_the_truth_in_the_table(
    sandbox: Sandbox, sqlite: Database, forker: Forker, tmp_path: Path
) -> None:
    hourly = Hourly(sandbox, [sqlite], tmp_path, runs=72, seed=1)
    entries = hourly.seed(600)
    hourly.play(forker)
    assert len(hourly.finished) == 72
    check(hourly, entries, [sqlite])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_month_of_hourly_runs_leaves_the_truth_in_both_databases(
    sandbox: Sandbox, sqlite: Database, postgres: Database, forker: Forker, tmp_path: Path
) -> None:
    hourly = Hourly(sandbox, [sqlite, postgres], tmp_path, runs=30 * 24, seed=2)
    entries = hourly.seed(1500)
    hourly.play(forker)
    assert len(hourly.finished) == 720
    assert sum(hourly.finished.values()) > 720 + 80
    assert min(hourly.killed["landing"], hourly.killed["loading"]) > 10
    check(hourly, entries, [sqlite, postgres])
