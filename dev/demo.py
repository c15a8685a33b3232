"""`make demo`: the example DAG of all four vendors on a real Airflow, and what became of each message.

`make airflow` (``--serve``) leaves Airflow and the sandbox running until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from dev.airflow_client import RunTimeout
from dev.local_airflow import LocalAirflow
from dev.make_sample import SAMPLE
from dev.make_sample import rows as sample_rows
from dev.processes import sigterm_as_exit

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo" / "airflow"
DATA = ROOT / ".demo" / "data"
DATABASE = DATA / "messaging.db"
DAGS = ROOT / "example_dags"
DAG_ID = "messaging_round_trip"
RUN_TIMEOUT = 180.0
FEEDBACK_DELAY = 8.0
"""Seconds from a message to its bounce, so that the sensor has something to wait for."""


class Progress:
    """Prints lines with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {line}", flush=True)


@dataclass
class Account:
    """What one run did, each part from where it can be seen: Airflow, the files, the database, the vendor."""

    send: dict[str, Any]
    landed: dict[str, Any]
    rejects: list[dict[str, Any]]
    manifest: Counter[str]
    tables: dict[str, int]
    loaded: Counter[str]
    deliveries: dict[str, int]
    delivered_returns: Counter[str]
    gone: set[str]
    """Recipients who may not be written to any more, as the vendor's outcomes say it."""
    reached: set[str]
    """Recipients to whom nothing happened."""
    suppressed: dict[str, Any]
    blacklist: list[str]
    asked: dict[str, Any]
    enqueued: list[str]
    texts: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    deferred: bool
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, what: str, *values: object) -> None:
        """Note that all values have to be equal."""
        equal = all(value == values[0] for value in values)
        self.checks.append((f"{what}: {' = '.join(map(_text, values))}", equal))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="run Airflow and the sandbox until Ctrl-C")
    serve = parser.parse_args().serve
    progress = Progress()
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    progress("starting the sandbox")
    code = 0
    with sigterm_as_exit(), running_sandbox() as sandbox:
        env = {
            **sandbox.connections,
            "AIRFLOW_CONN_MESSAGING_DB": json.dumps({"conn_type": "sqlite", "host": str(DATABASE)}),
            "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_provider_messaging.notifications.marigold.send_email",
            "AIRFLOW__EMAIL__FROM_EMAIL": "Airflow <airflow@example.com>",
            "MESSAGING_DEMO_DIR": str(DATA),
            "MESSAGING_DEMO_LAG": "0",
        }
        with LocalAirflow(HOME, DAGS, env, progress=progress) as airflow:
            progress(f"Airflow is up: {airflow.url}")
            code = _serve(airflow, sandbox) if serve else _demonstrate(airflow, sandbox, progress)
            progress("stopping Airflow and the sandbox")
    progress("stopped")
    return code


def _serve(airflow: LocalAirflow, sandbox: Sandbox) -> int:
    airflow.client.wait_for_dag(DAG_ID)
    with suppress(KeyboardInterrupt):
        print(
            f"""
  Airflow   {airflow.url}
  Login     none: everybody on this machine is an admin
  DAG       {DAG_ID}, ready to be triggered
  Sandbox   {sandbox.url}/_sandbox/deliveries
  Files     {_shown(DATA)}
  Logs      {_shown(HOME)}/*.log

  Ctrl-C stops everything.
""",
            flush=True,
        )
        while True:
            time.sleep(1)
            airflow.check()
    return 0


