"""Tests of the promise that nothing which a test or the demo starts is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dev.processes import Child, ProcessError, stop, wait_until

# Starts a child of its own that ignores SIGTERM and leaves the session's process group, as Airflow's tasks do.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=0)
print(grandchild.pid, flush=True)
{then}
"""


def _start(log: Path, then: str) -> tuple[Child, psutil.Process]:
    command = [sys.executable, "-c", STUBBORN.format(then=then)]
    child = Child("stubborn", command, env=os.environ, log=log)
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), timeout=20, what="the grandchild's id")
    return child, psutil.Process(int(log.read_text()))


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(tmp_path: Path) -> None:
    child, grandchild = _start(tmp_path / "log", "time.sleep(60)")
    began = time.monotonic()
    stop([child], grace=0.5)
    assert time.monotonic() - began < 10
    assert not psutil.pid_exists(child.pid)
    assert _ended(grandchild)


def test_what_an_ended_child_left_behind_is_stopped(tmp_path: Path) -> None:
    child, grandchild = _start(tmp_path / "log", "sys.exit()")
    wait_until(lambda: grandchild.ppid() != child.pid, timeout=20, what="the end of the child")
    stop([child])
    assert _ended(grandchild)


def test_an_ended_child_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such table')"]
    child = Child("migration", command, env=os.environ, log=tmp_path / "log")
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, timeout=20, what="its end")
    with pytest.raises(ProcessError, match=r"(?s)migration ended with code 1\..*no such table"):
        child.check()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent_code = (
        "import os, sys, time; from pathlib import Path; from dev.processes import Child; "
        "child = Child('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'], "
        "env=os.environ, log=Path(sys.argv[1])); print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: _ended(child), timeout=10, what="the end of the child")
