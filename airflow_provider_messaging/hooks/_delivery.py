"""The delivery engine inside an Airflow task."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from airflow_provider_messaging.delivery.channel import Channel
from airflow_provider_messaging.delivery.engine import GRACE_SECONDS, Delivery
from airflow_provider_messaging.delivery.options import LedgerStore, Options, Runner
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.delivery.references import SendIdentity
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.hooks._state import NoLedger, TaskStateLedger, state_accessor

log = logging.getLogger(__name__)


class DeliveryThread:
    """Runs a delivery on an event loop of its own, in a thread of its own.

    The task's main thread only waits: Airflow calls `on_kill` there, from a signal handler, and what it interrupts must
    be neither the event loop nor the ledger's conversation with the supervisor.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._delivery: Delivery | None = None
        self._lock = threading.RLock()
        self._stopped = False
        self._result: Report | None = None
        self._error: BaseException | None = None
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
    ) -> Report:
        """Deliver and return the report; for the errors see `Delivery.run`."""

        async def main() -> None:
            async with transport() as runner:
                delivery = Delivery(
                    rows=rows,
                    channel=channel,
                    runner=runner,
                    store=store,
                    outputs=outputs,
                    reference_of=reference_of,
                    options=options,
                )
                with self._lock:
                    self._loop, self._delivery = asyncio.get_running_loop(), delivery
                    if self._stopped:
                        delivery.stop()
                try:
                    self._result = await delivery.run()
                finally:
                    self.report = delivery.report
                    self.reason = delivery.reason
                    with self._lock:
                        self._delivery = None

        def target() -> None:
            try:
                asyncio.run(main())
            except BaseException as error:
                self._error = error

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(target,), name="messaging-delivery", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(1.0)
        except BaseException:
            # An execution timeout, for instance: nothing more may be sent behind the back of a task that has ended.
            self.stop()
            thread.join(GRACE_SECONDS + 1.0)
            raise
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def stop(self) -> None:
        """Let no new request start. Safe in a signal handler of the waiting thread."""
        with self._lock:
            self._stopped = True
            if self._loop is not None and self._delivery is not None:
                self._loop.call_soon_threadsafe(self._delivery.stop)


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
        "This Airflow has no task state store (it came with 3.3): should this task be killed, its next try looks every "
        "message up before it sends it."
    )
    dag_run = context.get("dag_run")
    return NoLedger(), retried, getattr(dag_run, "start_date", None)