def _demonstrate(airflow: LocalAirflow, sandbox: Sandbox, progress: Progress) -> int:
    airflow.client.wait_for_dag(DAG_ID)
    sandbox.settings("marigold", feedback_delay=FEEDBACK_DELAY)
    due = sum(row.returns is not None for row in sample_rows())
    run_id = airflow.client.trigger(DAG_ID, {"wait_for": due})
    progress(f"{DAG_ID} is running on {_shown(SAMPLE)}")
    seen: list[str] = []

    def watch(line: str) -> None:
        seen.append(line)
        progress(line)

    try:
        state = airflow.client.wait_for_run(DAG_ID, run_id, timeout=RUN_TIMEOUT, progress=watch)
    except RunTimeout as error:
        state = str(error)
    if state != "success":
        progress(f"the run did not succeed: {state}")
        _print_failures(airflow, run_id)
        return 1
    account = _account(airflow, run_id, sandbox, deferred=any(line.endswith(": deferred") for line in seen))
    _check(account)
    _print(account)
    return 0 if all(equal for _, equal in account.checks) else 1


def _account(airflow: LocalAirflow, run_id: str, sandbox: Sandbox, *, deferred: bool) -> Account:
    send = _result_of(airflow, run_id, "SendEmailBatchOperator")
    landed = _result_of(airflow, run_id, "FeedbackToObjectStorageOperator")
    tables, loaded = _read_database()
    returns = {row.returns for row in sample_rows() if row.returns}
    recipients = [delivery["recipient"] for delivery in sandbox.iter_deliveries("marigold")]
    return Account(
        send=send,
        landed=landed,
        rejects=list(_read_lines(send["rejects_path"])),
        manifest=Counter(line["outcome"] for line in _read_lines(send["manifest_path"])),
        tables=tables,
        loaded=loaded,
        deliveries=sandbox.counts("marigold"),
        delivered_returns=Counter(
            local for recipient in recipients if (local := recipient.partition("+")[0]) in returns
        ),
        gone={each for each in recipients if each.partition("+")[0] in returns - {"soft-bounce"}},
        reached={each for each in recipients if each.partition("+")[0] not in returns},
        suppressed=_result_of(airflow, run_id, "BlacklistAddressOperator"),
        blacklist=[entry["email"] for entry in sandbox.state("blacklist", vendor="engageone")],
        asked=_result_of(airflow, run_id, "EnqueueFeedbackOperator"),
        enqueued=[delivery["recipient"] for delivery in sandbox.iter_deliveries("pressnxpress")],
        texts=list(sandbox.iter_deliveries("messangi")),
        requests=[line for line in sandbox.request_counts() if line["vendor"] == "marigold"],
        deferred=deferred,
    )


def _check(account: Account) -> None:
    send, sample = account.send, list(sample_rows())
    broken = [number for number, row in enumerate(sample) if row.broken]
    expected = Counter(row.returns for row in sample if row.returns)
    account.check("rows in the sample, messages of the task", len(sample), send["messages"])
    account.check(
        "accepted + rejected + ambiguous, messages",
        send["accepted"] + send["rejected"] + send["ambiguous"],
        send["messages"],
    )
    account.check("accepted by the task, acknowledged by the vendor", send["accepted"], account.deliveries["total"])
    account.check("sent twice", account.deliveries["duplicates"], 0)
    account.check("rejected by the task, lines of the rejects file", send["rejected"], len(account.rejects))
    rejected = sorted(line["_rejected"]["row"] for line in account.rejects)
    account.checks.append(("the rejected rows are those that break a rule, and no other", rejected == broken))
    account.check("lines of the manifest, valid messages", account.manifest.total(), len(sample) - len(broken))
    account.check(
        "bounces, complaints and unsubscribes due, landed, loaded",
        account.delivered_returns.total(),
        sum(account.landed["rows"].values()),
        sum(account.tables.values()),
    )
    account.checks.append(("the sensor waited in the triggerer, without a worker slot", account.deferred))
    account.check("due by kind, loaded by kind", expected, account.delivered_returns, account.loaded)
    account.check(
        "hard bounces, complaints and unsubscribes, addresses blacklisted", len(account.gone), len(account.blacklist)
    )
    account.checks.append(("the blacklist has exactly their addresses", set(account.blacklist) == account.gone))
    account.check(
        "reached, asked for feedback, requests for feedback",
        len(account.reached),
        account.asked["accepted"],
        len(account.enqueued),
    )
    account.checks.append(("exactly those who were reached were asked", set(account.enqueued) == account.reached))
    account.check("SMS to the operator", len(account.texts), 1)


