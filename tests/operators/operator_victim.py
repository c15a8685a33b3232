"""A try of any operator in a process of its own, to be killed: `kill_when` and `finish` make one each.

``python -m tests.operators.operator_victim <order as JSON>``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.contexts import TaskInstance, task_context

ROOT = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class Order:
    """What to execute. The file `state` outlives the tries of the task; the result of the last one is beside it."""

    operator: str
    """A class by its full name."""
    state: str
    arguments: dict[str, Any] = field(default_factory=dict)
    try_number: int = 1

    @property
    def result(self) -> Path:
        return Path(self.state).with_name("result.json")


class FileState:
    """``context["task_state_store"]`` in a file, which is always a whole one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str, default: Any = None) -> Any:
        return self._values().get(key, default)

    def set(self, key: str, value: Any) -> None:
        replace_with(self._path, {**self._values(), key: value})

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return values


def replace_with(path: Path, document: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document))
    os.replace(part, path)


@contextmanager
def _begin(order: Order, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A try that has been started, and the file of what it prints."""
    log = Path(order.state).with_name("try.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.operators.operator_victim", json.dumps(asdict(order))],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def kill_when(condition: Callable[[], bool], order: Order, folder: Path) -> None:
    """Make a try and kill it when the condition is met, which must be before its end.

    :param folder: where it keeps temporary files.
    """
    with _begin(order, folder) as (process, log):
        while not condition():
            assert process.poll() is None, f"it ended before it could be killed: {log.read_text()}"
            time.sleep(0.005)
    assert not order.result.exists(), "it was done before it could be killed"
    order.try_number += 1


def finish(order: Order, folder: Path) -> dict[str, Any]:
    """Make a try that is left alone and return its result."""
    with _begin(order, folder) as (process, log):
        assert process.wait(timeout=600) == 0, log.read_text()
    result: dict[str, Any] = json.loads(order.result.read_text())
    return result


def main(order: Order) -> None:
    module, _, name = order.operator.rpartition(".")
    operator = getattr(import_module(module), name)(task_id="task", **order.arguments)
    store: Any = FileState(Path(order.state))
    context = task_context(TaskInstance(try_number=order.try_number), store=store, task=operator)
    replace_with(order.result, operator.execute(context))


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
