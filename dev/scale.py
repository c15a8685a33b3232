"""`make scale`: a sharded send on Celery, one of two workers killed in the middle, and what became of each message.

A real CeleryExecutor with Redis as broker and PostgreSQL as metadata database, both already running; the database is
made and dropped here, the keys in Redis have a prefix of their own and are removed. Files are on S3 as rclone serves
it: objects are kept in a folder, signatures are checked. The vendor is the sandbox.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from dev.demo import Progress
from dev.local_airflow import LocalAirflow
from dev.processes import Child, free_port, sigterm_as_exit, stop, wait_until

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "scale"
DATA = ROOT / ".airflow" / "scale-data"
PIDS = DATA / "pids"
DAG_ID = "scale_send"
BUCKET = "mail"
CONNECTION = "aws_default"
CREDENTIALS = ("scale", "scale-secret")
STORAGE = f"s3://{CONNECTION}@{BUCKET}"
INVALID_EVERY = 1_000
LATENCY = 0.2
"""Seconds of each request to the vendor."""
SLOTS = 4
WORKERS = ("worker-1", "worker-2")
HEARTBEAT_TIMEOUT = 60
"""Seconds without a sign of life after which a task instance is taken for lost. Airflow's default is 300."""

SETTINGS = {
    "CORE__EXECUTOR": "CeleryExecutor",
    "CORE__PARALLELISM": "16",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "CELERY__WORKER_CONCURRENCY": str(SLOTS // len(WORKERS)),
    "CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
}


@dataclass
class Account:
    """What the run did, each part from where it can be seen."""

    messages: int
    valid: set[str]
    total: dict[str, Any]
    tries: Mapping[int, int]
    """Of each send, by map index."""
    accepted: Counter[str]
    """How often the vendor accepted a message for a recipient."""
    references: dict[str, str]
    manifest: dict[str, str]
    manifest_lines: int
    outcomes: Counter[str]
    rejects: int
    requests: int
    lost: dict[int, int]
    """The sends that were running on the worker that was killed, and how many messages of each were accepted then."""
    rows: int
    """Of a shard."""
    checks: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, what: str, *values: object) -> None:
        equal = all(value == values[0] for value in values)
        shown = " = ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in values)
        self.checks.append((f"{what}: {shown}", equal))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=5_000, help="rows of a shard")
    parser.add_argument("--rate", type=int, default=500, help="messages a second of each send")
    parser.add_argument("--timeout", type=float, default=1_800, help="seconds for the run")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--postgres", default="postgresql://postgres@127.0.0.1:5432", help="without a database")
    arguments = parser.parse_args()
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    progress = Progress()
    name = f"messaging_scale_{os.getpid()}"
    with (
        sigterm_as_exit(),
        database(arguments.postgres, name) as url,
        broker(arguments.redis, f"{name}:") as celery,
        object_storage() as storage,
        running_sandbox() as sandbox,
    ):
        progress(f"PostgreSQL database {name}, Redis, S3 API and sandbox are up")
        source = write_messages(storage, arguments.messages)
        env = {f"AIRFLOW__{setting}": value for setting, value in {**SETTINGS, **celery}.items()} | {
            **sandbox.connections,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{url}",
            f"AIRFLOW_CONN_{CONNECTION.upper()}": storage.connection,
            # Nothing goes to Amazon, whatever the path.
            "AWS_ENDPOINT_URL_S3": storage.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "MESSAGING_SCALE_STORAGE": STORAGE,
            "MESSAGING_SCALE_ROWS": str(arguments.rows),
            "MESSAGING_SCALE_RATE": str(arguments.rate),
            "MESSAGING_SCALE_PIDS": str(PIDS),
        }
        workers = {
            worker: ["celery", "worker", "--celery-hostname", f"{worker}@%h", "--skip-serve-logs"] for worker in WORKERS
        }
        with LocalAirflow(HOME, ROOT / "dev" / "dags", env, more=workers, progress=progress) as airflow:
            progress(f"Airflow is up: {airflow.url}")
            airflow.run("pools", "set", "marigold", str(SLOTS), "sends to Marigold at the same time")
            account = run(airflow, sandbox, storage, source, arguments, progress)
    progress("stopped")
    if account is None:
        return 1
    judge(account)
    show(account)
    return 0 if all(equal for _, equal in account.checks) else 1


