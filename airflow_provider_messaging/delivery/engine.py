"""The delivery of one input: plan, record, send, settle, report."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Flow, Sleep
from airflow_provider_messaging.core.http import Request
from airflow_provider_messaging.core.messages import Message, Sighting, Verdict
from airflow_provider_messaging.core.pacing import Pacer
from airflow_provider_messaging.delivery.channel import Channel
from airflow_provider_messaging.delivery.ledger import Ledger
from airflow_provider_messaging.delivery.options import LedgerStore, Options, Runner
from airflow_provider_messaging.delivery.outputs import Outputs, reject_of
from airflow_provider_messaging.delivery.plan import GROUP_BYTES, Batch, Group, Plan, RejectedRow, groups
from airflow_provider_messaging.delivery.reconcile import Reconciler, Reconciliation
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.delivery.settle import Outcome, Stopped, settle
from airflow_provider_messaging.delivery.verify import InputCheck

log = logging.getLogger(__name__)

T = TypeVar("T")

PROGRESS_SECONDS = 10.0
GRACE_SECONDS = 4.0
"""How long requests in flight may go on after `stop`; Airflow kills a task about five seconds after its SIGTERM."""
MOST_REFUSED_BATCHES = 2
"""Batches refused to the last message, without a row named, after which the send is given up."""
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class _Job:
    """A batch, and those of its messages that are not known to be accepted.

    :param pending: to be sent.
    :param doubtful: perhaps sent by an earlier try, to be looked up.
    """

    batch: Batch
    pending: list[Message]
    doubtful: list[Message] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)

    def unsettled(self) -> list[Message]:
        """Return the messages that were neither accepted nor left ambiguous: surely not taken."""
        outcome = self.outcome
        settled = {
            message.reference
            for messages in (outcome.accepted, outcome.reconciled, outcome.ambiguous, outcome.in_flight)
            for message in messages
        }
        return [message for message in self.pending if message.reference not in settled]


@dataclass(slots=True)
class _Call:
    """A call of the vendor under way.

    :param on_its_way: the last step was a request that sends: without a reply, it may have been taken.
    """

    on_its_way: bool = False


class Delivery:
    """One try of one send. Make it and run it on the same event loop.

    :param rows: called for a fresh iterator over the input: once, or twice when an earlier try is continued.
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
        self._ledger = Ledger.new(clock())
        self._input = InputCheck(self._ledger)
        self._earlier: datetime | None = None
        """The last entry of the earlier try's ledger: when its messages were accepted at the latest."""
        self.report = Report()
        self.reason = ""
        """Why messages are ambiguous, where some are."""

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
                self._ledger = Ledger.load(document)
                self._earlier = self._ledger.updated
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
        reconciler = Reconciler(
            look_up=self._look_up,
            since=self._since,
            window=self._options.reconcile_window,
            concurrency=self._options.max_concurrency,
            proven=self._ledger.tracking_proven,
            witness=lambda: self._ledger.witness,
            sleep=self._pause,
            clock=time.monotonic,
        )
        found = await reconciler.run(messages, sent_by=sent_by)
        self._ledger.tracking_proven = reconciler.proven
        return found

    async def _send_everything(self) -> None:
        count = self._options.max_concurrency
        queue: asyncio.Queue[_Job | None] = asyncio.Queue(self._group_size)
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

    async def _feed(self, queue: asyncio.Queue[_Job | None]) -> None:
        """Put every batch into the queue; after a stop only those that earlier tries began, for the files' sake."""
        planned = groups(self._plan, size=self._group_size, max_bytes=GROUP_BYTES)
        known = self._ledger.recorded.batches
        self._outputs.ready = known == 0
        while (group := await self._in_thread(next, planned, None)) is not None:
            if self._stopping.is_set() and self._outputs.ready:
                return
            self._input.reread(group.batches)
            self._count(group)
            jobs = [self._job(batch, known) for batch in group.batches]
            try:
                if not self._stopping.is_set():
                    await self._record(jobs, known)
            except Exception as error:
                self._fail(error)
            for job in jobs:
                await queue.put(job)
            if jobs:
                self._outputs.ready = jobs[-1].batch.number + 1 >= known
        self._input.end()

    async def _record(self, jobs: list[_Job], known: int) -> None:
        """Clear up what earlier tries left in doubt, and save the intention to send the rest."""
        await self._within_grace(self._clear_doubts(jobs))
        self._ledger.intend([job.batch for job in jobs if job.batch.number >= known])
        self._ledger.intend_again(
            job.batch.ordinals()[message.reference]
            for job in jobs
            if job.batch.number < known
            for message in job.pending
        )
        if any(job.pending for job in jobs):
            await self._save()

    def _count(self, group: Group) -> None:
        for rejected in group.rejects:
            self._outputs.reject(rejected.reject, rejected.raw)
        self.report.rejected += len(group.rejects)
        self.report.messages += len(group.rejects) + sum(len(batch.messages) for batch in group.batches)

    def _job(self, batch: Batch, known: int) -> _Job:
        """Tell what is to be done for a batch, and write down what an earlier try did for it."""
        if batch.number >= known:
            everything = list(batch.messages)
            return _Job(batch, [], everything) if self._options.assume_sent else _Job(batch, everything)
        job = _Job(batch, [])
        accepted: list[Message] = []
        for message, ordinal in zip(batch.messages, batch.ordinals().values(), strict=True):
            if ordinal in self._ledger.not_taken:
                job.pending.append(message)
            elif ordinal in self._ledger.perhaps:
                job.doubtful.append(message)
            else:
                accepted.append(message)
        self.report.accepted += len(accepted)
        self.report.resumed += len(accepted)
        self._outputs.settle(accepted, "accepted", self._earlier)
        return job

    async def _clear_doubts(self, jobs: list[_Job]) -> None:
        """Look up, all in one wave, what an earlier try may have sent."""
        owners = {message.reference: job for job in jobs for message in job.doubtful}
        if not owners:
            return
        doubtful = [message for job in jobs for message in job.doubtful]
        if self._options.on_ambiguous == "reconcile":
            log.info("looking up %d messages that an earlier try may have sent", len(doubtful))
            found = await self.reconcile(doubtful, sent_by=self._began)
        else:
            found = Reconciliation(unknown=doubtful, reason="an earlier try may have sent them")
        self.reason = found.reason or self.reason
        for message in found.accepted:
            owners[message.reference].outcome.reconciled.append(message)
        for message in found.unknown:
            owners[message.reference].outcome.ambiguous.append(message)
        for message in found.not_taken:
            owners[message.reference].pending.append(message)
        not_taken = {message.reference for message in found.not_taken}
        for job in jobs:
            ordinals = job.batch.ordinals() if job.doubtful else {}
            self._ledger.disprove(ordinals[m.reference] for m in job.doubtful if m.reference in not_taken)
            job.doubtful = []

    async def _work(self, queue: asyncio.Queue[_Job | None]) -> None:
        while (job := await queue.get()) is not None:
            if job.pending and not self._stopping.is_set():
                await self._settle(job)
            try:
                self._finish(job)
            except Exception as error:
                self._fail(error)

    async def _settle(self, job: _Job) -> None:
        look_up = self._options.on_ambiguous == "reconcile"
        try:
            await self._within_grace(settle(job.pending, job.outcome, self, look_up=look_up))
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

    def _finish(self, job: _Job) -> None:
        """Write the outcome of a batch into files, counts and ledger."""
        if job.batch.number >= self._ledger.recorded.batches:
            return
        outcome, report = job.outcome, self.report
        ambiguous = [*outcome.ambiguous, *outcome.in_flight, *job.doubtful]
        taken = [*outcome.accepted, *outcome.reconciled]
        self._outputs.settle(taken, "accepted")
        self._outputs.settle(ambiguous, "ambiguous")
        self._outputs.settle([message for message, _ in outcome.rejected], "rejected")
        for message, errors in outcome.rejected:
            self._outputs.reject(reject_of(message, errors), job.batch.raw[message.row])
        report.accepted += len(taken)
        report.reconciled += len(outcome.reconciled)
        report.rejected += len(outcome.rejected)
        report.ambiguous += len(ambiguous)
        report.repeated += outcome.repeated
        self.reason = outcome.reason or self.reason
        if outcome.accepted and not self._ledger.witness:
            self._ledger.witness = outcome.accepted[0].reference
        if len(outcome.accepted) == len(job.batch.messages):
            self._ledger.settle(job.batch)
        else:
            ordinals = job.batch.ordinals()
            self._ledger.settle(
                job.batch,
                perhaps=[ordinals[message.reference] for message in ambiguous],
                not_taken=[ordinals[message.reference] for message in job.unsettled()],
            )
        self._check_refusals(outcome)

    def _check_refusals(self, outcome: Outcome) -> None:
        """Give up where the vendor refuses everything: the fault is hardly in a million single messages."""
        if not outcome.wholly_refused:
            return
        self._refused_batches += 1
        if self._refused_batches >= MOST_REFUSED_BATCHES:
            error = outcome.rejected[0][1][0]
            self._fail(
                VendorError(
                    f"{self._refused_batches} batches were refused to the last message ({error.code} {error.message}); "
                    "given up, since the account or the request seems to be at fault, not the rows",
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
        """Count the requests that send and slow down with the vendor; between requests is where a stop takes effect."""
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
        return max(8, 4 * self._options.max_concurrency)

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
