"""`make backfill`: a month of hourly runs of the example DAG, backfilled on a real Airflow.

The vendor's feedback comes late, some of it twice, and in no order. A backfill of 30 days is created while part of the
feedback is not listed yet; task processes are killed at random (SIGKILL). Then time goes on, and a second backfill does
the last days again. After each of the two, the table must hold exactly what the vendor had listed by then; at the end,
a table that is made from the landed files alone must be the same.

It needs a PostgreSQL server, the one of the tests (MESSAGING_TEST_POSTGRES_URL), and makes a database of its own there,
for Airflow and for the table: SQLite is locked too soon when runs by the hundred are created while others go on.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2

from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from dev.feedback_truth import SELECT, differences, table_rows, truth
from dev.local_airflow import LocalAirflow
from dev.processes import sigterm_as_exit

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "backfill"
DATA = ROOT / ".airflow" / "backfill-data"
SERVER = os.environ.get("MESSAGING_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
DATABASE = "messaging_backfill"
DAG_ID = "marigold_feedback_hourly"
TABLE = "email_feedback"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 2, 15, tzinfo=UTC)
LATEST = 3 * DAY
"""How late feedback is at most."""
ROWS_AN_HOUR = {"bounces": 20, "complaints": 2, "list_unsubscribes": 4}
TASK_SECONDS = 2.5
"""A process is killed within so many seconds after it was seen; some are done by then."""
_TITLE = re.compile("airflow worker -- ([0-9a-f-]{36})")


@dataclass
class Kills:
    """Kills task processes while the runs go on.

    :param share: of the processes.
    """

    scheduler: psutil.Process
    share: float
    rng: random.Random
    killed: set[str] = field(default_factory=set)
    """Ids of the tries that were killed."""
    _doomed: dict[psutil.Process, float] = field(default_factory=dict)
    _seen: set[psutil.Process] = field(default_factory=set)

    def look(self) -> None:
        """Choose among the processes that are new, kill those whose time has come."""
        now = time.monotonic()
        for process in self.scheduler.children(recursive=True):
            if process not in self._seen and _task(process):
                self._seen.add(process)
                if self.rng.random() < self.share:
                    self._doomed[process] = now + self.rng.uniform(0, TASK_SECONDS)
        for process in [process for process, at in self._doomed.items() if at <= now]:
            del self._doomed[process]
            if task := _task(process):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
                    self.killed.add(task)


def _task(process: psutil.Process) -> str:
    """Return the id of the try that a process executes; empty if it does not."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        if found := _TITLE.fullmatch(" ".join(process.cmdline()).strip()):
            return found[1]
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=30, help="how many days to backfill")
    parser.add_argument("--again", type=int, default=4, help="how many of them to do again")
    parser.add_argument("--share", type=float, default=0.25, help="of the task processes, to be killed")
    parser.add_argument("--runs", type=int, default=8, help="runs at the same time")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    database = _new_database()
    with sigterm_as_exit(), running_sandbox() as sandbox:
        env = {
            **sandbox.connections,
            "AIRFLOW_CONN_MESSAGING_DB": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
            "MESSAGING_DEMO_DIR": str(DATA),
            "MESSAGING_BACKFILL_END": (START + arguments.days * DAY).isoformat(),
        }
        with LocalAirflow(HOME, ROOT / "dev" / "dags", env) as airflow:
            airflow.client.wait_for_dag(DAG_ID)
            return _prove(airflow, sandbox, database, arguments)


def _prove(airflow: LocalAirflow, sandbox: Sandbox, database: str, arguments: argparse.Namespace) -> int:
    end = START + arguments.days * DAY
    for kind, rows in ROWS_AN_HOUR.items():
        sandbox.seed(
            kind,
            rows * 24 * arguments.days,
            START.isoformat(),
            (end - HOUR).isoformat(),
            lateness=LATEST.total_seconds(),
        )
    sandbox.settings(feedback_copies=20, feedback_order="shuffled")
    sandbox.faults([{"operation": "*", "fault": "latency", "delay": 0.05}])
    entries = sandbox.state("feedback", vendor="marigold")
    scheduler = next(child.pid for child in airflow._children if child.name == "scheduler")
    kills = Kills(psutil.Process(scheduler), arguments.share, random.Random(arguments.seed))
    problems: list[str] = []

    def check(what: str, *args: Any, **options: Any) -> None:
        found = differences(
            truth(entries, before=end - timedelta(minutes=15), **options), table_rows(_rows(database, SELECT))
        )
        print(f"{what}: {'; '.join(found) or 'the table is the truth'}", flush=True)
        problems.extend(found)

    began = time.monotonic()
    sandbox.settings(feedback_now=end.isoformat())
    _backfill(airflow, START, end, arguments.runs, kills)
    check("after the first backfill", listed_by=end)
    sandbox.settings(feedback_now=(end + LATEST).isoformat())
    _backfill(airflow, end - arguments.again * DAY, end, arguments.runs, kills)
    check("after the second backfill")
    print(f"{time.monotonic() - began:.0f} s, {len(kills.killed)} kills")
    return 1 if problems or not kills.killed else 0


def _backfill(airflow: LocalAirflow, start: datetime, end: datetime, runs: int, kills: Kills) -> None:
    """Create a backfill of what lies between the two, done already or not, and wait for its end."""
    client = airflow.client
    client.pause(DAG_ID, True)  # until all its runs are there: they would be in the way of one another
    airflow.run(
        *("backfill", "create", "--dag-id", DAG_ID, "--reprocess-behavior", "completed"),
        *("--from-date", start.isoformat(), "--to-date", (end - HOUR).isoformat(), "--max-active-runs", str(runs)),
    )
    (found,) = [one for one in client.get("/api/v2/backfills", dag_id=DAG_ID)["backfills"] if not one["completed_at"]]
    client.pause(DAG_ID, False)
    told = time.monotonic()
    while not client.get(f"/api/v2/backfills/{found['id']}")["completed_at"]:
        airflow.check()
        looked = time.monotonic()
        while time.monotonic() < looked + 2:
            kills.look()
            time.sleep(0.05)
        if time.monotonic() > told + 30:
            told = time.monotonic()
            counts = {
                state: client.get(f"/api/v2/dags/{DAG_ID}/dagRuns", state=state, limit=1)["total_entries"]
                for state in ("success", "running", "queued", "failed")
            }
            print(f"{counts}, {len(kills.killed)} kills", flush=True)


def _new_database() -> str:
    """Make a new database, in place of the one of an earlier time; return its URL."""
    with closing(psycopg2.connect(SERVER)) as connection, closing(connection.cursor()) as cursor:
        connection.autocommit = True
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    return urlsplit(SERVER)._replace(path=f"/{DATABASE}").geturl()


def _rows(database: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement.format(table=TABLE))
        return list(cursor.fetchall())


if __name__ == "__main__":
    sys.exit(main())
