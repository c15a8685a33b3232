"""Tasks on a real Airflow through everything that goes wrong: each message arrives once, each wait is honoured."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.local_airflow import LocalAirflow
from dev.processes import free_port, wait_until

WRONG = "wr0ng-wr0ng-s3cret"
SENDS = {"operation": "send_email"}


@pytest.fixture
def messages(data_dir: Path) -> Callable[[int], str]:
    """Writes so many messages to a file and returns its path."""

    def write(count: int) -> str:
        path = data_dir / f"messages-{count}.ndjson"
        row = {"from": "news@example.com", "subject": "Hi", "text": "Hello"}
        path.write_text("".join(json.dumps({**row, "to": f"user{n}@example.com"}) + "\n" for n in range(count)))
        return str(path)

    return write


@contextmanager
def connection(airflow: LocalAirflow, sandbox: Sandbox, conn_id: str, **changes: Any) -> Iterator[str]:
    """A connection to the sandbox in Airflow's own database, for as long as the block runs."""
    body = {
        "connection_id": conn_id,
        "conn_type": "marigold",
        "host": sandbox.vendor_url("marigold"),
        "login": "sandbox",
        "password": "sandbox-secret",
        "extra": json.dumps({"account_id": "sandbox-account", "tracking_verified": True}),
        **changes,
    }
    airflow.client.request("POST", "/api/v2/connections", body)
    try:
        yield conn_id
    finally:
        airflow.client.request("DELETE", f"/api/v2/connections/{conn_id}")


def start(airflow: LocalAirflow, dag_id: str, **conf: Any) -> str:
    airflow.client.wait_for_dag(dag_id)
    return airflow.client.trigger(dag_id, conf)


def task(airflow: LocalAirflow, dag_id: str, run_id: str) -> dict[str, Any]:
    (found,) = airflow.client.task_instances(dag_id, run_id)
    return found


def log_of(airflow: LocalAirflow, run_id: str, *, try_number: int = 1) -> str:
    """What the task of a run has logged so far."""
    files = [path for path in (airflow.home / "logs").rglob(f"attempt={try_number}.log*") if run_id in str(path)]
    return "\n".join(path.read_text() for path in files)


def exactly_once(sandbox: Sandbox, count: int) -> None:
    assert sandbox.counts() == {"total": count, "distinct": count, "duplicates": 0}
    assert {each["recipient"] for each in sandbox.deliveries()} == {f"user{n}@example.com" for n in range(count)}


def now() -> str:
    return (datetime.now(UTC) - timedelta(seconds=1)).isoformat()


