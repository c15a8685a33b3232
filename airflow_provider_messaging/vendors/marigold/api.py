"""The vendor's calls as flows, and e-mail as a channel of the delivery engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_messaging.core.batching import BatchLimits, join
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import FieldError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow, may_have_been_taken
from airflow_provider_messaging.core.http import Failure, Reply, Response
from airflow_provider_messaging.core.messages import (
    Accepted,
    Ambiguous,
    Message,
    NotTaken,
    Reject,
    RequestRejected,
    RowsRejected,
    Sighting,
    Verdict,
)
from airflow_provider_messaging.core.paging import Page, iter_pages
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold import email, push, tracking
from airflow_provider_messaging.vendors.marigold.endpoints import BOUNCE, FEEDBACK, SEND_EMAIL, SEND_PUSH, TRACK
from airflow_provider_messaging.vendors.marigold.problems import unreadable
from airflow_provider_messaging.vendors.marigold.times import parse_timestamp

if TYPE_CHECKING:
    from airflow_provider_messaging.vendors.marigold.compose import Composer

_BODY_REJECTED = frozenset({400, 413, 422})

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
        raise unreadable(api, BOUNCE, response)
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


class _Stamp(msgspec.Struct):
    timestamp: object = None


_STAMP = msgspec.json.Decoder(_Stamp)


def rows_within(page: Page, window: Window) -> Iterator[msgspec.Raw]:
    """Yield the rows of a page whose timestamp lies in the window, and those whose timestamp can't be read.

    One odd row must neither stop a reader for good nor be lost.
    """
    for row in page.rows:
        moment = _moment(row)
        if moment is None or moment in window:
            yield row


def _moment(row: msgspec.Raw) -> datetime | None:
    try:
        stamp = _STAMP.decode(row).timestamp
        return parse_timestamp(stamp) if isinstance(stamp, str) else None
    except (ValueError, msgspec.DecodeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendChannel:
    """One of the vendor's two bulk sends, as the delivery engine sees it."""

    api: Api
    endpoint: Endpoint
    limits: BatchLimits
    prepare_rows: Prepare
    composer: Composer | None = None
    tracking_verified: bool = False
    """Somebody has seen that the look-up's path is right: a 404 then means an unknown reference."""

    @property
    def operation(self) -> str:
        return self.endpoint.operation

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        judge = partial(self.prepare_rows, reference_of=reference_of, now=now, limits=self.limits)
        return judge(rows) if self.composer is None else self.composer.prepare(rows, judge, reference_of=reference_of)

    def send(self, messages: Sequence[Message]) -> Flow[Verdict]:
        request = self.api.request(self.endpoint, body=join(messages))
        reply = yield from self.api.exchange(self.endpoint, request)
        return self.judge(reply, len(messages))

    def send_or_raise(self, messages: Sequence[Message]) -> Flow[Response]:
        """Send one request of messages.

        :raises AmbiguousDeliveryError: if it may have been taken.
        :raises MessagingError: if it was not.
        """
        return self.api.call(self.endpoint, body=join(messages))

    def judge(self, reply: Reply, count: int) -> Verdict:
        """Read a reply. Any 2xx is acceptance, with or without a body; a 4xx means that nothing was taken."""
        if reply.status is not None and 200 <= reply.status < 300:
            return Accepted()
        if may_have_been_taken(reply, self.endpoint.safety):
            return Ambiguous(str(reply) if isinstance(reply, Failure) else f"HTTP {reply.status}")
        if reply.status not in _BODY_REJECTED:
            return NotTaken(self.api.error(self.endpoint, reply))
        if isinstance(reply, Failure):
            return RequestRejected(FieldError(field="", code="VENDOR_REJECTED", message=str(reply)))
        return self._read_rejection(reply, count)

    def _read_rejection(self, response: Response, count: int) -> Verdict:
        problem = self.api.read_problem(response)
        by_index: dict[int, tuple[FieldError, ...]] = {}
        for index, error in problem.errors:
            if index is not None and 0 <= index < count:
                by_index[index] = (*by_index.get(index, ()), error)
        if by_index:
            return RowsRejected(by_index)
        first = problem.errors[0][1] if problem.errors else None
        return RequestRejected(
            first
            or FieldError(
                field="",
                code="VENDOR_REJECTED",
                message=self.api.redact(problem.message) or f"HTTP {response.status}",
            )
        )

    def look_up(self, reference: str, *, since: datetime, reused: bool) -> Flow[Sighting]:
        """Tell whether tracking shows that the vendor accepted `reference` at or after `since`."""
        response = yield from _get(self.api, TRACK, reference)
        if response is None:
            return Sighting.NOT_SEEN if self.tracking_verified else Sighting.NOT_FOUND
        events = _events(self.api, response)
        vendors_since = since + response.clock_offset(datetime.now(UTC))
        seen = tracking.accepted_since(events, reference, vendors_since, reused=reused)
        return Sighting.SEEN if seen else Sighting.NOT_SEEN


def email_channel(api: Api, *, tracking_verified: bool = False, composer: Composer | None = None) -> SendChannel:
    """Return the bulk send of e-mails.

    :param composer: completes rows before they are judged.
    """
    return SendChannel(
        api=api,
        endpoint=SEND_EMAIL,
        limits=email.EMAIL_LIMITS,
        prepare_rows=email.prepare,
        composer=composer,
        tracking_verified=tracking_verified,
    )


def push_channel(api: Api, *, tracking_verified: bool = False) -> SendChannel:
    """Return the bulk send of mobile push messages."""
    return SendChannel(
        api=api,
        endpoint=SEND_PUSH,
        limits=push.PUSH_LIMITS,
        prepare_rows=push.prepare,
        tracking_verified=tracking_verified,
    )


def _get(api: Api, endpoint: Endpoint, reference: str) -> Flow[Response | None]:
    try:
        return (yield from api.call(endpoint, segments={"message_id": reference}))
    except VendorError as error:
        # The token's endpoint may be what is not there: that says nothing about the message.
        if error.status == 404 and error.operation == endpoint.name:
            return None
        raise


def _events(api: Api, response: Response) -> list[tracking.TrackingEvent]:
    return [] if response.status == 204 else tracking.parse_events(_document(api, TRACK, response))


def _document(api: Api, endpoint: Endpoint, response: Response) -> Any:
    try:
        return response.json()
    except (ValueError, msgspec.DecodeError):
        raise unreadable(api, endpoint, response) from None
