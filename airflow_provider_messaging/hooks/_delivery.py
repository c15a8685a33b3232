"""The delivery engine inside an Airflow task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.delivery.options import GRACE_SECONDS, LedgerStore, Options, Runner
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.delivery.references import SendIdentity
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.hooks._state import NoLedger, TaskStateLedger, state_accessor
from airflow_provider_messaging.hooks._thread import LoopThread

if TYPE_CHECKING:
    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.delivery.engine import Delivery
    from airflow_provider_messaging.delivery.spool import Spool

log = logging.getLogger(__name__)


class DeliveryThread:
    """Runs a delivery beside the task's main thread, which must be free for `on_kill`."""

    def __init__(self) -> None:
        self._delivery: Delivery | None = None
        self._thread = LoopThread[Report]("messaging-delivery", grace=GRACE_SECONDS + 1.0, interrupt=self._interrupt)
        self.report = Report()
        """How far it came, also after an error."""
        self.reason = ""
        """Why messages are ambiguous, where some are."""

    def run(
        self,
        *,
        transport: Callable[[], AbstractAsyncContextManager[Runner]],
        rows: Callable[[], Iterable[Any]],
        channel: Channel,
        store: LedgerStore,
        outputs: Outputs,
        reference_of: Callable[[int], str],
        options: Options,
        judged: Spool | None = None,
    ) -> Report:
        """Deliver and return the report; for the errors see `Delivery.run`."""
        # Not when a DAG is parsed.
        from airflow_provider_messaging.delivery.engine import Delivery

        async def deliver() -> Report:
            async with transport() as runner:
                delivery = self._delivery = Delivery(
                    rows=rows,
                    channel=channel,
                    runner=runner,
                    store=store,
                    outputs=outputs,
                    reference_of=reference_of,
                    options=options,
                    judged=judged,
                )
                if self._thread.stopped:
                    delivery.stop()
                try:
                    return await delivery.run()
                finally:
                    self.report = delivery.report
                    self.reason = delivery.reason
                    self._delivery = None

        return self._thread.run(deliver)

    def stop(self) -> None:
        """Let no new request start. Safe in a signal handler of the waiting thread."""
        self._thread.stop()

    def _interrupt(self) -> None:
        if self._delivery is not None:
            self._delivery.stop()


def identity_of(context: Mapping[str, Any]) -> SendIdentity:
    """Return what makes this send the same send at every try."""
    ti = context["ti"]
    return SendIdentity(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        generation=ti.max_tries,
    )


def origin_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a manifest line that says which task wrote it."""
    identity = identity_of(context)
    return {
        "dag_id": identity.dag_id,
        "run_id": identity.run_id,
        "task_id": identity.task_id,
        "map_index": identity.map_index,
    }


def ledger_store(context: Mapping[str, Any]) -> tuple[LedgerStore, bool, datetime | None]:
    """Return where the ledger is kept, whether an earlier try may have sent without one, and since when.

    Before Airflow 3.3 there is no place for a ledger: a first try sends freely, a later one must look everything up.
    """
    accessor = state_accessor(context)
    ti = context["ti"]
    if accessor is not None:
        ledger = TaskStateLedger(accessor, generation=ti.max_tries)
        return ledger, False, ledger.cleared_at
    retries = getattr(context.get("task"), "retries", 0) or 0
    retried = ti.try_number > ti.max_tries - retries + 1
    log.warning(
        "This Airflow has no task state store (it came with 3.3): should this task be killed, its next try has to take "
        "every message for one that may have been sent."
    )
    dag_run = context.get("dag_run")
    return NoLedger(), retried, getattr(dag_run, "start_date", None)
