"""What happened, as the context of a callback tells it: of a task, a DAG run, or a deadline."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

_STATES = {
    # A task that was killed: the DAG processor runs its callbacks, without state and exception, and for failures only.
    "": ("failed", "failed"),
    "failed": ("failed", "failed"),
    "up_for_retry": ("retry", "failed and will be retried"),
    "success": ("success", "succeeded"),
    "skipped": ("skipped", "was skipped"),
    "running": ("running", "is running"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An event in plain values; what the context does not tell is None or empty.

    :param kind: ``failed``, ``retry``, ``success``, ``skipped``, ``running``, ``deadline`` or ``other``.
    :param what: the predicate of a sentence: ``failed and will be retried``.
    :param task_id: empty where it is about a DAG run.
    :param tries: how many tries the task has altogether.
    :param error: the exception, for what is to be found out from its type.
    :param log_url: the task's page in Airflow's UI, where its log is.
    :param run_url: the DAG run's page.
    """

    kind: str
    what: str
    dag_id: str = ""
    task_id: str = ""
    map_index: int = -1
    run_id: str = ""
    run_clears: int = 0
    try_number: int | None = None
    tries: int | None = None
    operator: str = ""
    reason: str = ""
    error: BaseException | None = None
    exception: str = ""
    raised_at: str = ""
    deadline: str = ""
    deadline_id: str = ""
    start: datetime | None = None
    end: datetime | None = None
    log_url: str = ""
    run_url: str = ""

    @classmethod
    def of(cls, context: Mapping[str, Any], *, base_url: str = "") -> Alert:
        """Read the context of a callback.

        :param base_url: of Airflow's UI; empty: no links.
        """
        ti, run = context.get("ti"), context.get("dag_run")
        # In the context of a deadline, runs are as the REST API has them.
        run_id = _member(run, "run_id") or _member(run, "dag_run_id") or context.get("run_id") or _member(ti, "run_id")
        dag_id = _member(run, "dag_id") or _member(ti, "dag_id") or _member(context.get("dag"), "dag_id")
        common: dict[str, Any] = {
            "dag_id": _text(dag_id),
            "run_id": _text(run_id),
            "run_clears": _integer(_member(run, "clear_number")) or 0,
            "run_url": _run_url(base_url, dag_id, run_id),
        }
        times: dict[str, Any] = {"start": _moment(_member(run, "start_date")), "end": _moment(_member(run, "end_date"))}
        if deadline := context.get("deadline"):
            passed = _text(_member(deadline, "deadline_time"))
            return cls(
                kind="deadline",
                what=f"missed its deadline {passed}".rstrip(),
                deadline=passed,
                deadline_id=_text(_member(deadline, "id")),
                **common,
                **times,
            )
        if reason := context.get("reason"):
            # Only the callbacks of DAGs have one; the task in their context is the one that was last.
            kind, what = ("success", "succeeded") if reason == "success" else ("failed", f"failed ({reason})")
            return cls(kind=kind, what=what, reason=_text(reason), **common, **times)
        if ti is None:
            return cls(kind="other", what="needs attention", **common, **times)
        return cls(**_of_task(ti, context, base_url), **common)

    @property
    def subject(self) -> str:
        """Whose event it is: ``campaign.send`` or ``campaign``."""
        return ".".join(filter(None, (self.dag_id or "?", self.task_id)))

    @property
    def is_unexplained(self) -> bool:
        """Tell whether a task failed, and nothing says why."""
        return bool(self.kind == "failed" and self.task_id and not self.exception)

    @property
    def duration(self) -> timedelta | None:
        if self.start is None or self.end is None:
            return None
        try:
            return self.end - self.start
        except TypeError:
            return None


def _of_task(ti: Any, context: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    task = context.get("task")
    state = _text(getattr(_member(ti, "state"), "value", _member(ti, "state")))
    error = context.get("exception")
    kind, what = _STATES.get(state, _STATES[""] if error else ("other", f"is {state}"))
    if kind not in {"failed", "retry"}:
        error = None
    tries = _integer(_member(ti, "max_tries"))
    index = _integer(_member(ti, "map_index"))
    return {
        "kind": kind,
        "what": what,
        "task_id": _text(_member(ti, "task_id") or "?"),
        "map_index": -1 if index is None else index,
        "try_number": _integer(_member(ti, "try_number")),
        "tries": None if tries is None else tries + 1,
        "operator": _text(_member(task, "operator_name") or _member(task, "task_type")),
        "error": error if isinstance(error, BaseException) else None,
        "exception": _told(error),
        "raised_at": _raised_at(error),
        "start": _moment(_member(ti, "start_date")),
        "end": _moment(_member(ti, "end_date")),
        "log_url": _text(_member(ti, "log_url")) if base_url else "",
    }


def _told(error: object) -> str:
    """Return type and text of an exception; some have no text."""
    if error is None:
        return ""
    if not isinstance(error, BaseException):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _raised_at(error: object) -> str:
    """Return the place at which it, or the first of those that led to it, was raised; empty where it is not known."""
    seen: set[int] = set()
    while isinstance(error, BaseException) and error.__cause__ is not None and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__) if isinstance(error, BaseException) else []
    if not frames:
        return ""
    # Folder and file: where a worker has its DAGs is nobody's business outside.
    place = "/".join(PurePath(frames[-1].filename).parts[-2:])
    return f"{place}, line {frames[-1].lineno}, in {frames[-1].name}"


def _run_url(base_url: str, dag_id: object, run_id: object) -> str:
    if not (base_url and dag_id and run_id):
        return ""
    return f"{base_url.rstrip('/')}/dags/{quote(str(dag_id), safe='')}/runs/{quote(str(run_id), safe='')}"


def _member(thing: Any, name: str) -> Any:
    """Return a member of an object, or of the mapping that stands for it in the context of a deadline."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) else None
