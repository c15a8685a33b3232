"""The message archive as flows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import ConfigurationError, VendorError
from airflow_provider_messaging.core.flow import Api, Emit, Flow, each
from airflow_provider_messaging.core.http import Failure, FailureKind, Response
from airflow_provider_messaging.core.paging import Page, iter_pages, read_page
from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.vendors.marigold.endpoints import (
    ARCHIVE_ATTACHMENT,
    ARCHIVE_DELETE,
    ARCHIVE_DELETE_PROFILE,
    ARCHIVE_DOWNLOAD,
    ARCHIVE_GET,
    ARCHIVE_LIST,
    ARCHIVE_PREVIEW,
)

LISTED = 100
"""Messages that the vendor lists of a profile, the last ones."""
PREVIEWS: Mapping[str, str] = {"html": "text/html", "pdf": "application/pdf"}

Preview = Literal["html", "pdf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FullWindow:
    """Days of which the vendor may have more than it lists; None is an open end."""

    first: date | None
    last: date | None

    def __str__(self) -> str:
        if self.first == self.last and self.first is not None:
            return self.first.isoformat()
        return f"{self.first or 'the beginning'} to {self.last or 'now'}"


def iter_archive(
    api: Api,
    profile_id: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    page_size: int = LISTED,
) -> Flow[None]:
    """Emit the archived messages of a profile with ``start <= timestamp < end``, each once, in no order.

    Where the vendor lists as many as it lists at most, the days are asked for in parts, down to single days. A part
    that may still lack messages is emitted as a `FullWindow`. A timestamp that can't be read counts as within.
    """
    days: list[tuple[date | None, date | None]] = [_days(start, end)]
    seen: set[tuple[Any, ...]] = set()
    split_from: int | None = None
    while days:
        first, last = days.pop()
        rows: list[dict[str, Any]] = []
        count = yield from _read(api, profile_id, first, last, page_size, rows)
        for row in rows:
            moment = moment_of(row)
            identity = (row.get("message_id"), moment or row.get("timestamp"))
            if identity in seen:
                continue
            seen.add(identity)
            if moment is None or ((start is None or start <= moment) and (end is None or moment < end)):
                yield Emit(row)
        if len(rows) != LISTED and count <= len(rows):
            continue
        parts = list(_parts(first, last, rows))
        if not parts:
            yield Emit(FullWindow(first=first, last=last))
        elif split_from is None:
            split_from = len(seen)
        days.extend(parts)
    if split_from is not None and len(seen) == split_from:
        first, last = _days(start, end)
        yield Emit(FullWindow(first=first, last=last))


def _read(
    api: Api, profile_id: str, first: date | None, last: date | None, page_size: int, rows: list[dict[str, Any]]
) -> Flow[int]:
    """Add the rows of some days and return how many the vendor says there are."""
    counts = [0]

    def take(page: Page) -> None:
        rows.extend(_object(api, row) for row in page.rows)
        counts.append(page.count or 0)

    pages = iter_pages(
        api,
        ARCHIVE_LIST,
        segments={"profile_id": profile_id},
        params={"start": first, "end": last, "$count": True},
        page_size=page_size,
    )
    yield from each(pages, take)
    return max(counts)


def _parts(
    first: date | None, last: date | None, rows: list[dict[str, Any]]
) -> Iterator[tuple[date | None, date | None]]:
    """Cut days, whose ends are included, in the middle of what was listed; nothing for a single day."""
    days = [moment.date() for row in rows if (moment := moment_of(row)) is not None]
    # A vendor that does not filter would otherwise be asked for ever.
    listed = sorted(day for day in days if (first is None or first <= day) and (last is None or day <= last))
    if not listed or first == last is not None:
        return
    one = timedelta(days=1)
    # Every part but a single day lacks some of the rows, so the cutting comes to an end.
    cut = listed[len(listed) // 2]
    if cut == listed[0] != listed[-1]:
        cut += one
    if cut != listed[0]:
        yield (first, cut - one)
        yield (cut, last)
        return
    if first is None or first < cut:
        yield (first, cut - one)
    yield (cut, cut)
    if last is None or cut < last:
        yield (cut + one, last)


def count_archive(api: Api, profile_id: str) -> Flow[int | None]:
    """Return how many messages of a profile are listed, at most what the vendor lists; None where it answers 404."""
    response = yield from api.call_or_none(
        ARCHIVE_LIST, segments={"profile_id": profile_id}, params={"$top": 1, "$skip": 0, "$count": True}
    )
    if response is None:
        return None
    try:
        page = read_page(response)
    except (ValueError, msgspec.DecodeError):
        raise api.unreadable(ARCHIVE_LIST, response) from None
    return max(len(page.rows), page.count or 0)


def get_message(api: Api, profile_id: str, message_id: str, *, tracking: bool = False) -> Flow[dict[str, Any] | None]:
    """Return a message's metadata, with its tracking events if asked for; None where the vendor answers 404."""
    response = yield from api.call_or_none(
        ARCHIVE_GET,
        segments={"profile_id": profile_id, "message_id": message_id},
        params={"$tracking": True if tracking else None},
    )
    if response is None:
        return None
    document = response.json_or_none()
    if not isinstance(document, dict):
        raise api.unreadable(ARCHIVE_GET, response)
    return document


