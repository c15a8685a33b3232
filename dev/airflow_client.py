"""The few calls of Airflow's REST API that tests and the demo need, with the standard library only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

FINAL_STATES = frozenset({"success", "failed"})


class AirflowApiError(RuntimeError):
    """Airflow answered with an error status."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        super().__init__(f"{method} {path}: {status} {detail}")
        self.status = status


class RunTimeout(TimeoutError):
    """A DAG run did not end in time."""


class AirflowClient:
    """Talks to an API server whose simple auth manager takes everyone for an admin."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._token: str | None = None

    def request(self, method: str, path: str, body: object = None, *, timeout: float = 30.0) -> Any:
        """The decoded answer, or AirflowApiError. Paths under ``/api/v2`` are sent with a token."""
        headers = {"Accept": "application/json"}
        if path.startswith("/api/"):
            headers["Authorization"] = f"Bearer {self._bearer()}"
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        call = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with _OPENER.open(call, timeout=timeout) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read().decode(errors="replace")
            raise AirflowApiError(method, path, error.code, detail[:1000]) from None
        return json.loads(content) if content else None

    def get(self, path: str, **query: object) -> Any:
        return self.request("GET", path + ("?" + urlencode(query) if query else ""))

    def is_up(self, path: str = "/api/v2/version") -> bool:
        """Whether the server answers at all."""
        try:
            self.request("GET", path, timeout=10)
        except AirflowApiError as error:
            return error.status < 500
        except OSError:
            return False
        return True

    def health(self) -> dict[str, str]:
        """Component name → ``healthy``, ``unhealthy`` or ``missing`` (not seen yet)."""
        answer = self.get("/api/v2/monitor/health")
        return {name: (part or {}).get("status") or "missing" for name, part in answer.items()}

    def import_errors(self) -> dict[str, str]:
        """DAG file → stack trace of the error that keeps it from being loaded."""
        answer = self.get("/api/v2/importErrors")
        return {error["filename"]: error["stack_trace"] for error in answer["import_errors"]}

    def has_dag(self, dag_id: str) -> bool:
        """Whether the DAG is loaded and may be triggered."""
        try:
            self.get(f"/api/v2/dags/{quote(dag_id, safe='')}")
        except AirflowApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> None:
        """Return when the DAG is loaded; RuntimeError with the stack traces when a file cannot be loaded."""
        deadline = time.monotonic() + timeout
        while not self.has_dag(dag_id):
            if errors := self.import_errors():
                traces = "\n\n".join(f"{name}:\n{trace}" for name, trace in errors.items())
                raise RuntimeError(f"no DAG {dag_id!r}, and these files cannot be imported:\n{traces}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no DAG {dag_id!r} after {timeout:.0f} s")
            time.sleep(0.3)

    def pause(self, dag_id: str, paused: bool) -> None:
        """Have a DAG's runs wait, or go on."""
        self.request("PATCH", f"/api/v2/dags/{quote(dag_id, safe='')}", {"is_paused": paused})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, *, run_id: str | None = None) -> str:
        """Start a run and return its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if run_id is not None:
            body["dag_run_id"] = run_id
        answer = self.request("POST", f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns", body)
        return str(answer["dag_run_id"])

    def dag_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.get(_run_path(dag_id, run_id))
        return answer

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.get(_run_path(dag_id, run_id) + "/taskInstances", limit=1000)[
            "task_instances"
        ]
        return answer

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float = 120.0,
        progress: Callable[[str], None] | None = None,
    ) -> str:
        """The state in which the run ends; `progress` is told each change of a task's state. RunTimeout."""
        seen: dict[tuple[str, int], str | None] = {}
        deadline = time.monotonic() + timeout
        while True:
            state = self.dag_run(dag_id, run_id)["state"]
            if progress is not None:
                for task in self.task_instances(dag_id, run_id):
                    key = task["task_id"], task["map_index"]
                    if task["state"] != seen.get(key):
                        seen[key] = task["state"]
                        progress(f"{_task_name(task)}: {task['state']}")
            if state in FINAL_STATES:
                return str(state)
            if time.monotonic() > deadline:
                tasks = {_task_name(task): task["state"] for task in self.task_instances(dag_id, run_id)}
                raise RunTimeout(f"{dag_id} {run_id} is {state} after {timeout:.0f} s: {tasks}")
            time.sleep(0.4)

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, key: str = "return_value", map_index: int = -1) -> Any:
        """The value that a task pushed."""
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}"
        return self.get(path, map_index=map_index, deserialize="true")["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        """A task's log, a line per event: level and message, then the event's own keys, then its exceptions."""
        path = f"{_task_path(dag_id, run_id, task_id)}/logs/{try_number}"
        content = self.get(path, map_index=map_index, full_content="true")["content"]
        return "\n".join(map(_log_line, content))

    def _bearer(self) -> str:
        if self._token is None:
            self._token = str(self.request("GET", "/auth/token")["access_token"])
        return self._token


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"


def _task_name(task: dict[str, Any]) -> str:
    return task["task_id"] if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


# What Airflow adds to each event: where it comes from, and the task, which the reader has asked for.
_CONTEXT = frozenset(
    {"dag_id", "run_id", "task_id", "ti_id", "map_index", "try_number", "filename", "lineno", "logger", "loc"}
)


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    rest = {key: value for key, value in entry.items() if key not in {"event", "level", "timestamp"} | _CONTEXT}
    errors = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in rest.pop("error_detail", None) or ()]
    line = f"{entry.get('level') or 'info'}: {entry.get('event')}" + (f" {json.dumps(rest)}" if rest else "")
    return "\n  ".join([line, *errors])
