"""`make backfill`: a month of hourly runs of the example DAG, backfilled on a real Airflow whose tasks are killed.

The vendor's feedback comes late, some of it twice, and in no order. A backfill of 30 days is created while part of the
feedback is not listed yet; task processes are killed at random (SIGKILL). Then time goes on, and a second backfill does
the last days again. After each of the two, the table must hold exactly what the vendor had listed by then, and at the
end a table that is made anew from the landed files must hold the same. It takes about twenty minutes on two cores.

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
from collections.abc import Callable
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
DAG_ID, ANEW = "marigold_feedback_hourly", "feedback_anew"
TABLE, TABLE_ANEW = "email_feedback", "email_feedback_anew"
HOUR, DAY, LAG = timedelta(hours=1), timedelta(days=1), timedelta(minutes=15)
START = datetime(2026, 2, 15, tzinfo=UTC)
LATEST = timedelta(days=3)
"""How late feedback is at most; the DAG looks back one day."""
ROWS_A_DAY = {"bounces": 500, "complaints": 50, "list_unsubscribes": 100}
COPIES = 20
TITLE = re.compile("airflow worker -- ([0-9a-f-]{36})")


@dataclass
class Kills:
    """Kills task processes while the runs go on.

    :param share: of the processes, to be killed.
    """

    scheduler: psutil.Process
    share: float
    rng: random.Random
    processes: int = 0
    killed: int = 0
    _patience: float = 2.0
    """Seconds within which a process is killed: about as long as it runs, on this machine and at this time."""
    _doomed: dict[psutil.Process, float] = field(default_factory=dict)
    _seen: set[psutil.Process] = field(default_factory=set)

    def look(self) -> None:
        """Choose among the processes that are new, and kill those whose time has come."""
        now = time.monotonic()
        for process in self.scheduler.children(recursive=True):
            if process not in self._seen and _is_task(process):
                self._seen.add(process)
                self.processes += 1
                if self.rng.random() < self.share:
                    self._doomed[process] = now + self.rng.uniform(0, self._patience)
        for process in [process for process, at in self._doomed.items() if at <= now]:
            del self._doomed[process]
            runs = _is_task(process)
            self._patience *= 1.03 if runs else 0.9
            if runs:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
                    self.killed += 1


def _is_task(process: psutil.Process) -> bool:
    """Whether a process executes a task; not that which waits for it."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return TITLE.fullmatch(" ".join(process.cmdline()).strip()) is not None
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=30, help="how many days to backfill")
    parser.add_argument("--again", type=int, default=3, help="how many of them to do again")
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
        with LocalAirflow(HOME, ROOT / "dev" / "dags", env, progress=_tell) as airflow:
            for dag_id in (DAG_ID, ANEW):
                airflow.client.wait_for_dag(dag_id)
            proof = Proof(airflow, sandbox, database, arguments)
            proof.run()
            proof.tell()
            return 1 if proof.problems else 0


