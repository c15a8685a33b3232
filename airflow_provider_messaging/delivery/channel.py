"""What the delivery engine needs of a vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from airflow_provider_messaging.core.batching import BatchLimits
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.messages import Doubt, Message, Reject, Sighting, Verdict


class Channel(Protocol):
    """One bulk send of one vendor."""

    @property
    def operation(self) -> str:
        """The operation of the requests that send, as `Request.operation` names it."""
        ...

    @property
    def limits(self) -> BatchLimits:
        """What one request may hold."""
        ...

    @property
    def doubt(self) -> Doubt:
        """What is to be done about messages that may or may not have been taken."""
        ...

    @property
    def look_up_doubts(self) -> str:
        """What a 404 to every look-up may mean beside that nothing arrived, and what to change then."""
        ...

    @property
    def receipt_name(self) -> str:
        """What receipts are called in manifests, if they are kept in the ledger; else empty."""
        ...

    @property
    def common(self) -> bytes:
        """What all requests have in common beside the messages: a retry must not go on with something else."""
        ...

    @property
    def merges_duplicates(self) -> bool:
        """A row with the reference of an earlier one adds nothing, instead of being a reject."""
        ...

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        """Judge and encode rows, in their order. The same rows with the same `now` give the same result.

        What makes large messages makes them while it is iterated over.
        """
        ...

    def send(self, messages: Sequence[Message]) -> Flow[Verdict]:
        """Send one request of messages."""
        ...

    def look_up(self, reference: str, *, since: datetime, reused: bool) -> Flow[Sighting]:
        """Ask whether the vendor accepted `reference` at or after `since`, where `doubt` is ``LOOK_UP``.

        :param reused: an earlier send may have used the reference: late events of that one must not count.
        """
        ...
