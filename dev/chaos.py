"""`make chaos`: a send in a real Airflow whose worker is killed at random points, with faults at the vendor's.

For each seed: 10,000 messages (100 of them invalid), one to three SIGKILLs of the task's process, each after a random
number of messages was accepted; every second seed adds a mixture of lost replies, errors after acceptance, throttling,
expired tokens, truncated answers and tracking that lags. Then the sandbox must have accepted every valid message
exactly once, the result must add up, and the manifest must be complete. The last line says how many seeds passed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from dev.local_airflow import LocalAirflow
from dev.processes import sigterm_as_exit

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "chaos"
DATA = ROOT / ".airflow" / "chaos-data"
DAG_ID = "chaos_send"
MESSAGES = 10_000
INVALID_EVERY = 100
RUN_TIMEOUT = 300.0
LATENCY = {"operation": "send_email", "fault": "latency", "delay": 0.2}


@dataclass
class Outcome:
    seed: int
    faults: bool
    kills: int
    tries: int
    seconds: float
    result: dict[str, Any]
    problems: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=24, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    arguments = parser.parse_args()
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    outcomes: list[Outcome] = []
    with sigterm_as_exit(), running_sandbox() as sandbox:
        env = {**sandbox.connections, "MESSAGING_DEMO_DIR": str(DATA)}
        with LocalAirflow(HOME, ROOT / "dev" / "dags", env) as airflow:
            airflow.client.wait_for_dag(DAG_ID)
            for seed in range(arguments.first, arguments.first + arguments.seeds):
                outcome = _run(airflow, sandbox, seed)
                outcomes.append(outcome)
                _print(outcome)
    failed = sum(1 for outcome in outcomes if outcome.problems)
    kills = sum(outcome.kills for outcome in outcomes)
    print(f"\n{kills} kills in {len(outcomes)} sends of {MESSAGES:,} messages")
    print(f"{len(outcomes) - failed} passed, {failed} failed", flush=True)
    return 1 if failed or not kills else 0


def _run(airflow: LocalAirflow, sandbox: Sandbox, seed: int) -> Outcome:
    rng = random.Random(seed)
    with_faults = seed % 2 == 0
    path = _write_messages(seed)
    sandbox.reset()
    sandbox.faults([LATENCY, *(_faults(seed) if with_faults else [])])
    if with_faults:
        sandbox.settings(tracking_lag=rng.choice([0, 0.5, 1.5]))
    pids = DATA / "pids"
    pids.unlink(missing_ok=True)
    began = time.monotonic()
    run_id = airflow.client.trigger(DAG_ID, {"messages": str(path)}, run_id=f"seed-{seed}-{int(time.time())}")
    aims = sorted(rng.sample(range(MESSAGES), rng.randint(1, 3)))
    kills = _kill(airflow, sandbox, run_id, pids, aims)
    state = airflow.client.wait_for_run(DAG_ID, run_id, timeout=RUN_TIMEOUT)
    seconds = time.monotonic() - began
    tries = airflow.client.task_instances(DAG_ID, run_id)[0]["try_number"]
    result: dict[str, Any] = {}
    problems = [f"the run ended as {state}"] if state != "success" else []
    if state == "success":
        result = airflow.client.xcom(DAG_ID, run_id, "send")
        problems += _check(sandbox, seed, result)
    else:
        print(airflow.client.log(DAG_ID, run_id, "send", try_number=tries)[-4000:])
    return Outcome(seed, with_faults, kills, tries, seconds, result, problems)


def _kill(airflow: LocalAirflow, sandbox: Sandbox, run_id: str, pids: Path, aims: list[int]) -> int:
    """Kill the task's process each time that so many messages were accepted; return how often that came about."""
    killed: set[int] = set()
    deadline = time.monotonic() + RUN_TIMEOUT
    next_look = 0.0
    for aim in aims:
        while time.monotonic() < deadline:
            running = [int(line) for line in pids.read_text().split()] if pids.exists() else []
            if running and running[-1] not in killed and sandbox.counts("marigold")["total"] >= aim:
                try:
                    os.kill(running[-1], signal.SIGKILL)
                except ProcessLookupError:
                    return len(killed)
                killed.add(running[-1])
                break
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + 0.5
                if airflow.client.dag_run(DAG_ID, run_id)["state"] in {"success", "failed"}:
                    return len(killed)
            time.sleep(0.005)
    return len(killed)


