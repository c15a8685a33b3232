"""Tries that are killed at random moments, as the worker of a task may be."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.delivery.sending import ROOT, accepted, fault, references, row
from tests.delivery.victim import AMBIGUOUS, DONE, Order

KILLS = 6
MESSAGES = 10_000


@dataclass
class Task:
    """A task whose tries are processes."""

    order: Order
    folder: Path

    def begin(self) -> subprocess.Popen[str]:
        """Start a try and return it when it begins to send."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.delivery.victim", json.dumps(asdict(self.order))],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        if process.stdout.readline() != "sending\n":
            pytest.fail(process.communicate()[1])
        return process

    def kill_when(self, condition: Callable[[], bool], *, seconds: float = 0) -> None:
        """Make a try and kill it, so long after the condition; it must not have come to its end by then."""
        with self.begin() as process:
            while not condition():
                assert process.poll() is None, "it was done before it could be killed"
                time.sleep(0.005)
            time.sleep(seconds)
            assert process.poll() is None, "it was done before it could be killed"
            process.kill()

    def finish(self, most_tries: int = 3) -> dict[str, int]:
        """Try until it is done and return the last summary."""
        for _ in range(most_tries):
            with self.begin() as process:
                out, errors = process.communicate(timeout=60)
            assert process.returncode in {DONE, AMBIGUOUS}, errors
            if process.returncode == DONE:
                summary: dict[str, int] = json.loads(out.splitlines()[-1])
                return summary
        raise AssertionError(f"ambiguous after {most_tries} tries: {out}")

    def manifest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(self.order.manifest).read_bytes().splitlines()]


def task(sandbox: Sandbox, folder: Path, rows: Sequence[Any], **changes: Any) -> Task:
    path = folder / "rows.ndjson"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    order = Order(
        url=sandbox.url,
        rows=str(path),
        manifest=str(folder / "manifest.ndjson"),
        ledger=str(folder / "ledger.json"),
        most_messages=25,
        reconcile_window=0.3,
    )
    return Task(replace(order, **changes), folder)


def assert_complete(task: Task, sandbox: Sandbox, summary: dict[str, int], good: Sequence[int], bad: int = 0) -> None:
    expected = Counter(references(good))
    assert accepted(sandbox) == expected
    assert summary["accepted"] == len(good)
    assert summary["rejected"] == bad
    assert summary["messages"] == len(good) + bad
    assert summary["ambiguous"] == 0
    lines = task.manifest()
    assert Counter(line["reference"] for line in lines) == expected
    assert {line["outcome"] for line in lines} == {"accepted"}


@pytest.mark.parametrize("seed", range(4))
def test_a_send_that_is_killed_again_and_again_has_each_message_accepted_once(
    sandbox: Sandbox, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    bad = set(rng.sample(range(MESSAGES), 20))
    given = [row(number) | ({"to": "nobody"} if number in bad else {}) for number in range(MESSAGES)]
    sandbox.faults([fault("latency", delay=0.015), fault("latency", when="after", delay=0.015)])
    killed = task(sandbox, tmp_path, given)
    for _ in range(KILLS):
        # By what is sent rather than by time: all of it has 400 requests, however fast.
        enough = _count(sandbox, "send_email") + rng.randrange(50)
        killed.kill_when(
            lambda enough=enough: _count(sandbox, "send_email") >= enough,  # type: ignore[misc]
            seconds=rng.uniform(0, 0.05),
        )
    sandbox.clear_faults()
    assert_complete(
        killed, sandbox, killed.finish(), [number for number in range(MESSAGES) if number not in bad], len(bad)
    )


def test_a_try_that_is_killed_while_it_looks_messages_up_sends_none_twice(sandbox: Sandbox, tmp_path: Path) -> None:
    killed = task(sandbox, tmp_path, [row(number) for number in range(1_000)], reconcile_window=1.0)
    sandbox.faults([fault("drop", when="after"), fault("latency", "track", delay=0.01)])
    for _ in range(3):
        asked = _count(sandbox, "track")
        killed.kill_when(lambda asked=asked: _count(sandbox, "track") > asked + 20)  # type: ignore[misc]
    sandbox.clear_faults()
    assert_complete(killed, sandbox, killed.finish(), range(1_000))


def test_a_try_that_is_killed_before_the_vendor_took_anything_is_made_up_for(sandbox: Sandbox, tmp_path: Path) -> None:
    killed = task(sandbox, tmp_path, [row(number) for number in range(2_000)])
    sandbox.faults([fault("hang", "token", times=1)])
    killed.kill_when(lambda: Path(str(killed.order.ledger)).exists())
    assert not accepted(sandbox)
    assert_complete(killed, sandbox, killed.finish(), range(2_000))


@pytest.mark.parametrize("seed", range(2))
def test_without_a_ledger_killed_tries_send_no_message_twice(sandbox: Sandbox, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    given = [row(number) for number in range(1_500)]
    killed = task(sandbox, tmp_path, given, ledger=None, not_before=datetime.now(UTC).isoformat())
    sandbox.faults([fault("latency", delay=0.01), fault("latency", when="after", delay=0.01)])
    for _ in range(3):
        enough = sandbox.counts("marigold")["total"] + rng.randint(1, 400)
        killed.kill_when(lambda enough=enough: sandbox.counts("marigold")["total"] >= enough)  # type: ignore[misc]
        killed.order.assume_sent = True
    assert_complete(killed, sandbox, killed.finish(), range(1_500))


def _count(sandbox: Sandbox, operation: str) -> int:
    return sum(each["count"] for each in sandbox.request_counts() if each["operation"] == operation)
