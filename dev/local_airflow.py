"""A real Airflow for tests and the demo: on SQLite and loopback, with a home of its own, gone afterwards."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from dev.airflow_client import AirflowClient
from dev.processes import Child, ProcessError, free_port, kill, signals_held, stop

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")

_SETTINGS = {
    "CORE__EXECUTOR": "LocalExecutor",
    "CORE__PARALLELISM": "4",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "CORE__TEST_CONNECTION": "Enabled",
    "API__HOST": "127.0.0.1",
    "API__WORKERS": "1",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # How soon a deferred task that has waited too long is failed.
    "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    # How soon the triggers of a triggerer that was killed go to the next one.
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    # Would call a host outside of this machine.
    "USAGE_DATA_COLLECTION__ENABLED": "False",
}


class LocalAirflow:
    """``with LocalAirflow(home, dags_folder, env) as airflow:`` runs all components until the block ends.

    :param home: AIRFLOW_HOME; a home that an earlier LocalAirflow made is replaced.
    :param dags_folder: the folder whose DAGs are loaded, not paused.
    :param env: further environment variables, such as ``AIRFLOW_CONN_…``; they win over the settings here.
    :param more: arguments of ``airflow`` for further components by name, workers for instance.
    :param progress: is told what goes on, a line at a time.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        env: Mapping[str, str] | None = None,
        *,
        more: Mapping[str, Sequence[str]] | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.home = home.resolve()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = AirflowClient(self.url)
        self.env = _environment(self.home, dags_folder.resolve(), self.port, env or {})
        self._progress = progress
        self._commands: dict[str, Sequence[str]] = {
            "api-server": ["api-server", "--host", "127.0.0.1", "--port", str(self.port)],
            "dag-processor": ["dag-processor"],
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
            **(more or {}),
        }
        self._children: list[Child] = []
        self._lock: IO[str] | None = None

    def __enter__(self) -> LocalAirflow:
        try:
            self._prepare_home()
            self._progress("migrating the metadata database")
            self.run("db", "migrate")
            self._progress(f"starting {', '.join(self._commands)}")
            for component in self._commands:
                self.start(component)
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, *arguments: str) -> str:
        """The output of ``airflow <arguments>`` in this home; ProcessError when it fails."""
        done = subprocess.run(
            [_airflow(), *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProcessError(f"airflow {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout

    def wait_until_healthy(self, *, timeout: float = 120.0) -> None:
        """Return when all components report themselves healthy and the task API answers."""
        began = time.monotonic()
        states: dict[str, str] = {}
        while time.monotonic() - began < timeout:
            self.check()
            if self.client.is_up():
                states = self.client.health()
                # The first request to the execution API builds its routes: no task should wait for that.
                if all(states.get(name) == "healthy" for name in COMPONENTS) and self.client.is_up("/execution/health"):
                    return
            time.sleep(0.2)
        logs = "\n\n".join(f"{child.log}:\n{child.log_tail()}" for child in self._children)
        raise TimeoutError(f"Airflow is not healthy after {timeout:.0f} s: {states}\n{logs}")

    def check(self) -> None:
        """Raise ProcessError, with the end of its log, if a component has ended."""
        for child in self._children:
            child.check()

    def pid(self, component: str) -> int:
        """The process id of a component, ``scheduler`` for instance."""
        return next(child.pid for child in self._children if child.name == component)

    def stop(self) -> None:
        """Stop what was started, and only that. May be called twice."""
        with signals_held():
            children, self._children = self._children, []
            try:
                # The triggerer would wait ten seconds for its runner; nobody needs this home's last words.
                stop(children, grace=4)
            finally:
                if self._lock is not None:
                    self._lock.close()
                    self._lock = None

    def start(self, component: str) -> None:
        """Start one component; its log goes on where it ended."""
        log = self.home / f"{component}.log"
        command = [_airflow(), *self._commands[component]]
        self._children.append(Child(component, command, env=self.env, log=log))

    def halt(self, component: str, *, grace: float = 15.0, at_once: bool = False) -> None:
        """Stop one component, until it is started again.

        :param grace: seconds until it is killed; 0 leaves it no time to put anything in order.
        :param at_once: SIGKILL to all of its processes, and no other signal: what a lost machine looks like.
        """
        halted = [child for child in self._children if child.name == component]
        self._children = [child for child in self._children if child.name != component]
        with signals_held():
            if at_once:
                kill(halted)
            stop(halted, grace=grace)

    def _prepare_home(self) -> None:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self._lock = (self.home.parent / f"{self.home.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessError(f"another Airflow is running in {self.home}: stop it first") from None
        marker = self.home / ".local-airflow"
        if self.home.exists():
            if not marker.exists() and any(self.home.iterdir()):
                raise ProcessError(f"{self.home} is not empty and was not made by LocalAirflow")
            shutil.rmtree(self.home)
        self.home.mkdir()
        marker.touch()


def _airflow() -> str:
    return str(Path(sysconfig.get_path("scripts")) / "airflow")


def _environment(home: Path, dags_folder: Path, port: int, extra: Mapping[str, str]) -> dict[str, str]:
    # An Airflow that the caller has configured must not leak in, and processes without bytecode start slowly.
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    env |= {f"AIRFLOW__{name}": value for name, value in _SETTINGS.items()}
    env |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)]),
    }
    return {**env, **extra}