def run(
    airflow: LocalAirflow,
    sandbox: Sandbox,
    storage: Storage,
    source: str,
    arguments: argparse.Namespace,
    progress: Progress,
) -> Account | None:
    """Send, kill a worker, wait for the end, and take the account; None if the run failed."""
    sandbox.faults([{"operation": "send_email", "fault": "latency", "delay": LATENCY}])
    airflow.client.wait_for_dag(DAG_ID)
    run_id = airflow.client.trigger(DAG_ID, {"messages": source})
    progress(f"{arguments.messages:,} messages, shards of {arguments.rows:,}")
    progress(f"{SLOTS} sends at once, each {arguments.rate} messages a second")
    lost = kill(airflow, sandbox, run_id, arguments, progress)
    last: list[str] = []

    def tell(line: str) -> None:
        # A thousand mapped tasks would tell six thousand lines.
        if not line.startswith("send[") or "retry" in line or "failed" in line:
            progress(line)
        last.append(line)

    state = airflow.client.wait_for_run(DAG_ID, run_id, timeout=arguments.timeout, progress=tell)
    tasks = airflow.client.task_instances(DAG_ID, run_id)
    progress(f"the run ended as {state}")
    if state != "success":
        for task in tasks:
            if task["state"] in {"failed", "up_for_retry"}:
                log = airflow.client.log(
                    DAG_ID, run_id, task["task_id"], try_number=task["try_number"], map_index=task["map_index"]
                )
                print(f"\n--- {task['task_id']} {task['map_index']}, its log ends:\n{log[-3000:]}", flush=True)
                break
        return None
    total = airflow.client.xcom(DAG_ID, run_id, "combine")
    lines = [line for path in total["manifest_path"] for line in storage.lines(path)]
    deliveries = list(sandbox.iter_deliveries("marigold"))
    sends = [line for line in sandbox.request_counts() if line["operation"] == "send_email"]
    return Account(
        messages=arguments.messages,
        valid={recipient(row) for row in range(arguments.messages) if is_valid(row)},
        total=total,
        tries={task["map_index"]: task["try_number"] for task in tasks if task["task_id"] == "send"},
        accepted=Counter(each["recipient"] for each in deliveries),
        references={each["reference"]: each["recipient"] for each in deliveries},
        manifest={line["reference"]: line["recipient"] for line in lines},
        manifest_lines=len(lines),
        outcomes=Counter(line["outcome"] for line in lines),
        rejects=sum(1 for path in total["rejects_path"] for _ in storage.lines(path)),
        requests=sum(line["count"] for line in sends),
        lost=lost,
        rows=arguments.rows,
    )