class Forwarder:
    """A port that refuses connections until it is opened, and then hands them on to the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.port = free_port()
        self._target = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
        self._sockets: list[socket.socket] = []

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            # Wakes the thread that waits on it; closing alone does not.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += (near, far)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# --------------------------------------------------------------------------------------------------------- sending


def test_refused_connection_expired_token_and_throttling_are_survived_in_one_try_and_waits_are_honoured(
    airflow: LocalAirflow, sandbox: Sandbox, messages: Callable[[int], str]
) -> None:
    sandbox.faults(
        [
            {**SENDS, "fault": "status", "status": 429, "retry_after": 3, "skip": 1, "times": 1},
            {**SENDS, "fault": "expire_token", "skip": 3, "times": 1},
            {**SENDS, "fault": "status", "status": 503, "retry_after": "http-date:3", "skip": 5, "times": 1},
        ]
    )
    path = messages(700)
    with closing(Forwarder(sandbox)) as forwarder:
        host = f"http://127.0.0.1:{forwarder.port}/marigold"
        with connection(airflow, sandbox, "marigold_unsteady", host=host) as conn_id:
            run_id = start(airflow, "e2e_send", messages_path=path, conn_id=conn_id)
            refused = "marigold.token: the connection was refused"
            wait_until(lambda: refused in log_of(airflow, run_id), timeout=30, what="a refused connection", every=0.1)
            assert sandbox.requests() == []
            forwarder.open()
            assert airflow.client.wait_for_run("e2e_send", run_id) == "success"
    assert task(airflow, "e2e_send", run_id)["try_number"] == 1
    result = airflow.client.xcom("e2e_send", run_id, "send")
    assert (result["messages"], result["accepted"], result["requests"]) == (700, 700, 10)
    exactly_once(sandbox, 700)
    sends = sandbox.requests(operation="send_email")
    statuses = [request["status"] for request in sends]
    assert sorted(statuses) == [202] * 7 + [401, 429, 503]
    assert len(sandbox.requests(operation="token")) == 2
    throttled, limited = statuses.index(429), statuses.index(503)
    assert sends[throttled + 1]["at"] - sends[throttled]["at"] >= 3.0
    # A date has whole seconds: up to one of the three is lost to rounding.
    assert sends[limited + 1]["at"] - sends[limited]["at"] >= 2.0
    assert "waiting 3." in log_of(airflow, run_id)


def test_a_wrong_secret_fails_after_one_try_with_the_connection_in_the_log_and_without_the_secret(
    airflow: LocalAirflow, sandbox: Sandbox, messages: Callable[[int], str]
) -> None:
    with connection(airflow, sandbox, "marigold_wrong", password=WRONG) as conn_id:
        run_id = start(airflow, "e2e_send", messages_path=messages(10), conn_id=conn_id)
        assert airflow.client.wait_for_run("e2e_send", run_id) == "failed"
    ended = task(airflow, "e2e_send", run_id)
    assert (ended["state"], ended["try_number"], ended["max_tries"]) == ("failed", 1, 2)
    assert [request["operation"] for request in sandbox.requests()] == ["token"]
    shown = airflow.client.log("e2e_send", run_id, "send")
    assert "connection 'marigold_wrong'" in shown
    assert "the vendor gives no token for this client id, secret, account and audience" in shown
    for text in (shown, log_of(airflow, run_id)):
        assert WRONG not in text


def test_a_killed_process_is_continued_by_the_next_try_and_every_message_arrives_once(
    airflow: LocalAirflow, sandbox: Sandbox, data_dir: Path, messages: Callable[[int], str]
) -> None:
    sandbox.faults([{**SENDS, "fault": "latency", "delay": 0.15, "when": "before"}])
    sandbox.faults([{**SENDS, "fault": "latency", "delay": 0.15, "when": "after"}])
    run_id = start(airflow, "e2e_send", messages_path=messages(2500))
    wait_until(lambda: sandbox.counts()["total"] >= 500, timeout=60, what="500 deliveries", every=0.05)
    victim = psutil.Process(int((data_dir / f"{run_id}-1.pid").read_text()))
    assert os.getpid() in {parent.pid for parent in victim.parents()}, "it is no process of ours"
    os.kill(victim.pid, signal.SIGKILL)
    assert airflow.client.wait_for_run("e2e_send", run_id) == "success"
    assert task(airflow, "e2e_send", run_id)["try_number"] == 2
    exactly_once(sandbox, 2500)
    result = airflow.client.xcom("e2e_send", run_id, "send")
    assert (result["messages"], result["accepted"], result["ambiguous"]) == (2500, 2500, 0)
    assert result["resumed"] + result["reconciled"] >= 500
    assert result["requests"] < 25
    manifest = [json.loads(line) for line in Path(result["manifest_path"]).read_text().splitlines()]
    assert sorted(line["row"] for line in manifest) == list(range(2500))
    assert {line["outcome"] for line in manifest} == {"accepted"}


def test_a_clear_sends_again_with_new_references(
    airflow: LocalAirflow, sandbox: Sandbox, messages: Callable[[int], str]
) -> None:
    run_id = start(airflow, "e2e_send", messages_path=messages(150))
    assert airflow.client.wait_for_run("e2e_send", run_id) == "success"
    first = {each["reference"] for each in sandbox.deliveries()}
    order = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["send"], "only_failed": False, "reset_dag_runs": True}
    airflow.client.request("POST", "/api/v2/dags/e2e_send/clearTaskInstances", order)
    wait_until(lambda: sandbox.counts()["total"] == 300, timeout=60, what="300 deliveries")
    assert airflow.client.wait_for_run("e2e_send", run_id) == "success"
    assert sandbox.counts() == {"total": 300, "distinct": 300, "duplicates": 0}
    second = {each["reference"] for each in sandbox.deliveries()} - first
    assert len(first) == len(second) == 150
    result = airflow.client.xcom("e2e_send", run_id, "send")
    assert (result["accepted"], result["resumed"]) == (150, 0)


# --------------------------------------------------------------------------------------------------------- waiting


def wait_for_deferral(airflow: LocalAirflow, sandbox: Sandbox, dag_id: str, run_id: str) -> None:
    """Return when the task is deferred, its process is over and its trigger has polled."""
    wait_until(lambda: task(airflow, dag_id, run_id)["state"] == "deferred", timeout=60, what="deferral")
    # Up to five seconds later. A task that goes on before is taken for one that was killed, and tried again (3.3.2).
    over = f"workload_id={task(airflow, dag_id, run_id)['id']}"
    log = airflow.home / "scheduler.log"
    wait_until(lambda: over in log.read_text(), timeout=60, what="end of the process that deferred")
    polls = len(sandbox.requests(operation="bounces"))
    wait_until(lambda: len(sandbox.requests(operation="bounces")) > polls, timeout=30, what="a poll")


def bounced(sandbox: Sandbox, name: str) -> None:
    """Let a message to an address bounce."""
    row = {"from": "news@example.com", "subject": "Hi", "text": "Hello", "to": f"hard-bounce+{name}@example.com"}
    TOKENS.reset()
    with pytest.MonkeyPatch.context() as patch, MarigoldHook() as hook:
        for variable, value in sandbox.connections.items():
            patch.setenv(variable, value)
        hook.send_email([{**row, "reference": f"bounce-{name.replace('.', '-')}"}])


def test_a_waiting_sensor_is_deferred_holds_no_slot_and_fires_when_a_bounce_comes(
    airflow: LocalAirflow, sandbox: Sandbox
) -> None:
    run_id = start(airflow, "e2e_wait", start=now())
    wait_for_deferral(airflow, sandbox, "e2e_wait", run_id)
    pool = airflow.client.get("/api/v2/pools/default_pool")
    assert (pool["running_slots"], pool["deferred_slots"]) == (0, 1)
    assert pool["open_slots"] == pool["slots"]
    began = time.monotonic()
    bounced(sandbox, "jane.doe")
    assert airflow.client.wait_for_run("e2e_wait", run_id) == "success"
    assert time.monotonic() - began < 60, "the sensor's own timeout is 90 s"
    found = airflow.client.xcom("e2e_wait", run_id, "wait")
    assert found == {"count": 1, "by_type": {"hard": 1}, "references": ["bounce-jane-doe"]}
    assert task(airflow, "e2e_wait", run_id)["try_number"] == 1
    logged = log_of(airflow, run_id)
    assert "Trigger fired event" in logged
    assert "'references': ['bounce-jane-doe']" in logged, "Airflow logs the event as it is"
    for text in (logged, (airflow.home / "triggerer.log").read_text()):
        for word in ("@example", "jane.doe", "sandbox-secret"):
            assert word not in text


def test_a_sensor_whose_time_is_up_fails_and_is_not_retried(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    run_id = start(airflow, "e2e_wait_in_vain", start=now())
    wait_until(lambda: task(airflow, "e2e_wait_in_vain", run_id)["state"] == "deferred", timeout=60, what="deferral")
    assert airflow.client.wait_for_run("e2e_wait_in_vain", run_id, timeout=60) == "failed"
    ended = task(airflow, "e2e_wait_in_vain", run_id)
    assert (ended["state"], ended["try_number"], ended["max_tries"]) == ("failed", 1, 2)
    assert "AirflowSensorTimeout" in airflow.client.log("e2e_wait_in_vain", run_id, "wait")


def test_credentials_that_fail_while_it_waits_fail_the_sensor_for_good(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    with connection(airflow, sandbox, "marigold_revoked") as conn_id:
        run_id = start(airflow, "e2e_wait", start=now(), conn_id=conn_id)
        wait_for_deferral(airflow, sandbox, "e2e_wait", run_id)
        sandbox.faults(
            [
                {"operation": "bounces", "fault": "expire_token", "times": 1},
                {"operation": "token", "fault": "status", "status": 401},
            ]
        )
        assert airflow.client.wait_for_run("e2e_wait", run_id, timeout=60) == "failed"
    ended = task(airflow, "e2e_wait", run_id)
    assert (ended["state"], ended["try_number"]) == ("failed", 1)
    shown = airflow.client.log("e2e_wait", run_id, "wait")
    assert "connection 'marigold_revoked'" in shown
    assert "sandbox-secret" not in shown
