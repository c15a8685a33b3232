"""The delivery of one input: plan, record, send, settle, report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_messaging.core.errors import AuthenticationError, VendorError
from airflow_provider_messaging.core.flow import Flow, Sleep
from airflow_provider_messaging.core.http import Request
from airflow_provider_messaging.core.messages import Doubt, Message, Sighting, Verdict
from airflow_provider_messaging.core.pacing import Pacer
from airflow_provider_messaging.delivery.books import Books, Job
from airflow_provider_messaging.delivery.channel import Channel
from airflow_provider_messaging.delivery.ledger import Ledger
from airflow_provider_messaging.delivery.options import GRACE_SECONDS, LedgerStore, Options, Runner, Stopped
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.delivery.plan import GROUP_BYTES, Plan, RejectedRow, groups
from airflow_provider_messaging.delivery.reconcile import Reconciler, Reconciliation
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.delivery.settle import Outcome, settle
from airflow_provider_messaging.delivery.spool import Spool
from airflow_provider_messaging.delivery.verify import InputCheck

log = logging.getLogger(__name__)

T = TypeVar("T")

PROGRESS_SECONDS = 10.0
MOST_REFUSED_BATCHES = 2
"""Batches refused to the last message, without a row named, after which the send is given up."""
MOST_REFUSED_ALONE = 25
"""The same where a request has one message, and none was accepted yet."""
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class _Call:
    """A call of the vendor under way.

    :param on_its_way: the last step was a request that sends: without a reply, it may have been taken.
    """

    on_its_way: bool = False


class Delivery:
    """One try of one send. Make it and run it on the same event loop.

    :param rows: called for a fresh iterator over the input: once, or twice when an earlier try is continued.
    :param judged: the batches of that input, if it was judged already. When an earlier try is continued they are made
        anew, since rows are then judged against the clock of that try.
    :param reference_of: gives the reference of a row that has none.
    """

    def __init__(
        self,
        *,
        rows: Callable[[], Iterable[Any]],
        channel: Channel,
        runner: Runner,
        store: LedgerStore,
        outputs: Outputs,
        reference_of: Callable[[int], str],
        options: Options,
        judged: Spool | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._rows = rows
        self._channel = channel
        self._runner = runner
        self._store = store
        self._outputs = outputs
        self._reference_of = reference_of
        self._options = options
        self._clock = clock
        self._pacer = Pacer(options.rate_limit)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="delivery")
        self._stopping = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._began = time.monotonic()
        self._refused_batches = 0
        self._judged = judged if judged is not None and judged.usable else None
        began = clock() if self._judged is None else self._judged.now
        self._books = Books(channel=channel, outputs=outputs, now=began, assume_sent=options.assume_sent)
        self._input = InputCheck(self._ledger)

    @property
    def report(self) -> Report:
        """How far it came."""
        return self._books.report

    @property
    def reason(self) -> str:
        """Why messages are ambiguous, where some are."""
        return self._books.reason

    @property
    def _ledger(self) -> Ledger:
        return self._books.ledger

    async def run(self) -> Report:
        """Send everything that is not known to be accepted.

        :raises ConfigurationError: if the input is not the one that an earlier try began to send; nothing is sent then.
        :raises MessagingError: if the vendor takes nothing any more. `report` says how far it came.
        :raises Stopped: after `stop`.
        """
        progress = asyncio.create_task(self._tell_progress())
        try:
            document = await self._in_thread(self._store.load)
            if document is not None:
                self._books.go_on(document)
                self._judged = None
                self._input = InputCheck(self._ledger)
                await self._in_thread(self._input.read, self._plan(lambda _: None).batches())
                log.info("an earlier try left a ledger: %d messages were accepted by then", self._ledger.accepted)
            elif self._options.assume_sent:
                log.warning("an earlier try left no ledger: every message is looked up before it is sent")
            await self._send_everything()
        finally:
            progress.cancel()
            self._executor.shutdown(wait=False)
        if self._error is not None:
            raise self._error
        return self.report

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Start no new request and give those in flight `grace` seconds. Call it on the event loop."""
        self._fail(_stopped())
        for task in self._in_flight:
            asyncio.get_running_loop().call_later(grace, task.cancel)

    async def send(self, messages: Sequence[Message]) -> Verdict:
        await self._pause(self._pacer.reserve(len(messages), time.monotonic()))
        call = _Call()
        try:
            return await self._runner.run(self._observed(self._channel.send(messages), call))
        except asyncio.CancelledError:
            if call.on_its_way:
                raise
            raise _stopped() from None

    async def reconcile(self, messages: Sequence[Message], *, sent_by: float | None = None) -> Reconciliation:
        if self._channel.doubt is Doubt.REPEAT:
            return Reconciliation(not_taken=list(messages))
        reconciler = Reconciler(
            look_up=self._look_up,
            since=self._since,
            window=self._options.reconcile_window,
            concurrency=self._options.max_concurrency,
            proven=self._ledger.tracking_proven,
            witness=lambda: self._ledger.witness,
            doubts=self._channel.look_up_doubts,
            sleep=self._pause,
            clock=time.monotonic,
        )
        found = await reconciler.run(messages, sent_by=sent_by)
        self._ledger.tracking_proven = reconciler.proven
        return found

    async def _send_everything(self) -> None:
        count = self._options.max_concurrency
        # Where nobody can say what a kill left behind, no more than is under way may be recorded.
        room = 1 if self._channel.doubt is Doubt.REPORT else self._group_size
        queue: asyncio.Queue[Job | None] = asyncio.Queue(room)
        workers = [asyncio.create_task(self._work(queue)) for _ in range(count)]
        try:
            await self._feed(queue)
        except BaseException as error:
            self._fail(error)
        for _ in range(count):
            await queue.put(None)
        await asyncio.gather(*workers)
        self._ledger.complete = self._ledger.complete or self._error is None
        try:
            await self._save()
        except Exception as error:
            self._fail(error)

    async def _feed(self, queue: asyncio.Queue[Job | None]) -> None:
        """Put every batch into the queue; after a stop only those that earlier tries began, for the files' sake."""
        judged = self._judged
        plan = self._plan if judged is None else lambda _: judged
        # The first one is small, so that sending begins soon.
        planned = groups(plan, size=self._group_size, max_bytes=GROUP_BYTES, first=max(1, self._group_size // 4))
        known = self._ledger.recorded.batches
        self._outputs.ready = known == 0
        group = await self._in_thread(next, planned, None)
        while group is not None:
            if self._stopping.is_set() and self._outputs.ready:
                return
            self._input.reread(group.batches)
            self._books.count(group)
            jobs = [self._books.job(batch, known) for batch in group.batches]
            try:
                if not self._stopping.is_set():
                    await self._record(jobs, known)
            except Exception as error:
                self._fail(error)
            # Planned while this one is sent. Not before it is recorded: one thread does both.
            ahead = asyncio.ensure_future(self._in_thread(next, planned, None))
            for job in jobs:
                await queue.put(job)
            if jobs:
                self._outputs.ready = jobs[-1].batch.number + 1 >= known
            group = await ahead
        self._input.end()

    async def _record(self, jobs: list[Job], known: int) -> None:
        """Clear up what earlier tries left in doubt, and save the intention to send the rest."""
        await self._within_grace(self._clear_doubts(jobs))
        self._books.intend(jobs, known)
        if any(job.pending for job in jobs):
            await self._save()

    async def _clear_doubts(self, jobs: list[Job]) -> None:
        """Look up, all in one wave, what an earlier try may have sent."""
        doubtful = [message for job in jobs for message in job.doubtful]
        if not doubtful:
            return
        if self._asks:
            log.info("clearing up %d messages that an earlier try may have sent", len(doubtful))
            found = await self.reconcile(doubtful, sent_by=self._began)
        else:
            found = Reconciliation(unknown=doubtful, reason="an earlier try may have sent them")
        self._books.clear_up(jobs, found)

    async def _work(self, queue: asyncio.Queue[Job | None]) -> None:
        while (job := await queue.get()) is not None:
            if job.pending and not self._stopping.is_set():
                await self._settle(job)
            if job.batch.number >= self._ledger.recorded.batches:
                continue
            try:
                self._books.finish(job)
                self._check_refusals(job.outcome)
                if job.outcome.receipts and self._channel.receipt_name:
                    await self._save()
            except Exception as error:
                self._fail(error)

    @property
    def _asks(self) -> bool:
        """Whether there is a way to clear up what may or may not have been taken, and it is wanted."""
        doubt = self._channel.doubt
        return doubt is Doubt.REPEAT or (doubt is Doubt.LOOK_UP and self._options.on_ambiguous == "reconcile")

    async def _settle(self, job: Job) -> None:
        try:
            await self._within_grace(settle(job.pending, job.outcome, self, look_up=self._asks))
        except BaseException as error:
            self._fail(error)

    async def _within_grace(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what a stop lets go on until its grace is over."""
        task = asyncio.create_task(work)
        self._in_flight.add(task)
        try:
            await task
        finally:
            self._in_flight.discard(task)

    def _check_refusals(self, outcome: Outcome) -> None:
        """Give up where the vendor refuses everything: the fault is hardly in a million single messages."""
        alone = self._channel.limits.max_messages == 1
        if not (outcome.wholly_refused or (alone and outcome.rejected)):
            return
        self._refused_batches += 1
        most = MOST_REFUSED_ALONE if alone else MOST_REFUSED_BATCHES
        if self._refused_batches >= most and not (alone and self.report.accepted):
            error = outcome.rejected[0][1][0]
            self._fail(
                VendorError(
                    f"{self._refused_batches} requests were refused to the last message ({error.code} "
                    f"{error.message}); given up, since the account or the request seems to be at fault, not the rows",
                    code=error.code,
                )
            )

    def _fail(self, error: BaseException) -> None:
        """Note the first error; nothing new starts after it."""
        if self._error is None:
            self._error = Stopped("cancelled") if isinstance(error, asyncio.CancelledError) else error
        self._stopping.set()

    def _plan(self, on_reject: Callable[[RejectedRow], None]) -> Plan:
        return Plan(
            rows=self._rows(),
            channel=self._channel,
            reference_of=self._reference_of,
            now=self._ledger.started,
            on_reject=on_reject,
        )

    def _observed(self, flow: Flow[T], call: _Call) -> Flow[T]:
        """Count the requests that send and slow down with the vendor; between requests is where a stop takes effect.

        Refused credentials stop everything here, where it is known first: all other requests would be refused as well.
        """
        reply = None
        try:
            while True:
                step = flow.send(reply)
                if self._stopping.is_set() and isinstance(step, Request | Sleep):
                    raise _stopped()
                if isinstance(step, Sleep) and step.throttled and call.on_its_way:
                    self.report.throttled += 1
                    self._pacer.throttled(step.seconds, time.monotonic())
                call.on_its_way = isinstance(step, Request) and step.operation == self._channel.operation
                self.report.requests += call.on_its_way
                reply = yield step
        except StopIteration as end:
            value: T = end.value
            return value
        except AuthenticationError as error:
            self._fail(error)
            raise
        finally:
            flow.close()

    async def _look_up(self, reference: str, since: datetime) -> Sighting:
        reused = self._options.not_before is not None
        look_up = self._channel.look_up(reference, since=since, reused=reused)
        return await self._runner.run(self._observed(look_up, _Call()))

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless a stop comes first."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
        if self._stopping.is_set():
            raise _stopped()

    @property
    def _since(self) -> datetime:
        """The time before which a tracking event proves nothing."""
        not_before = self._options.not_before or _EPOCH
        if self._options.assume_sent:
            return not_before
        return max(self._ledger.started - self._options.clock_skew, not_before)

    @property
    def _group_size(self) -> int:
        """Batches that are recorded together: those of which a kill leaves nobody knowing."""
        count = self._options.max_concurrency
        return {Doubt.LOOK_UP: max(8, count), Doubt.REPEAT: 16 * count, Doubt.REPORT: count}[self._channel.doubt]

    async def _save(self) -> None:
        await self._in_thread(self._store.save, self._ledger.dump(self._clock()))

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    async def _tell_progress(self) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            rate = (self.report.accepted - self.report.resumed) / (time.monotonic() - began)
            log.info(
                "%s; %.0f accepted a second; the vendor throttled %d times",
                self.report,
                rate,
                self.report.throttled,
            )


def _stopped() -> Stopped:
    return Stopped("the task was asked to end")
