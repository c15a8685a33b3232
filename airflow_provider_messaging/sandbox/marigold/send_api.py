"""Accepting messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer
from airflow_provider_messaging.sandbox.marigold.batch import check_reference, read_batch
from airflow_provider_messaging.sandbox.marigold.checks import utc
from airflow_provider_messaging.sandbox.marigold.email import check_message
from airflow_provider_messaging.sandbox.marigold.outcomes import DELIVERED, UNSUBSCRIBE, Outcome, outcome_of
from airflow_provider_messaging.sandbox.marigold.problems import Report
from airflow_provider_messaging.sandbox.marigold.push import check_push
from airflow_provider_messaging.sandbox.marigold.state import State

Message = dict[str, Any]
_NO_CONTEXT: Message = {}


def send_email(state: State, account: str, request: Request) -> Answer:
    vendor_now = ticks.now() + state.skew

    def check(report: Report, index: int, message: Message) -> None:
        check_message(report, index, message, vendor_now)

    batch = read_batch(request, check if state.settings.check_rules else check_reference)
    acceptance = Acceptance(state, account, request.number, "email", ticks.now())
    for message, raw in batch:
        recipient = message["headers"]["to"]["address"]
        acceptance.add(message, raw, recipient, outcome_of(recipient))
    return _accepted(state, len(batch))


def send_push(state: State, account: str, request: Request) -> Answer:
    def check(report: Report, index: int, message: Message) -> None:
        check_push(report, index, message, state.settings)

    batch = read_batch(request, check if state.settings.check_rules else check_reference)
    acceptance = Acceptance(state, account, request.number, "mobile", ticks.now())
    for message, raw in batch:
        acceptance.add(message, raw, message["token"], DELIVERED)
    return _accepted(state, len(batch))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The acceptance of one request's messages."""

    state: State
    account: str
    request: int
    channel: str
    at: int

    def add(self, message: Message, raw: msgspec.Raw, recipient: str, outcome: Outcome) -> None:
        state = self.state
        context = message.get("context", _NO_CONTEXT)
        archived = message.get("archive_enabled")
        delivery = Delivery(
            reference=message["reference"],
            recipient=recipient,
            account=self.account,
            accepted_at=self.at,
            request=self.request,
            channel=self.channel,
            size=memoryview(raw).nbytes,
            tags=context.get("tags"),
            metadata=context.get("metadata"),
            profile=context.get("profile"),
            ttl=message.get("time_to_live"),
            archived=state.settings.archive_default if archived is None else archived,
            extra=_extra(message, outcome),
        )
        position = state.deliveries.add(delivery)
        state.latest.append(bytes(raw))
        state.statistics.add(delivery, outcome)
        state.live.add(position, delivery, outcome)
        state.webhooks.announce(position, delivery, outcome)
        if delivery.archived:
            state.archive.add(position, delivery, bytes(raw), message.get("archive_duration"))


def _extra(message: Message, outcome: Outcome) -> dict[str, Any] | None:
    extra: dict[str, Any] = {}
    send_at = message.get("custom_send_time")
    if send_at is not None:
        extra["send_at"] = utc(send_at)
    if outcome.event is not None:
        extra["subject"] = message["headers"]["subject"]
    if outcome is UNSUBSCRIBE:
        extra["list_unsubscribe"] = message["headers"].get("list_unsubscribe")
    return extra or None


def _accepted(state: State, count: int) -> Answer:
    if state.settings.send_answer == "json":
        return json_answer({"status": "accepted", "count": count})
    return Answer(202)