def _faults(seed: int) -> list[dict[str, Any]]:
    kinds: list[dict[str, Any]] = [
        {"operation": "send_email", "fault": "drop", "when": "after"},
        {"operation": "send_email", "fault": "drop", "when": "before"},
        {"operation": "send_email", "fault": "status", "status": 500, "when": "after"},
        {"operation": "send_email", "fault": "status", "status": 408, "when": "after"},
        {"operation": "send_email", "fault": "status", "status": 504, "when": "before"},
        {"operation": "send_email", "fault": "status", "status": 429, "retry_after": 1, "when": "before"},
        {"operation": "send_email", "fault": "status", "status": 503, "when": "before"},
        {"operation": "send_email", "fault": "truncate"},
        {"operation": "track", "fault": "status", "status": 500, "when": "before"},
        {"operation": "track", "fault": "malformed"},
        {"operation": "*", "fault": "expire_token", "times": 1},
    ]
    common = {"probability": 0.03, "times": 2}
    return [{**common, "seed": seed * 100 + at, **kind} for at, kind in enumerate(kinds)]


def _write_messages(seed: int) -> Path:
    rng = random.Random(seed)
    path = DATA / f"messages-{seed}.ndjson"
    with path.open("w") as file:
        for row in range(MESSAGES):
            message = {
                "to": _recipient(seed, row),
                "from": "Shop <shop@example.com>",
                "subject": "" if row % INVALID_EVERY == 7 else f"Order {row}",
                "text": "x" * rng.randint(10, 2000),
            }
            file.write(json.dumps(message) + "\n")
    return path


def _recipient(seed: int, row: int) -> str:
    return f"buyer.{seed}.{row}@example.com"


def _check(sandbox: Sandbox, seed: int, result: dict[str, Any]) -> list[str]:
    valid = {_recipient(seed, row) for row in range(MESSAGES) if row % INVALID_EVERY != 7}
    accepted = Counter(delivery["recipient"] for delivery in sandbox.iter_deliveries("marigold"))
    problems = []
    if twice := sum(1 for times in accepted.values() if times > 1):
        problems.append(f"{twice} messages were accepted more than once")
    if lost := len(valid - accepted.keys()):
        problems.append(f"{lost} messages were lost")
    if result["accepted"] != len(valid) or result["rejected"] != MESSAGES - len(valid) or result["ambiguous"]:
        problems.append(f"the result does not add up: {result}")
    references = {delivery["reference"]: delivery["recipient"] for delivery in sandbox.iter_deliveries("marigold")}
    with gzip.open(result["manifest_path"], "rt") as lines:
        manifest = [json.loads(line) for line in lines]
    if {line["reference"]: line["recipient"] for line in manifest} != references or len(manifest) != len(valid):
        problems.append(f"the manifest has {len(manifest)} lines for {len(valid)} messages, or others than the vendor")
    if Counter(line["outcome"] for line in manifest) != {"accepted": len(valid)}:
        problems.append("the manifest has other outcomes than accepted")
    rejects = Path(result["rejects_path"]).read_text().splitlines()
    if len(rejects) != MESSAGES - len(valid):
        problems.append(f"the rejects file has {len(rejects)} lines")
    return problems


def _print(outcome: Outcome) -> None:
    result = outcome.result
    print(
        f"seed {outcome.seed:3}{' with faults' if outcome.faults else '            '}: {outcome.kills} kills, "
        f"{outcome.tries} tries, {outcome.seconds:5.1f} s, {result.get('accepted')} accepted "
        f"({result.get('resumed')} by earlier tries, {result.get('reconciled')} found by look-up), "
        f"{result.get('requests')} requests in the last try: {'; '.join(outcome.problems) or 'exactly once'}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