def _print(account: Account) -> None:
    send = account.send
    sends = sum(line["count"] for line in account.requests if line["operation"] == "send_email")
    print(f"\n  {send['messages']} messages read from {_shown(SAMPLE)}")
    print(f"\n  {send['accepted']:5} accepted, in {sends} requests")
    print(f"  {send['ambiguous']:5} ambiguous")
    print(f"  {send['rejected']:5} rejected, before anything was sent:")
    reasons = Counter(
        (error["code"], error["field"] or "(the row)")
        for line in account.rejects
        for error in line["_rejected"]["errors"]
    )
    for (code, where), times in sorted(reasons.items()):
        print(f"{times:9}  {code:28} {where}")
    print(f"\n  {account.loaded.total():5} came back:")
    for kind, times in account.loaded.most_common():
        print(f"{times:9}  {kind}")
    print(f"\n  {account.suppressed['accepted']:5} addresses blacklisted at EngageOne")
    print(f"  {account.asked['accepted']:5} recipients asked for feedback by Press'nXPress")
    print(f"  {len(account.texts):5} SMS to the operator by Messangi")
    print("\n  Rows loaded into SQLite:")
    for table, times in account.tables.items():
        print(f"{times:9}  table {table}")
    print("\n  Files:")
    files = [
        *(send["manifest_path"], send["rejects_path"], *account.landed["files"]),
        *(account.asked["manifest_path"], DATABASE),
    ]
    for path in map(_local, files):
        print(f"    {_shown(path)}  ({path.stat().st_size:,} bytes)")
    print("\n  Do the numbers add up?")
    for what, equal in account.checks:
        print(f"    {'yes' if equal else 'NO '}  {what}")
    print(flush=True)


def _print_failures(airflow: LocalAirflow, run_id: str) -> None:
    for task in airflow.client.task_instances(DAG_ID, run_id):
        if task["state"] not in {"success", "skipped", "upstream_failed", None}:
            log = airflow.client.log(DAG_ID, run_id, task["task_id"], try_number=task["try_number"])
            print(f"\n--- {task['task_id']} {task['state']}, its log ends:\n{log[-6000:]}", flush=True)


def _result_of(airflow: LocalAirflow, run_id: str, operator: str) -> dict[str, Any]:
    """What the task with this operator returned."""
    for task in airflow.client.task_instances(DAG_ID, run_id):
        if task["operator_name"] == operator:
            result: dict[str, Any] = airflow.client.xcom(DAG_ID, run_id, task["task_id"])
            return result
    raise LookupError(f"{DAG_ID} has no task with the operator {operator}")


def _read_lines(location: str) -> Iterator[dict[str, Any]]:
    with _local(location).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _read_database() -> tuple[dict[str, int], Counter[str]]:
    """Rows by table, and rows by the local part of the recipients whose messages come back that way."""
    by_kind: Counter[str] = Counter()
    with closing(sqlite3.connect(DATABASE)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: _one(database.execute(f'SELECT count(*) FROM "{name}"')) for name in names}
        for name in names:
            query = f'SELECT kind, bounce_type, count(*) FROM "{name}" GROUP BY kind, bounce_type'
            for kind, bounce_type, times in database.execute(query):
                by_kind[_KINDS.get(kind) or f"{bounce_type}-bounce"] += times
    return tables, by_kind


_KINDS = {"complaint": "complaint", "list_unsubscribe": "unsubscribe"}


def _text(value: object) -> str:
    if isinstance(value, Counter):
        return ", ".join(f"{times} {kind}" for kind, times in sorted(value.items()))
    return str(value)


def _one(rows: Iterable[tuple[int]]) -> int:
    return next(iter(rows))[0]


def _local(location: str | Path) -> Path:
    """The path of a local file, given as one or as a ``file://`` URI."""
    text = str(location)
    return Path(unquote(urlsplit(text).path)) if text.startswith("file:") else Path(text)


def _shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
