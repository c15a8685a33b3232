"""The vendor's calls that read, as flows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.paging import Page, iter_pages
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold import tracking
from airflow_provider_messaging.vendors.marigold.endpoints import BOUNCE, FEEDBACK, TRACK
from airflow_provider_messaging.vendors.marigold.reading import within


def track(api: Api, reference: str) -> Flow[list[tracking.TrackingEvent] | None]:
    """Return the processing events of a message, None where the vendor answers 404."""
    found = yield from look_up(api, reference)
    return None if found is None else found[1]


def look_up(api: Api, reference: str) -> Flow[tuple[Response, list[tracking.TrackingEvent]] | None]:
    """Like `track`, with the answer that the events come from."""
    response = yield from _get(api, TRACK, reference)
    if response is None:
        return None
    return response, [] if response.status == 204 else tracking.parse_events(_document(api, TRACK, response))


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


def _get(api: Api, endpoint: Endpoint, reference: str) -> Flow[Response | None]:
    return api.call_or_none(endpoint, segments={"message_id": reference})


def _document(api: Api, endpoint: Endpoint, response: Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise api.unreadable(endpoint, response) from None