class Proof:
    """Two backfills, what becomes of them, and an account of it."""

    def __init__(self, airflow: LocalAirflow, sandbox: Sandbox, database: str, arguments: argparse.Namespace) -> None:
        self.problems: list[str] = []
        self._airflow = airflow
        self._sandbox = sandbox
        self._database = database
        self._arguments = arguments
        self._end = START + arguments.days * DAY
        self._kills = Kills(psutil.Process(airflow.pid("scheduler")), arguments.share, random.Random(arguments.seed))
        self._account: list[str] = []
        self._began = time.monotonic()

    def run(self) -> None:
        days, again = self._arguments.days, self._arguments.again
        for kind, rows in ROWS_A_DAY.items():
            late = LATEST.total_seconds()
            self._sandbox.seed(kind, rows * days, START.isoformat(), self._end.isoformat(), lateness=late)
        self._sandbox.settings(feedback_copies=COPIES, feedback_order="shuffled")
        # So that a landing takes long enough to be killed in the middle of it.
        self._sandbox.faults([{"operation": "*", "fault": "latency", "delay": 0.1}])
        entries = self._sandbox.state("feedback", vendor="marigold")
        before = self._end - LAG
        first, second = self._end + HOUR, self._end + LATEST

        self._sandbox.settings(feedback_now=first.isoformat())
        self._backfill(START)
        listed = truth(entries, before=before, listed_by=first)
        self._check(f"{days * 24} hourly runs", TABLE, listed)
        retried = self._retried()

        self._sandbox.settings(feedback_now=second.isoformat())
        self._backfill(self._end - again * DAY)
        everything = truth(entries, before=before)
        self._check(f"{again * 24} of them done again, {LATEST.days} days later", TABLE, everything)

        run_id = self._airflow.client.trigger(ANEW)
        state = self._airflow.client.wait_for_run(ANEW, run_id, timeout=300)
        self._check(f"the table made anew from the files ({state})", TABLE_ANEW, everything)

        kills = self._kills
        at_work = _killed_at_work(HOME / "logs" / f"dag_id={DAG_ID}")
        done_again = retried | {START + hour * HOUR for hour in range((days - again) * 24, days * 24)}
        self._account += [
            f"{kills.processes} task processes, {kills.killed} killed, {at_work} of these while the operator worked",
            f"{len(done_again)} of {days * 24} runs killed or done twice",
            f"{sum(everything.values())} events, {sum((everything - listed).values())} of them listed only after the "
            f"first backfill, every {COPIES}th listed twice",
        ]
        if not at_work or len(done_again) * 3 < days * 24:
            self.problems.append("too few runs were killed or done twice to prove anything")

    def tell(self) -> None:
        minutes = (time.monotonic() - self._began) / 60
        print("\n" + "\n".join([*self._account, f"{minutes:.0f} minutes", *self.problems]), flush=True)
        print("failed" if self.problems else "the table is the truth", flush=True)

    def _check(self, what: str, table: str, expected: Any) -> None:
        found = table_rows(_rows(self._database, SELECT.format(table=table)))
        problems = differences(expected, found)
        self.problems += [f"{what}: {problem}" for problem in problems]
        line = f"{what}: {sum(found.values())} rows, {'; '.join(problems) or 'exactly the truth'}"
        self._account.append(line)
        _tell(line)

    def _backfill(self, start: datetime) -> None:
        """Create a backfill of what follows, done already or not, and wait for its end."""
        client = self._airflow.client
        client.pause(DAG_ID, True)  # until all runs are there: they would be in the way of one another
        self._airflow.run(
            *("backfill", "create", "--dag-id", DAG_ID, "--reprocess-behavior", "completed"),
            *("--from-date", start.isoformat(), "--to-date", (self._end - HOUR).isoformat()),
            *("--max-active-runs", str(self._arguments.runs)),
        )
        client.pause(DAG_ID, False)
        told = time.monotonic()
        while any(one["completed_at"] is None for one in client.get("/api/v2/backfills", dag_id=DAG_ID)["backfills"]):
            self._airflow.check()
            _repeat(self._kills.look, seconds=2)
            if time.monotonic() > told + 60:
                told = time.monotonic()
                runs = client.get(f"/api/v2/dags/{DAG_ID}/dagRuns", state="success", limit=1)["total_entries"]
                _tell(f"{runs} runs are done, {self._kills.killed} processes were killed")

    def _retried(self) -> set[datetime]:
        """Return the logical dates of the runs of which a task was tried more than once."""
        found = _rows(
            self._database,
            "SELECT DISTINCT r.logical_date FROM task_instance t JOIN dag_run r USING (dag_id, run_id) "
            f"WHERE dag_id = '{DAG_ID}' AND t.try_number > 1",
        )
        return {moment.astimezone(UTC) for (moment,) in found}


def _killed_at_work(logs: Path) -> int:
    """Return how many tries were killed after the operator had begun."""
    texts = (path.read_text(errors="replace") for path in logs.rglob("attempt=*.log"))
    return sum("terminated by signal" in text and "::endgroup::" in text for text in texts)


def _repeat(look: Callable[[], None], *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        look()
        time.sleep(0.1)


def _tell(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {line}", flush=True)


def _new_database() -> str:
    """Make a new database, in place of the one of an earlier time; return its URL."""
    with closing(psycopg2.connect(SERVER)) as connection, closing(connection.cursor()) as cursor:
        connection.autocommit = True
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    return urlsplit(SERVER)._replace(path=f"/{DATABASE}").geturl()


def _rows(database: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(database)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


if __name__ == "__main__":
    sys.exit(main())
