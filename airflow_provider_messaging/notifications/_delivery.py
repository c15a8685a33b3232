"""Sending a few mails now: none twice where the vendor can tell, and each with its outcome."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_provider_messaging.core.batching import pack
from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    FieldError,
    MessagingError,
    RowError,
    ValidationError,
)
from airflow_provider_messaging.core.flow import Flow, Sleep
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Message,
    NotTaken,
    RequestRejected,
    RowsRejected,
    Sighting,
)
from airflow_provider_messaging.core.retry import RetryPolicy

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each look-up of a message that may or may not have been taken."""


@dataclass(slots=True)
class Outcome:
    """How many mails the vendor has, how many of them it had before, and what went wrong with the others."""

    accepted: int = 0
    known: int = 0
    failed: list[MessagingError] = field(default_factory=list)


def deliver(
    channel: SendChannel, messages: Sequence[Message], *, since: datetime, ask_first: bool = False
) -> Flow[Outcome]:
    """Send messages and return what became of them. Whatever goes wrong is in the result.

    A message that may or may not have been taken is looked up for a few seconds, and not sent again.

    :param since: older tracking events prove nothing.
    :param ask_first: do not send what the vendor's tracking knows already: the event may have been told before.
    """
    outcome = Outcome()
    waiting = list(messages)
    if ask_first:
        waiting = yield from _not_seen(channel, waiting, since)
        outcome.known = outcome.accepted = len(messages) - len(waiting)
    parts = list(pack(waiting, channel.limits))[::-1]
    while parts:
        part = parts.pop()
        try:
            verdict = yield from channel.send(part)
        except MessagingError as error:
            # Before anything was sent: there is no token, for instance.
            outcome.failed += [error] * len(part)
            continue
        if isinstance(verdict, Accepted):
            outcome.accepted += len(part)
        elif isinstance(verdict, RowsRejected):
            outcome.failed += [_refused(channel, part[at], errors) for at, errors in sorted(verdict.errors.items())]
            rest = [message for at, message in enumerate(part) if at not in verdict.errors]
            parts += [rest] if rest else []
        elif isinstance(verdict, RequestRejected) and len(part) > 1:
            parts += [[message] for message in reversed(part)]
        elif isinstance(verdict, RequestRejected):
            outcome.failed.append(_refused(channel, part[0], (verdict.error,)))
        elif isinstance(verdict, NotTaken):
            outcome.failed += [verdict.error] * len(part)
        else:
            yield from _clear_up(channel, part, verdict, since, outcome)
    return outcome


def _clear_up(
    channel: SendChannel, messages: Sequence[Message], verdict: Ambiguous, since: datetime, outcome: Outcome
) -> Flow[None]:
    waiting = list(messages)
    for pause in PAUSES:
        yield Sleep(pause, why=f"{channel.operation}: {verdict.reason}; looking whether it was taken")
        waiting = yield from _not_seen(channel, waiting, since)
        if not waiting:
            break
    outcome.accepted += len(messages) - len(waiting)
    outcome.failed += [
        AmbiguousDeliveryError(
            f"{verdict.reason}: the request may have been taken",
            vendor=channel.api.vendor,
            operation=channel.endpoint.name,
            connection=channel.api.connection,
        )
    ] * len(waiting)


def _not_seen(channel: SendChannel, messages: Sequence[Message], since: datetime) -> Flow[list[Message]]:
    """Return the messages of which tracking does not say that the vendor has them. It may know nothing, or be away."""
    once = replace(channel, api=replace(channel.api, retry=RetryPolicy(max_attempts=1)))
    waiting: list[Message] = []
    for position, message in enumerate(messages):
        try:
            sighting = yield from once.look_up(message.reference, since=since, reused=False)
        except MessagingError as error:
            log.debug("The look-up of an alert failed: %s", error)
            return [*waiting, *messages[position:]]
        if sighting is not Sighting.SEEN:
            waiting.append(message)
    return waiting


def _refused(channel: SendChannel, message: Message, errors: tuple[FieldError, ...]) -> ValidationError:
    refused = RowError(row=message.row, errors=errors)
    return ValidationError(
        f"the vendor refused {refused}",
        rows=[refused],
        vendor=channel.api.vendor,
        operation=channel.endpoint.name,
        connection=channel.api.connection,
    )
