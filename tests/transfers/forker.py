"""Runs in processes of their own, to be killed: one process imports everything once, and forks for each run.

``python -m tests.transfers.forker`` reads orders from standard input, a JSON object a line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LATER = (
    "airflow.providers.common.compat.assets",
    "airflow.providers.postgres.assets.postgres",
    "airflow.sdk.lineage",
    "airflow_provider_messaging.transfers.marigold",
    "airflow_provider_messaging.transport._aiohttp",
    "airflow_provider_messaging.transport.aio",
    "sqlalchemy.ext.associationproxy",
    "tests.contexts",
    "upath.implementations.local",
)
"""What a task would import by and by; not every Airflow has all of it."""


class Forker:
    """Executes one order at a time, in a process of its own each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders = process.stdin
        self._answers = process.stdout

    def run(self, order: dict[str, Any], *, kill_after: float) -> dict[str, Any]:
        """Execute an order and kill its process so many seconds after it began, unless it has ended by then.

        :return: what it came to, as `execute` yields it, and ``killed``: whether it was.
        """
        self._orders.write(json.dumps({**order, "kill_after": kill_after}) + "\n")
        self._orders.flush()
        done: dict[str, Any] = {}
        for line in self._answers:
            done |= json.loads(line)
            if "ended" in done:
                assert done["ended"] in (0, signal.SIGALRM), "the run failed by itself, standard error says why"
                return {**done, "killed": done["ended"] != 0}
        raise EOFError("the forker has ended, standard error says why")


@contextmanager
def running_forker(folder: Path) -> Iterator[Forker]:
    """Start one. It knows the Airflow connections that are in the environment by now.

    :param folder: for temporary files, of which killed runs leave some.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "tests.transfers.forker"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Forker(process)
        finally:
            process.kill()


def execute(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Execute a run and yield what it came to, bit by bit.

    :param order: ``start`` and ``end`` of the data interval; ``land``, the arguments of the landing, or ``landed``,
        the result of an earlier one; ``loads``, the arguments of each loading.
    """
    from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator, FeedbackToSqlOperator
    from tests.contexts import TaskInstance, task_context

    start, end = (datetime.fromisoformat(order[name]) for name in ("start", "end"))
    ti = TaskInstance(dag_id="hourly", run_id=f"scheduled__{order['start']}")
    context = task_context(ti, data_interval_start=start, data_interval_end=end)
    landed = order.get("landed")
    if landed is None:
        landed = FeedbackToObjectStorageOperator(task_id="land", **order["land"]).execute(context)
        yield {"landed": landed}
    for number, arguments in enumerate(order["loads"], 1):
        FeedbackToSqlOperator(task_id="load", source_path=landed, **arguments).execute(context)
        yield {"loads": number}


def _serve() -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # for what is logged

    def say(what: dict[str, Any]) -> None:
        os.write(answers, json.dumps(what).encode() + b"\n")

    from airflow.providers.common.compat.sdk import BaseHook

    for module in LATER:
        with suppress(ImportError):
            import_module(module)
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
        BaseHook.get_hook(name.removeprefix("AIRFLOW_CONN_").lower())
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                order = json.loads(line)
                # Nobody handles its signal: it ends the process where it stands.
                signal.setitimer(signal.ITIMER_REAL, order["kill_after"])
                for result in execute(order):
                    say(result)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        say({"ended": os.waitpid(pid, 0)[1]})


if __name__ == "__main__":
    _serve()