def delete_message(api: Api, profile_id: str, message_id: str) -> Flow[bool]:
    """Delete one message at once; False where the vendor answers 404, as it does to a repeat."""
    segments = {"profile_id": profile_id, "message_id": message_id}
    return (yield from api.call_or_none(ARCHIVE_DELETE, segments=segments)) is not None


def delete_profile(api: Api, profile_id: str) -> Flow[None]:
    """Ask the vendor to delete all messages of a profile; it does so some time later."""
    yield from api.call(ARCHIVE_DELETE_PROFILE, segments={"profile_id": profile_id})


class TooLargeError(VendorError):
    """A file is larger than we are willing to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A downloaded file: its size in bytes, its type as the vendor says, and its bytes unless a file took them."""

    size: int
    media_type: str
    content: bytes = b""


def download_message(api: Api, profile_id: str, message_id: str, **to: Any) -> Flow[Document]:
    """Fetch a message as it was sent; for the options and errors see `_download`."""
    return _download(api, ARCHIVE_DOWNLOAD, {"profile_id": profile_id, "message_id": message_id}, **to)


def download_attachment(api: Api, profile_id: str, message_id: str, file_name: str, **to: Any) -> Flow[Document]:
    """Fetch one attachment; for the options and errors see `_download`."""
    segments = {"profile_id": profile_id, "message_id": message_id, "file_name": file_name}
    return _download(api, ARCHIVE_ATTACHMENT, segments, **to)


def preview_message(api: Api, profile_id: str, message_id: str, as_: str, **to: Any) -> Flow[Document]:
    """Fetch a message's preview, ``html`` or ``pdf``; for the options and errors see `_download`."""
    if as_ not in PREVIEWS:
        raise ConfigurationError(
            f"a preview is one of {', '.join(PREVIEWS)}, not {as_!r}", vendor=api.vendor, setting="as_"
        )
    segments = {"profile_id": profile_id, "message_id": message_id}
    return _download(api, ARCHIVE_PREVIEW, segments, accept=PREVIEWS[as_], **to)


def _download(
    api: Api,
    endpoint: Endpoint,
    segments: Mapping[str, str],
    *,
    path: str | None,
    max_bytes: int,
    accept: str = "*/*",
) -> Flow[Document]:
    """Fetch a file.

    :param path: a local file to write it to, whole or not at all; None keeps it in memory.
    :raises TooLargeError: if it has more than `max_bytes` bytes.
    :raises VendorError: for every other failure.
    """
    request = api.request(
        endpoint, segments=segments, headers={"Accept": accept}, download_to=path, max_response_bytes=max_bytes
    )
    reply = yield from api.exchange(endpoint, request)
    if isinstance(reply, Failure) and reply.kind is FailureKind.TOO_LARGE:
        raise TooLargeError(
            f"the file has more than {max_bytes} bytes",
            vendor=api.vendor,
            operation=endpoint.name,
            connection=api.connection,
            setting="max_bytes",
        )
    if not isinstance(reply, Response) or not reply.ok:
        raise api.error(endpoint, reply)
    return Document(
        size=len(reply.body) if reply.downloaded is None else reply.downloaded,
        media_type=reply.headers.get("content-type", "").partition(";")[0].strip().lower(),
        content=reply.body,
    )


def moment_of(row: Mapping[str, Any]) -> datetime | None:
    """Return when a message was sent; None where that can't be read."""
    value = row.get("timestamp")
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _days(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    """Return the first and the last day that the window touches: the vendor filters by days."""
    first = None if start is None else start.astimezone(UTC).date()
    last = None if end is None else (end.astimezone(UTC) - timedelta(microseconds=1)).date()
    return first, last if first is None or last is None else max(first, last)


def as_moment(day: date) -> datetime:
    """Return the day's beginning in UTC."""
    return datetime.combine(day, time(), UTC)


def _object(api: Api, row: msgspec.Raw) -> dict[str, Any]:
    document = msgspec.json.decode(row)
    if isinstance(document, dict):
        return document
    raise VendorError(
        "the answer's rows are not objects", vendor=api.vendor, operation=ARCHIVE_LIST.name, connection=api.connection
    )
