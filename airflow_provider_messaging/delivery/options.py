"""How to send, and what a send needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from airflow_provider_messaging.core.flow import Flow

T = TypeVar("T")

GRACE_SECONDS = 4.0
"""How long requests in flight may go on after `stop`; Airflow kills a task about five seconds after its SIGTERM."""


class Stopped(Exception):
    """The task was asked to end: no new request starts."""


class Runner(Protocol):
    """The asynchronous driver of flows."""

    async def run(self, flow: Flow[T], /) -> T: ...


class LedgerStore(Protocol):
    """Where the ledger survives a crash. Called from other threads, never twice at once."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, document: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to send.

    :param max_concurrency: requests in flight.
    :param rate_limit: messages a second.
    :param on_ambiguous: look doubtful messages up, or leave them ambiguous.
    :param reconcile_window: seconds for which the vendor's tracking may lag behind acceptance.
    :param clock_skew: how far the vendor's clock may be behind ours.
    :param assume_sent: an earlier try left no ledger: every message is looked up before it is sent.
    :param not_before: an earlier, cleared send used the same references until then: older events prove nothing. With
        `assume_sent`, when the first try began at the earliest.
    """

    max_concurrency: int = 4
    rate_limit: float | None = None
    on_ambiguous: Literal["reconcile", "fail"] = "reconcile"
    reconcile_window: float = 60.0
    clock_skew: timedelta = timedelta(seconds=60)
    assume_sent: bool = False
    not_before: datetime | None = None