def kill(
    airflow: LocalAirflow, sandbox: Sandbox, run_id: str, arguments: argparse.Namespace, progress: Progress
) -> dict[int, int]:
    """Kill one worker with all its processes, as a lost node would be, once a third is accepted and it is sending.

    Return the sends that ran there, by map index, and how many messages of each were accepted by then; none if the
    run ended before.
    """
    victim = WORKERS[-1]
    worker = psutil.Process(airflow.pid(victim))
    aim = arguments.messages // 3
    sent: Counter[int] = Counter()
    running: dict[int, int] = {}
    next_look = 0.0

    def ready() -> bool:
        nonlocal next_look
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + 5
            airflow.check()
            if airflow.client.dag_run(DAG_ID, run_id)["state"] in {"success", "failed"}:
                return True
        for delivery in sandbox.deliveries(vendor="marigold", offset=sent.total()):
            sent[row_of(delivery["recipient"]) // arguments.rows] += 1
        if sent.total() < aim:
            return False
        lines = [line.split() for line in PIDS.read_text().splitlines()]
        family = {process.pid for process in worker.children(recursive=True)}
        running.clear()
        running.update({int(pid): int(index) for index, pid in lines if int(pid) in family})
        return any(0.3 * arguments.rows < sent[index] < 0.7 * arguments.rows for index in running.values())

    wait_until(ready, timeout=arguments.timeout, what=f"{aim} messages accepted", every=0.1)
    if not running:
        return {}
    airflow.halt(victim, grace=0, at_once=True)
    lost = {index: sent[index] for index in sorted(running.values())}
    progress(f"killed {victim} (SIGKILL, all its processes) at {sent.total():,} accepted")
    for index, count in lost.items():
        progress(f"  send[{index}] was running there, {count:,} of its messages were accepted")
    return lost


def judge(account: Account) -> None:
    total, valid = account.total, len(account.valid)
    account.check("messages of the file, of all shards", account.messages, total["messages"])
    settled = total["accepted"] + total["rejected"] + total["ambiguous"]
    account.check("accepted + rejected + ambiguous, messages", settled, total["messages"])
    account.check("valid messages, accepted by the tasks", valid, total["accepted"])
    account.check("accepted by the vendor, valid messages", account.accepted.total(), valid)
    account.check("sent twice", sum(1 for times in account.accepted.values() if times > 1), 0)
    account.check("lost", len(account.valid - account.accepted.keys()), 0)
    account.check("different references at the vendor, valid messages", len(account.references), valid)
    account.check("lines of the manifests, valid messages", account.manifest_lines, valid)
    account.checks.append(("the manifests name what the vendor has", account.manifest == account.references))
    account.check("lines with the outcome accepted, all lines", account.outcomes["accepted"], account.manifest_lines)
    account.check("rejected, lines of the rejects files", total["rejected"], account.rejects)
    # One that had sent everything may have ended just before.
    middle = [index for index, count in account.lost.items() if 0 < count < account.rows * 0.99]
    account.checks.append((f"sends that were cut off in the middle: {len(middle)}", bool(middle)))
    again = sum(account.tries[index] > 1 for index in middle)
    account.checks.append((f"those were tried again: {again} of {len(middle)}", again == len(middle)))


def show(account: Account) -> None:
    total = account.total
    print(
        f"\n  {account.messages:,} messages in {total['shards']} shards on {len(WORKERS)} workers, one of them killed\n"
    )
    print(f"  {total['accepted']:9,} accepted, in {account.requests:,} requests")
    print(f"  {total['resumed']:9,}   of them by a try that was killed, known from its ledger")
    print(f"  {total['reconciled']:9,}   of them found by look-up")
    print(f"  {total['rejected']:9,} rejected")
    print(f"  {total['ambiguous']:9,} ambiguous")
    tries = ", ".join(f"{count} in {number}" for number, count in sorted(Counter(account.tries.values()).items()))
    print(f"\n  sends by the number of tries: {tries}")
    print("\n  Do the numbers add up?")
    for what, equal in account.checks:
        print(f"    {'yes' if equal else 'NO '}  {what}")
    print(flush=True)


def recipient(row: int) -> str:
    return f"buyer.{row}@example.com"


def row_of(address: str) -> int:
    return int(address.split(".")[1].partition("@")[0])


def is_valid(row: int) -> bool:
    return row % INVALID_EVERY != 7


def write_messages(storage: Storage, count: int) -> str:
    """Write rows of some 500 bytes, one of a thousand without a subject, and return where they are."""
    path = DATA / "messages.ndjson.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for row in range(count):
            message = {
                "to": recipient(row),
                "from": "Shop <shop@example.com>",
                "subject": f"Order {row}" if is_valid(row) else "",
                "text": f"Your order {row} is on its way. " * 12,
            }
            file.write(json.dumps(message) + "\n")
    return storage.put(path, "in/messages.ndjson.gz")


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Make a database, give its URL for SQLAlchemy, and drop it."""
    import psycopg2

    def execute(statement: str) -> None:
        with closing(psycopg2.connect(f"{server}/postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    execute(f'CREATE DATABASE "{name}"')
    try:
        yield f"{server}/{name}".replace("postgresql://", "postgresql+psycopg2://", 1)
    finally:
        execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def broker(url: str, prefix: str) -> Iterator[Mapping[str, str]]:
    """Give the settings of a broker whose keys begin with a prefix, and remove those."""
    redis = importlib.import_module("redis").Redis.from_url(url)
    with closing(redis):
        redis.ping()
        try:
            yield {
                "CELERY__BROKER_URL": url,
                "CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": prefix,
                # Longer than any send. What Redis gives out a second time Airflow refuses to start.
                "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
            }
        finally:
            for key in list(redis.scan_iter(f"{prefix}*")):
                redis.delete(key)


class Storage:
    """The S3 API."""

    def __init__(self, url: str) -> None:
        self.url = url
        login, password = CREDENTIALS
        self.connection = json.dumps(
            {"conn_type": "aws", "login": login, "password": password, "extra": {"endpoint_url": url}}
        )
        s3fs = importlib.import_module("s3fs")
        self._fs = s3fs.S3FileSystem(endpoint_url=url, key=login, secret=password, use_listings_cache=False)
        self._fs.mkdir(BUCKET)

    def put(self, path: Path, name: str) -> str:
        self._fs.put_file(str(path), f"{BUCKET}/{name}")
        return f"{STORAGE}/{name}"

    def lines(self, location: str) -> Iterator[dict[str, Any]]:
        data = self._fs.cat_file(location.replace(f"{CONNECTION}@", "", 1))
        for line in (gzip.decompress(data) if location.endswith(".gz") else data).splitlines():
            yield json.loads(line)


@contextmanager
def object_storage() -> Iterator[Storage]:
    """Run rclone's S3 server on a folder."""
    port = free_port()
    objects = DATA / "objects"
    objects.mkdir()
    command: list[str | Path] = [Path(sys.executable).parent / "rclone", "serve", "s3", objects]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", ",".join(CREDENTIALS), "--config", os.devnull]
    child = Child("s3", command, env=dict(os.environ), log=DATA / "s3.log")

    def answers() -> bool:
        child.check()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        return False

    try:
        wait_until(answers, timeout=60, what="the S3 API")
        yield Storage(f"http://127.0.0.1:{port}")
    finally:
        stop([child])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(signal.SIGINT + 128)
