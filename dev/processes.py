"""Child processes that are stopped again, each with everything it started."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class ProcessError(RuntimeError):
    """A child process could not be started, or ended before its time."""


class Child:
    """One process in a session of its own; its output goes to `log`.

    On Linux it gets SIGTERM when its parent dies without a chance to stop it.
    """

    def __init__(self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # one system call: safe between fork and exec
            )

    @property
    def pid(self) -> int:
        """Its process id, which is its session's id as well."""
        return self._process.pid

    def check(self) -> None:
        """Raise ProcessError, with the end of its log, if it has ended."""
        if (code := self._process.poll()) is not None:
            raise ProcessError(f"{self.name} ended with code {code}. Its log, {self.log}, ends:\n{self.log_tail()}")

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def stop(children: Sequence[Child], *, grace: float = 10.0) -> None:
    """Stop the children and all they started: SIGTERM to each, SIGKILL to what is left after `grace` seconds.

    No other process is signalled.
    """
    family = {process for child in children for process in _family(child)}
    for child in children:
        # Until it is waited for, an ended child keeps its id: the signal cannot reach a stranger.
        if child._process.poll() is None:
            child._process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    for child in children:
        try:
            child._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child._process.kill()
            child._process.wait()
    # Whatever a child left behind, also where it was reparented meanwhile.
    family |= {process for child in children for process in _session(child)}
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: not any(map(_runs, family)), timeout=5, what="end of processes after SIGKILL", every=0.05)


def kill(children: Sequence[Child]) -> None:
    """Send SIGKILL to the children and all they started, and nothing before it. They remain to be stopped."""
    for process in {psutil.Process(child.pid) for child in children if child._process.poll() is None} | {
        process for child in children for process in _family(child)
    }:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _family(child: Child) -> set[psutil.Process]:
    try:
        return set(psutil.Process(child.pid).children(recursive=True)) | _session(child)
    except psutil.NoSuchProcess:
        return _session(child)


def _session(child: Child) -> set[psutil.Process]:
    """The living members of the child's session, without the child itself."""
    members = set()
    for pid in psutil.pids():
        try:
            if pid != child.pid and os.getsid(pid) == child.pid:
                members.add(psutil.Process(pid))
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return members


def _runs(process: psutil.Process) -> bool:
    """Whether it still does anything; one that nobody has waited for yet, a zombie, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], *, timeout: float, what: str, every: float = 0.2) -> None:
    """Return as soon as `condition()` holds; TimeoutError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """SIGTERM unwinds the stack like Ctrl-C does, so that context managers stop what they started."""

    def leave(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def signals_held() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the block is done: for the seconds in which things are stopped."""
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
