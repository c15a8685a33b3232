"""Bringing one batch to its outcome: send, split, look up, send again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, FieldError, MessagingError, VendorError
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Message,
    NotTaken,
    RequestRejected,
    RowsRejected,
    Verdict,
)
from airflow_provider_messaging.delivery.options import Stopped
from airflow_provider_messaging.delivery.reconcile import Reconciliation

log = logging.getLogger(__name__)

MOST_REPEATS = 3
"""Times that messages are sent again after look-ups showed that they were not taken."""


class Sender(Protocol):
    """What settling needs of its surroundings."""

    async def send(self, messages: Sequence[Message]) -> Verdict:
        """Send one request.

        :raises Stopped: if none may start any more; nothing was taken then.
        :raises MessagingError: if it can't be sent, for want of a token for instance; nothing was taken then.
        """
        ...

    async def reconcile(self, messages: Sequence[Message]) -> Reconciliation: ...


@dataclass(slots=True)
class Outcome:
    """What became of the messages of one batch. What is in none of the lists is surely not taken."""

    accepted: list[Message] = field(default_factory=list)
    reconciled: list[Message] = field(default_factory=list)
    rejected: list[tuple[Message, tuple[FieldError, ...]]] = field(default_factory=list)
    ambiguous: list[Message] = field(default_factory=list)
    in_flight: Sequence[Message] = ()
    """Sent, and no verdict yet: ambiguous, should it end here."""
    details: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the vendor said of accepted messages, by reference."""
    words: Counter[str] = field(default_factory=Counter)
    """Accepted messages by the vendor's finer word."""
    receipts: list[str] = field(default_factory=list)
    repeated: int = 0
    reason: str = ""
    wholly_refused: bool = False
    """Every single message was refused without the vendor saying which are at fault."""

    def accept(self, part: Sequence[Message], verdict: Accepted) -> None:
        self.accepted += part
        if verdict.details:
            self.details |= dict.fromkeys((message.reference for message in part), verdict.details)
        if verdict.outcome:
            self.words[verdict.outcome] += len(part)
        if verdict.receipt:
            self.receipts.append(verdict.receipt)


async def settle(
    messages: Sequence[Message],
    outcome: Outcome,
    sender: Sender,
    *,
    look_up: bool,
    most_repeats: int = MOST_REPEATS,
) -> None:
    """Send `messages` and write into `outcome` what became of them.

    Requests are bounded: a refusal that names rows removes at least one, one that names none halves the request, and
    a repeat after a look-up happens at most `most_repeats` times.

    :param look_up: `sender` is asked about ambiguous messages; otherwise they stay ambiguous.
    :raises MessagingError: if the vendor takes nothing at all, for a reason that is not the messages'.
    """
    parts: list[Sequence[Message]] = [messages]
    unindexed = 0
    repeats = 0
    while parts:
        part = parts.pop()
        if not part:
            continue
        outcome.in_flight = part
        verdict = await _send(part, outcome, sender)
        if isinstance(verdict, Ambiguous):
            not_taken = await _clear_up(part, verdict, outcome, sender, look_up)
            outcome.in_flight = ()
            if not_taken:
                repeats += 1
                if repeats > most_repeats:
                    raise VendorError(
                        f"{verdict.reason}: sent {repeats} times, and each time look-ups showed that nothing was taken",
                        retryable=True,
                    )
                outcome.repeated += len(not_taken)
                parts.append(not_taken)
            continue
        outcome.in_flight = ()
        if isinstance(verdict, Accepted):
            outcome.accept(part, verdict)
        elif isinstance(verdict, RowsRejected):
            outcome.rejected += [(part[at], errors) for at, errors in sorted(verdict.errors.items())]
            parts.append([message for at, message in enumerate(part) if at not in verdict.errors])
        elif isinstance(verdict, RequestRejected):
            if len(part) == 1:
                outcome.rejected.append((part[0], (verdict.error,)))
                unindexed += 1
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
        else:
            assert isinstance(verdict, NotTaken)
            raise verdict.error
    outcome.wholly_refused = unindexed == len(messages) > 1


async def _send(part: Sequence[Message], outcome: Outcome, sender: Sender) -> Verdict:
    try:
        return await sender.send(part)
    except AmbiguousDeliveryError:
        raise
    except (Stopped, MessagingError):
        outcome.in_flight = ()
        raise


async def _clear_up(
    part: Sequence[Message], verdict: Ambiguous, outcome: Outcome, sender: Sender, look_up: bool
) -> list[Message]:
    if not look_up:
        outcome.ambiguous += part
        outcome.reason = verdict.reason
        return []
    log.warning("%s after sending %d messages; clearing that up before anything is repeated", verdict.reason, len(part))
    try:
        found = await sender.reconcile(part)
    except MessagingError:
        outcome.ambiguous += part
        outcome.in_flight = ()
        raise
    outcome.reconciled += found.accepted
    outcome.ambiguous += found.unknown
    outcome.reason = found.reason or outcome.reason
    return found.not_taken
