"""The vendor's two bulk sends as channels of the delivery engine. Only who sends imports this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.messages import Doubt, Message, Reject, Sighting
from airflow_provider_messaging.vendors.marigold import email, push, tracking
from airflow_provider_messaging.vendors.marigold.api import look_up
from airflow_provider_messaging.vendors.marigold.endpoints import SEND_EMAIL, SEND_PUSH

if TYPE_CHECKING:
    from airflow_provider_messaging.vendors.marigold.compose import Composer

Prepare = Callable[..., list[Message | Reject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkChannel(SendChannel):
    """One of the vendor's two bulk sends."""

    doubt = Doubt.LOOK_UP
    look_up_doubts = (
        "the path of tracking is wrong for this account (extra 'endpoints' → 'track'; extra 'tracking_verified' says "
        "that it is right)"
    )

    prepare_rows: Prepare
    composer: Composer | None = None
    tracking_verified: bool = False
    """Somebody has seen that the look-up's path is right: a 404 then means an unknown reference."""

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        judge = partial(self.prepare_rows, reference_of=reference_of, now=now, limits=self.limits)
        return judge(rows) if self.composer is None else self.composer.prepare(rows, judge, reference_of=reference_of)

    def look_up(self, reference: str, *, since: datetime, reused: bool) -> Flow[Sighting]:
        """Tell whether tracking shows that the vendor accepted `reference` at or after `since`."""
        found = yield from look_up(self.api, reference)
        if found is None:
            return Sighting.NOT_SEEN if self.tracking_verified else Sighting.NOT_FOUND
        response, events = found
        vendors_since = since + response.clock_offset(datetime.now(UTC))
        seen = tracking.accepted_since(events, reference, vendors_since, reused=reused)
        return Sighting.SEEN if seen else Sighting.NOT_SEEN


def email_channel(api: Api, *, tracking_verified: bool = False, composer: Composer | None = None) -> BulkChannel:
    """Return the bulk send of e-mails.

    :param composer: completes rows before they are judged.
    """
    return BulkChannel(
        api=api,
        endpoint=SEND_EMAIL,
        limits=email.EMAIL_LIMITS,
        prepare_rows=email.prepare,
        composer=composer,
        tracking_verified=tracking_verified,
    )


def push_channel(api: Api, *, tracking_verified: bool = False) -> BulkChannel:
    """Return the bulk send of mobile push messages."""
    return BulkChannel(
        api=api,
        endpoint=SEND_PUSH,
        limits=push.PUSH_LIMITS,
        prepare_rows=push.prepare,
        tracking_verified=tracking_verified,
    )
