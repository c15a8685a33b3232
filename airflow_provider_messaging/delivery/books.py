"""What one try keeps of a send: files, counts and ledger, always in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_messaging.core.messages import Doubt, Message
from airflow_provider_messaging.delivery.channel import Channel
from airflow_provider_messaging.delivery.ledger import Ledger
from airflow_provider_messaging.delivery.outputs import Outputs, reject_of
from airflow_provider_messaging.delivery.plan import Batch, Group
from airflow_provider_messaging.delivery.reconcile import Reconciliation
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.delivery.settle import Outcome


@dataclass(slots=True)
class Job:
    """A batch, and those of its messages that are not known to be accepted.

    :param pending: to be sent.
    :param doubtful: perhaps sent by an earlier try, to be cleared up.
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


class Books:
    """The books of one try.

    :param assume_sent: an earlier try left no ledger: every message is doubtful.
    """

    def __init__(self, *, channel: Channel, outputs: Outputs, now: datetime, assume_sent: bool) -> None:
        self._channel = channel
        self._outputs = outputs
        self._assume_sent = assume_sent
        self._earlier: datetime | None = None
        """The last entry of the earlier try's ledger: when its messages were accepted at the latest."""
        self.ledger = Ledger.new(now)
        self.report = Report()
        self.reason = ""
        """Why messages are ambiguous, where some are."""

    def go_on(self, document: dict[str, Any]) -> None:
        """Go on where the try that left this ledger ended.

        :raises ConfigurationError: if a newer release wrote it.
        """
        self.ledger = Ledger.load(document)
        self._earlier = self.ledger.updated
        self.report.outcomes = self.ledger.outcomes.copy()
        self.report.receipts = [receipt for _, receipt in self.ledger.receipts]

    def count(self, group: Group) -> None:
        """Take a group of the plan into the counts, and write down what it rejects."""
        for rejected in group.rejects:
            self._outputs.reject(rejected.reject, rejected.raw)
        self.report.rejected += len(group.rejects)
        self.report.duplicates += group.duplicates
        self.report.messages += len(group.rejects) + sum(len(batch.messages) for batch in group.batches)

    def job(self, batch: Batch, known: int) -> Job:
        """Tell what is to be done for a batch, and write down what an earlier try did for it.

        :param known: batches that earlier tries recorded.
        """
        if batch.number >= known:
            everything = list(batch.messages)
            return Job(batch, [], everything) if self._assume_sent else Job(batch, everything)
        job = Job(batch, [])
        accepted: list[Message] = []
        for message, ordinal in zip(batch.messages, batch.ordinals().values(), strict=True):
            if ordinal in self.ledger.not_taken:
                job.pending.append(message)
            elif ordinal in self.ledger.perhaps:
                job.doubtful.append(message)
            else:
                accepted.append(message)
        self.report.accepted += len(accepted)
        self.report.resumed += len(accepted)
        self._outputs.settle(accepted, "accepted", self._earlier, self._earlier_details(batch, accepted))
        return job

    def _earlier_details(self, batch: Batch, accepted: Sequence[Message]) -> dict[str, dict[str, str]]:
        """Return the receipt of an earlier try's batch, where it had just one, by the references of its messages."""
        receipts = [receipt for number, receipt in self.ledger.receipts if number == batch.number]
        if len(receipts) != 1:
            return {}
        return {message.reference: {self._channel.receipt_name: receipts[0]} for message in accepted}

    def clear_up(self, jobs: Sequence[Job], found: Reconciliation) -> None:
        """Take over what was found of the doubtful messages of jobs."""
        owners = {message.reference: job for job in jobs for message in job.doubtful}
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
            self.ledger.disprove(ordinals[m.reference] for m in job.doubtful if m.reference in not_taken)
            job.doubtful = []

    def intend(self, jobs: Sequence[Job], known: int) -> None:
        """Note in the ledger that the pending messages are about to be sent."""
        self.ledger.intend([job.batch for job in jobs if job.batch.number >= known])
        self.ledger.intend_again(
            job.batch.ordinals()[message.reference]
            for job in jobs
            if job.batch.number < known
            for message in job.pending
        )

    def finish(self, job: Job) -> None:
        """Write the outcome of a batch into files, counts and ledger."""
        outcome, report, ledger = job.outcome, self.report, self.ledger
        ambiguous = [*outcome.ambiguous, *outcome.in_flight, *job.doubtful]
        taken = [*outcome.accepted, *outcome.reconciled]
        self._outputs.settle(taken, "accepted", details=outcome.details)
        self._outputs.settle(ambiguous, "ambiguous")
        self._outputs.settle([message for message, _ in outcome.rejected], "rejected")
        for message, errors in outcome.rejected:
            self._outputs.reject(reject_of(message, errors), job.batch.raw[message.row])
        report.accepted += len(taken)
        report.reconciled += len(outcome.reconciled)
        report.rejected += len(outcome.rejected)
        report.ambiguous += len(ambiguous)
        report.repeated += outcome.repeated
        report.outcomes += outcome.words
        ledger.outcomes += outcome.words
        if self._channel.receipt_name:
            report.receipts += outcome.receipts
            ledger.receipts += [(job.batch.number, receipt) for receipt in outcome.receipts]
        self.reason = outcome.reason or self.reason
        # Only look-ups ask for one; elsewhere a reference may be an address, which does not belong into a ledger.
        if outcome.accepted and not ledger.witness and self._channel.doubt is Doubt.LOOK_UP:
            ledger.witness = outcome.accepted[0].reference
        if len(outcome.accepted) == len(job.batch.messages):
            ledger.settle(job.batch)
            return
        ordinals = job.batch.ordinals()
        ledger.settle(
            job.batch,
            perhaps=[ordinals[message.reference] for message in ambiguous],
            not_taken=[ordinals[message.reference] for message in job.unsettled()],
        )
