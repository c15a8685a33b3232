"""The vendor's calls as flows, and e-mail as a channel of the delivery engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.messages import Doubt, Message, Reject, Sighting
from airflow_provider_messaging.core.paging import Page, iter_pages
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold import email, push, tracking
from airflow_provider_messaging.vendors.marigold.endpoints import BOUNCE, FEEDBACK, SEND_EMAIL, SEND_PUSH, TRACK
from airflow_provider_messaging.vendors.marigold.reading import within

if TYPE_CHECKING:
    from airflow_provider_messaging.vendors.marigold.compose import Composer

Prepare = Callable[..., list[Message | Reject]]


def track(api: Api, reference: str) -> Flow[list[tracking.TrackingEvent] | None]:
    """Return the processing events of a message, None where the vendor answers 404."""
    response = yield from _get(api, TRACK, reference)
    return None if response is None else _events(api, response)


def get_bounce(api: Api, reference: str) -> Flow[dict[str, Any] | None]:
    """Return the bounce of a message, None where there is none."""
    response = yield from _get(api, BOUNCE, reference)
    if response is None or not response.body:
        return None
    document = _document(api, BOUNCE, response)
    if not isinstance(document, dict):
        raise api.unreadable(BOUNCE, response)
    return document


def iter_feedback(
    api: Api,
    kind: str,
    window: Window,
    *,
    page_size: int = 100,
    mode: str | None = None,
    account_id: str | None = None,
) -> Flow[None]:
    """Emit the pages of one kind of feedback for the days that the window touches.

    The vendor filters by whole days: rows outside the window are among them.
    """
    start, end = window.day_range()
    params = {"start": start, "end": end, "type": mode, "accountId": account_id}
    return iter_pages(api, FEEDBACK[kind], params=params, page_size=page_size)


def rows_within(page: Page, window: Window) -> Iterator[msgspec.Raw]:
    """Yield the rows of a page whose timestamp lies in the window, and those whose timestamp can't be read."""
    yield from within(page.rows, window)


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
        response = yield from _get(self.api, TRACK, reference)
        if response is None:
            return Sighting.NOT_SEEN if self.tracking_verified else Sighting.NOT_FOUND
        events = _events(self.api, response)
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


def _get(api: Api, endpoint: Endpoint, reference: str) -> Flow[Response | None]:
    return api.call_or_none(endpoint, segments={"message_id": reference})


def _events(api: Api, response: Response) -> list[tracking.TrackingEvent]:
    return [] if response.status == 204 else tracking.parse_events(_document(api, TRACK, response))


def _document(api: Api, endpoint: Endpoint, response: Response) -> Any:
    try:
        return response.json()
    except (ValueError, msgspec.DecodeError):
        raise api.unreadable(endpoint, response) from None
