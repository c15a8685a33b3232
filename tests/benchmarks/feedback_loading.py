"""Loading feedback into a database: rows a second when they are new and when they are known, and peak memory.

``python -m tests.benchmarks.feedback_loading [--rows 100000 1000000] [--databases sqlite postgres mysql]``

``--peer`` adds what Airflow's hook offers by itself for an upsert, `insert_rows(replace=True, executemany=True)`.
Servers are those of the tests, ``MESSAGING_TEST_POSTGRES_URL`` and ``MESSAGING_TEST_MYSQL_URL``; psycopg2 is
PostgreSQL through that driver. The table is ``feedback_loading``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = "feedback_loading"
START = datetime(2026, 3, 1, tzinfo=UTC)
POSTGRES = os.environ.get("MESSAGING_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
MYSQL = os.environ.get("MESSAGING_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test?client=mysql-connector-python")


def write_rows(path: Path, count: int) -> None:
    with gzip.open(path, "wb", compresslevel=2) as stream:
        for number in range(count):
            row = {
                "account_id": "3822afb319684af18b9664ee327b7c44",
                "mapping": "hard" if number % 3 else "soft",
                "mode": "direct",
                "external_reference": blake2b(str(number).encode(), digest_size=16).hexdigest(),
                "timestamp": (START + timedelta(seconds=number)).isoformat(),
                "finalize_reason": "hardBounce",
                "outcome": "550 5.1.1 The email account that you tried to reach does not exist",
                "outcome_category": "badUser",
                "domain": f"d{number % 50}.example.com",
            }
            stream.write(json.dumps(row).encode() + b"\n")


def connect(database: str, folder: Path) -> None:
    os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
    sqlite = json.dumps({"conn_type": "sqlite", "host": str(folder / "feedback.db")})
    os.environ["AIRFLOW_CONN_DATABASE"] = {"sqlite": sqlite, "mysql": MYSQL}.get(database, POSTGRES)
    logging.disable(logging.WARNING)
    if database == "psycopg2":
        import airflow.providers.postgres.hooks.postgres as module

        module.USE_PSYCOPG3 = False


def load(database: str, path: Path, *, peer: bool) -> list[dict[str, Any]]:
    """Load the file twice, and return what each time cost."""
    connect(database, path.parent)
    from airflow.providers.common.compat.sdk import BaseHook

    from airflow_provider_messaging.hooks._feedback_files import FeedbackFile, events_of
    from airflow_provider_messaging.transfers.marigold import FeedbackToSqlOperator

    hook: Any = BaseHook.get_hook("database")
    hook.run(f"DROP TABLE IF EXISTS {TABLE}")
    options = {"table": TABLE, "sql_conn_id": "database", "kinds": "bounces", "create_table": True}
    results = []
    for known in (False, True):
        if peer and not known:
            # For the table alone.
            FeedbackToSqlOperator(task_id="make", source_path=[], **options).execute({})
        began, cpu = time.monotonic(), time.process_time()
        if peer:
            now = datetime.now(UTC)
            moment = now.replace(tzinfo=None) if database == "mysql" else now if database != "sqlite" else str(now)
            names: list[str] = []

            def rows(names: list[str] = names, moment: Any = moment) -> Any:
                for event in events_of(FeedbackFile(str(path), "bounces")):
                    row = dict(event) | {"first_loaded_at": moment, "loaded_at": moment, "occurred_at": moment}
                    names[:] = names or row
                    yield tuple(row.values())

            stream = rows()
            first = next(stream)
            hook.insert_rows(TABLE, [first], target_fields=names, replace=True, replace_index="event_id")
            hook.insert_rows(
                TABLE, stream, target_fields=names, replace=True, replace_index="event_id", executemany=True
            )
            count = hook.get_first(f"SELECT count(*) FROM {TABLE}")[0]
        else:
            count = FeedbackToSqlOperator(task_id="load", source_path=str(path), **options).execute({})["rows"]
        seconds = time.monotonic() - began
        results.append(
            {
                "database": database + (" (peer)" if peer else ""),
                "rows": count,
                "known": known,
                "rows_a_second": round(count / seconds),
                "cpu_us_a_row": round((time.process_time() - cpu) / count * 1e6, 1),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
    hook.run(f"DROP TABLE {TABLE}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgres", "psycopg2"])
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--load", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        database, path = arguments.load
        print(json.dumps(load(database, Path(path), peer=arguments.peer)))
        return
    for count in arguments.rows:
        for database in arguments.databases:
            for peer in [False, True] if arguments.peer else [False]:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "rows.ndjson.gz"
                    write_rows(path, count)
                    command = [sys.executable, "-m", "tests.benchmarks.feedback_loading", "--load", database, str(path)]
                    command += ["--peer"] if peer else []
                    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
                for result in json.loads(done.stdout.splitlines()[-1]):
                    print(result, flush=True)


if __name__ == "__main__":
    main()
