"""DAGs that start when feedback comes in, on a real Airflow whose triggerer is restarted meanwhile."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_messaging.core.auth import TOKENS
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.airflow_client import AirflowApiError
from dev.local_airflow import LocalAirflow
from dev.processes import wait_until

HARD, ALL, ALL_TOO = "e2e_hard_bounces", "e2e_feedback", "e2e_feedback_too"
EXAMPLE = "marigold_feedback_watcher"
ASSETS = {EXAMPLE: "marigold_feedback"}
"""Where the asset is called otherwise than the DAG."""
POLL_INTERVAL = 2
RETURNS = {
    "hard-bounce": "bounces",
    "indirect-bounce": "bounces",
    "soft-bounce": "bounces",
    "complaint": "complaints",
    "unsubscribe": "list_unsubscribes",
}
CONFIRMED = 5.0
"""Seconds after which a watcher knows that Airflow has its batch."""


class Vendor:
    """Sends messages that bring feedback, and knows how much."""

    def __init__(self) -> None:
        self.sent = 0
        self.kinds: Counter[str] = Counter()
        self.references: dict[str, set[str]] = {HARD: set(), ALL: set()}

    def bring_feedback(self, rounds: int) -> None:
        rows = []
        for local, kind in list(RETURNS.items()) * rounds:
            self.sent += 1
            reference = f"watched-{self.sent}"
            rows.append(
                {
                    "reference": reference,
                    "to": f"{local}+{self.sent}@example.com",
                    "from": "news@example.com",
                    "subject": "Hi",
                    "text": "Hello",
                }
            )
            self.kinds[kind] += 1
            self.references[ALL].add(reference)
            if local in {"hard-bounce", "indirect-bounce"}:
                self.references[HARD].add(reference)
        with MarigoldHook() as hook:
            hook.send_email(rows)

    def counts(self, name: str) -> Counter[str]:
        return Counter(bounces=len(self.references[HARD])) if name == HARD else Counter(self.kinds)


class Watch:
    """What Airflow knows of a DAG and the asset that starts it."""

    def __init__(self, airflow: LocalAirflow, dag_id: str) -> None:
        self._client = airflow.client
        self.name = dag_id
        self._asset_name = ASSETS.get(dag_id, dag_id)

    def is_on(self) -> bool:
        """Whether its watcher has begun, with a cursor to go on from."""
        asset = self._asset()
        return asset is not None and bool(self._client.get(f"/api/v2/assets/{asset}/state-store")["total_entries"])

    def batches(self) -> list[dict[str, Any]]:
        """The batches of its asset events, oldest first."""
        asset = self._asset()
        if asset is None:
            return []
        events: list[dict[str, Any]] = []

        def are_there() -> bool:
            """Airflow can't list the events of a run that is still queued."""
            try:
                found = self._client.get("/api/v2/assets/events", asset_id=asset, limit=1000, order_by="timestamp")
            except AirflowApiError as error:
                if error.status != 500:
                    raise
                return False
            events.extend(found["asset_events"])
            return True

        wait_until(are_there, timeout=30, what=f"the events of {self.name}")
        return [event["extra"]["payload"] for event in events]

    def counts(self) -> Counter[str]:
        """What its batches add up to, each taken once."""
        counts: Counter[str] = Counter()
        for batch in {batch["batch_id"]: batch for batch in self.batches()}.values():
            counts.update(batch["kinds"])
        return counts

    def runs(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self._client.get(f"/api/v2/dags/{self.name}/dagRuns", limit=100)["dag_runs"]
        return runs

    def fetched(self) -> list[dict[str, list[str]]]:
        """What the tasks of its DAG have been told and have read."""
        return [self._client.xcom(self.name, run["dag_run_id"], "fetch") for run in self.runs()]

    def is_done(self) -> bool:
        """Whether all runs have ended well."""
        states = {run["state"] for run in self.runs()}
        assert "failed" not in states
        return states == {"success"}

    def pause(self, paused: bool) -> None:
        self._client.request("PATCH", f"/api/v2/dags/{self.name}", {"is_paused": paused})

    def _asset(self) -> int | None:
        found = self._client.get("/api/v2/assets", name_pattern=self._asset_name, limit=100)["assets"]
        return next((asset["id"] for asset in found if asset["name"] == self._asset_name), None)


@pytest.fixture
def vendor(sandbox_process: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    sandbox_process.reset()
    TOKENS.reset()
    for name, value in sandbox_process.connections.items():
        monkeypatch.setenv(name, value)
    return Vendor()


@contextmanager
def watching(airflow: LocalAirflow, sandbox: Sandbox, *names: str) -> Iterator[dict[str, Watch]]:
    """The watches, switched on; when the block ends they are off, and nobody polls any more."""
    watches = {name: Watch(airflow, name) for name in names}
    for name, watch in watches.items():
        airflow.client.wait_for_dag(name)
        watch.pause(False)
    try:
        for name, watch in watches.items():
            wait_until(watch.is_on, timeout=60, what=f"the watcher of {name}", every=0.5)
        yield watches
    finally:
        for watch in watches.values():
            watch.pause(True)
        wait_until(lambda: is_quiet(sandbox), timeout=60, what="end of polling", every=0.5)


def is_quiet(sandbox: Sandbox) -> bool:
    return not sandbox.requests(since=time.time() - 3 * POLL_INTERVAL, vendor="marigold")


def all_reported(watches: dict[str, Watch], vendor: Vendor) -> Callable[[], bool]:
    return lambda: all(watch.counts() == vendor.counts(name) for name, watch in watches.items())


def repeated(watch: Watch) -> list[dict[str, Any]]:
    """The batches that came more than once."""
    seen: set[str] = set()
    again = []
    for batch in watch.batches():
        if batch["batch_id"] in seen:
            again.append(batch)
        seen.add(batch["batch_id"])
    return again


@pytest.mark.timeout(600)
def test_no_event_is_lost_or_repeated_while_the_triggerer_is_restarted(
    airflow: LocalAirflow, sandbox_process: Any, vendor: Vendor
) -> None:
    with watching(airflow, sandbox_process, HARD, ALL, ALL_TOO) as watches:

        def reported(what: str) -> None:
            wait_until(all_reported(watches, vendor), timeout=90, what=what, every=0.5)

        vendor.bring_feedback(3)
        reported("the first feedback")

        # One reader for three assets: a request a poll, or fewer. The tasks of the runs have tokens of their own.
        began = time.time()
        time.sleep(6 * POLL_INTERVAL)
        requests = sandbox_process.requests(vendor="marigold", since=began)
        (reader,) = {token for token, count in Counter(each["token"] for each in requests).items() if count > 10}
        asked = Counter(each["operation"] for each in requests if each["token"] == reader)
        polls = (time.time() - began) / POLL_INTERVAL
        assert set(asked) == set(RETURNS.values())
        assert all(4 <= count <= polls + 1 for count in asked.values()), asked

        # The triggerer is stopped; feedback comes in meanwhile.
        airflow.halt("triggerer")
        vendor.bring_feedback(2)
        airflow.start("triggerer")
        reported("what came in while the triggerer was stopped")
        time.sleep(CONFIRMED)
        assert {name: repeated(watch) for name, watch in watches.items()} == {name: [] for name in watches}

        # It is killed, and then stopped, while feedback comes in all the time.
        for grace in (0, 15):
            stream = threading.Thread(target=lambda: [(vendor.bring_feedback(1), time.sleep(0.7)) for _ in range(15)])
            stream.start()
            time.sleep(5)
            airflow.halt("triggerer", grace=grace)
            airflow.start("triggerer")
            stream.join()
            reported("what came in all the time")
        time.sleep(CONFIRMED)

        for name, watch in watches.items():
            # Airflow may have a batch twice, to the letter: one whose confirmation no triggerer lived to note.
            batches = {batch["batch_id"]: batch for batch in watch.batches()}
            assert all(batch == batches[batch["batch_id"]] for batch in repeated(watch))
            assert len(repeated(watch)) <= 2
            # The runs have read everything, and none was told of a batch that another one had been told of.
            wait_until(watch.is_done, timeout=90, what=f"the runs of {name}", every=0.5)
            fetched = watch.fetched()
            told = [batch_id for run in fetched for batch_id in run["batches"]]
            assert len(told) == len(set(told))
            assert set(told) <= set(batches)
            assert {reference for run in fetched for reference in run["references"]} == vendor.references[ALL]
            print(f"{name}: {len(batches)} batches, {len(repeated(watch))} of them twice")


def test_the_example_lands_and_loads_what_comes_in(
    airflow: LocalAirflow, sandbox_process: Any, vendor: Vendor, data_dir: Path
) -> None:
    def loaded() -> Counter[str]:
        with closing(sqlite3.connect(f"file:{quote(str(data_dir / 'messaging.db'))}?mode=ro", uri=True)) as database:
            return Counter(dict(database.execute("SELECT kind, count(*) FROM email_feedback_watched GROUP BY kind")))

    def is_loaded() -> bool:
        try:
            found = loaded()
        except sqlite3.OperationalError:
            return False  # no table yet
        return found == {"bounce": 6, "complaint": 2, "list_unsubscribe": 2}

    with watching(airflow, sandbox_process, EXAMPLE):
        vendor.bring_feedback(1)
        time.sleep(3)
        vendor.bring_feedback(1)
        wait_until(is_loaded, timeout=120, what="rows in the table", every=0.5)
