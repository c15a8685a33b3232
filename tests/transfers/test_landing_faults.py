"""Landing while the vendor fails, the feedback changes, or the task is ended."""

from __future__ import annotations

import gzip
import json
import random
import resource
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import RateLimitedError
from airflow_provider_messaging.delivery.options import Stopped
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers._landing import FeedbackToObjectStorageOperator
from tests.contexts import task_context
from tests.drivers import eventually
from tests.operators.operator_victim import Order, finish, kill_when

NOON, ONE = "2026-03-10T12:00:00Z", "2026-03-10T13:00:00Z"


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All operators find the sandbox."""


def operator(path: object, **arguments: Any) -> FeedbackToObjectStorageOperator:
    defaults = {"kinds": ["bounces"], "start": NOON, "end": ONE, "page_size": 20}
    return FeedbackToObjectStorageOperator(task_id="land", path=str(path), **{**defaults, **arguments})


def land(path: object, **arguments: Any) -> dict[str, Any]:
    return operator(path, **arguments).execute(task_context())


def seed(sandbox: Sandbox, rows: int, **more: Any) -> None:
    sandbox.seed("bounces", rows=rows, start=NOON, end="2026-03-10T12:59:59Z", **more)


def landed(path: object) -> Counter[str]:
    with gzip.open(str(path)) as lines:
        return Counter(json.loads(line)["external_reference"] for line in lines)


def seeded(rows: int, number: int = 1) -> set[str]:
    return {f"seed-bounce-{number}-{row:09}" for row in range(rows)}


@pytest.mark.parametrize("max_concurrency", [1, 4, 16])
def test_failures_that_pass_lose_and_repeat_no_row(sandbox: Sandbox, tmp_path: Path, max_concurrency: int) -> None:
    seed(sandbox, 1000)
    kinds = [
        {"fault": "status", "status": 429, "retry_after": "0.1"},
        {"fault": "status", "status": 500},
        {"fault": "truncate"},
        {"fault": "malformed"},
        {"fault": "drop"},
        {"fault": "expire_token"},
    ]
    rng = random.Random(max_concurrency)
    sandbox.faults([{"operation": "bounces", "times": 1, "skip": rng.randrange(40), **kind} for kind in kinds])
    land(tmp_path / "b.ndjson.gz", max_concurrency=max_concurrency)
    assert sum(fault["fired"] for fault in sandbox.fault_report()) == len(kinds)
    assert landed(tmp_path / "b.ndjson.gz") == Counter(seeded(1000))


def test_a_vendor_that_throttles_beyond_our_patience_is_worth_a_retry(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox, 1000)
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 429, "retry_after": 3600, "skip": 7}])
    with pytest.raises(RateLimitedError):
        land(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("order", ["arrival", "newest", "shuffled"])
@pytest.mark.parametrize("max_concurrency", [1, 8])
def test_rows_that_are_listed_while_pages_are_read_push_none_out(
    sandbox: Sandbox, tmp_path: Path, order: str, max_concurrency: int
) -> None:
    """Each read is a second later than the one before it, and brings a row that was not listed yet."""
    sandbox.settings("marigold", feedback_order=order, feedback_now="2026-03-10T12:30:00Z", feedback_step=2)
    sandbox.faults([{"operation": "bounces", "fault": "latency", "delay": 0.01, "probability": 0.3, "seed": 1}])
    seed(sandbox, 1800)
    land(tmp_path / "b.ndjson.gz", max_concurrency=max_concurrency)
    found = landed(tmp_path / "b.ndjson.gz")
    listed_before = {f"seed-bounce-1-{row:09}" for row in range(899)}
    missing = listed_before - set(found)
    # A vendor that shuffles its list anew with each row in it can't be read without losing some.
    assert not missing or order == "shuffled"
    assert set(found) <= seeded(1800)


def test_what_is_missed_because_all_rows_changed_places_is_in_the_next_window(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.settings("marigold", feedback_order="shuffled", feedback_now="2026-03-10T12:01:00Z", feedback_step=1)
    seed(sandbox, 36_000)
    land(tmp_path / "first.ndjson.gz", page_size=100)
    assert not set(landed(tmp_path / "first.ndjson.gz")) >= seeded(600)
    assert "the listing changed its order each of the 3 times" in caplog.text
    sandbox.settings("marigold", feedback_now="2026-03-10T14:00:00Z", feedback_step=0)
    land(tmp_path / "next.ndjson.gz", page_size=1000)
    assert set(landed(tmp_path / "next.ndjson.gz")) == seeded(36_000)


def test_a_killed_process_leaves_no_file_and_the_next_try_lands_everything(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox, 5000)
    sandbox.faults([{"operation": "bounces", "fault": "latency", "delay": 0.02}])
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    target = tmp_path / "feedback"
    order = Order(
        operator="airflow_provider_messaging.transfers._landing.FeedbackToObjectStorageOperator",
        arguments={"path": str(target), "kinds": ["bounces"], "start": NOON, "end": ONE},
        state=str(tmp_path / "state.json"),
    )
    kill_when(lambda: len(sandbox.requests(operation="bounces")) > 20, order, temporary)
    assert [path for path in target.rglob("*") if path.is_file()] == []
    sandbox.clear_faults()
    (name,) = finish(order, temporary)["files"]
    assert landed(name) == Counter(seeded(5000))
    assert [path for path in target.rglob("*") if path.is_file()] == [Path(name)]


def test_on_kill_ends_the_reading_at_once_and_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seed(sandbox, 20_000)
    sandbox.faults([{"operation": "bounces", "fault": "latency", "delay": 0.05}])
    task = operator(tmp_path / "out")
    ended: list[Any] = []

    def execute() -> None:
        try:
            ended.append(task.execute(task_context()))
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    assert eventually(lambda: len(sandbox.requests(operation="bounces")) > 8)
    began = time.monotonic()
    task.on_kill()
    thread.join()
    assert time.monotonic() - began < 2
    assert isinstance(ended[0], Stopped)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()
    asked = len(sandbox.requests(operation="bounces"))
    time.sleep(0.2)
    assert len(sandbox.requests(operation="bounces")) <= asked + 4


def test_a_task_that_is_timed_out_reads_no_further(sandbox: Sandbox, tmp_path: Path) -> None:
    class TimedOut(BaseException):
        pass

    seed(sandbox, 20_000)
    sandbox.faults([{"operation": "bounces", "fault": "latency", "delay": 0.05}])
    task = operator(tmp_path / "out")

    def interrupt(signum: int, frame: Any) -> None:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(TimedOut):
            task.execute(task_context())
    finally:
        signal.signal(signal.SIGALRM, before)
    asked = len(sandbox.requests(operation="bounces"))
    time.sleep(0.2)
    assert len(sandbox.requests(operation="bounces")) <= asked + 4
    assert not (tmp_path / "out").exists()


def test_on_kill_before_it_began_does_nothing(tmp_path: Path) -> None:
    operator(tmp_path).on_kill()


def test_a_folder_that_cannot_be_made_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox, 1000)
    (tmp_path / "feedback").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="feedback"):
        land(tmp_path / "feedback")
    assert (tmp_path / "feedback").read_text() == "a file where the folder should be"


def test_progress_is_told_in_the_log(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("airflow_provider_messaging.transfers._jobs.PROGRESS_SECONDS", 0.05)
    seed(sandbox, 2000)
    sandbox.faults(
        [
            {"operation": "bounces", "fault": "latency", "delay": 0.02},
            {"operation": "bounces", "fault": "status", "status": 503, "times": 1, "skip": 2, "retry_after": "0.01"},
        ]
    )
    land(tmp_path)
    told = [record.getMessage() for record in caplog.records if " a second; " in record.getMessage()]
    assert len(told) > 2
    assert told[-1].endswith("1 of them repeated")
    assert "0 of 1 files are written" in told[0]


def test_an_error_that_no_retry_mends_is_one_for_good(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 400}])
    with pytest.raises(AirflowFailException):
        land(tmp_path)


def test_days_of_which_nothing_is_known_yet_make_files_all_the_same(sandbox: Sandbox, tmp_path: Path) -> None:
    result = land(tmp_path, start="2026-03-01", end="2026-03-04")
    assert len(result["files"]) == 3
    assert datetime.fromisoformat(result["end"]) == datetime(2026, 3, 4, tzinfo=UTC)


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seed(sandbox, 8000)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a disk that is full: Python ignores the signal that comes with it, so that writing fails.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limit[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            land(tmp_path / "out" / "b.ndjson")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()
