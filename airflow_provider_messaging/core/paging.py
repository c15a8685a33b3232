"""Reading a listing page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Api, Emit, Flow
from airflow_provider_messaging.core.http import Request, Response

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The rows of one page, each as the vendor's own JSON bytes, and where the next page is, if the vendor says."""

    rows: list[msgspec.Raw]
    next_link: str | None = None
    next_cursor: str = ""
    """What the vendor calls the place where the next page begins; empty behind the last."""
    count: int | None = None


class _Envelope(msgspec.Struct):
    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@next_link", default=None)
    count: int | None = msgspec.field(name="@count", default=None)


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def read_page(response: Response) -> Page:
    """Read ``{"value": [...]}`` with its optional links, or a bare array; an empty body is an empty page.

    :raises msgspec.DecodeError: for anything else.
    """
    if not response.body:
        return Page(rows=[])
    if response.body.lstrip()[:1] == b"[":
        return Page(rows=_LIST.decode(response.body))
    envelope = _ENVELOPE.decode(response.body)
    return Page(rows=envelope.value, next_link=envelope.next_link, count=envelope.count)


def iter_pages(
    api: Api,
    endpoint: Endpoint,
    *,
    params: Mapping[str, object],
    page_size: int,
    segments: Mapping[str, str] | None = None,
    read: Callable[[Response], Page] = read_page,
    first: Page | None = None,
) -> Flow[None]:
    """Emit one `Page` after the other, by ``$top`` and ``$skip``, or by the vendor's links where it gives them.

    The listing ends with a page that is not full and has no link.

    :param first: the first page, where it was read already.
    :raises VendorError: if a page can't be read after a repeat, or a link leads to another origin or to itself.
    """
    skip = 0
    seen: set[str] = set()
    previous: list[bytes] = []
    request = api.request(endpoint, segments=segments, params={**params, "$top": page_size, "$skip": 0})
    while True:
        page = first or (yield from read_one(api, endpoint, request, read))
        first = None
        rows = [bytes(row) for row in page.rows]
        if len(rows) > 1 and rows == previous:
            raise broken(api, endpoint, "the vendor gives the same page again and again")
        previous = rows
        yield Emit(page)
        if page.next_link:
            url = same_origin(api, endpoint, request.url, page.next_link)
            if url in seen:
                raise broken(api, endpoint, "the vendor's next link repeats a page that was read already")
            seen.add(url)
            request = Request(method="GET", url=url, operation=request.operation, headers=request.headers)
        elif len(page.rows) >= page_size and not seen:
            skip += len(page.rows)
            request = api.request(endpoint, segments=segments, params={**params, "$top": page_size, "$skip": skip})
        else:
            return


def iter_cursor_pages(
    api: Api,
    endpoint: Endpoint,
    *,
    params: Mapping[str, object],
    cursor: str,
    read: Callable[[Response], Page],
    segments: Mapping[str, str] | None = None,
) -> Flow[None]:
    """Emit one `Page` after the other, each beginning where the one before says that the next one does.

    The listing ends with a page that names no next one.

    :param cursor: the parameter that takes a page's `Page.next_cursor`.
    :raises VendorError: if a page can't be read after a repeat, or a page or its successor's name comes again.
    """
    cursors: set[str] = set()
    pages: set[bytes] = set()
    given = dict(params)
    while True:
        page = yield from read_one(api, endpoint, api.request(endpoint, segments=segments, params=given), read)
        if page.rows and not _is_new(_digest(page), pages):
            raise broken(api, endpoint, "the vendor gives the same page again")
        yield Emit(page)
        if not page.next_cursor:
            return
        if not _is_new(page.next_cursor, cursors):
            raise broken(api, endpoint, "the vendor names a page as the next one that was named before")
        given[cursor] = page.next_cursor


def same_origin(api: Api, endpoint: Endpoint, base: str, link: str) -> str:
    """Return `link`, made absolute, if it stays on the origin of `base`.

    :raises VendorError: if it does not; nothing is followed then.
    """
    url = urljoin(base, link)
    ours, theirs = urlsplit(base), urlsplit(url)
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise broken(api, endpoint, "a link of the answer leads to another host; it was not followed")
    return url


def read_one(
    api: Api, endpoint: Endpoint, request: Request, read: Callable[[Response], Page] = read_page
) -> Flow[Page]:
    """Return the page that a request asks for.

    :raises VendorError: if it can't be read after a repeat.
    """
    for last in (False, True):
        response = yield from api.perform(endpoint, request)
        try:
            return read(response)
        except (ValueError, msgspec.DecodeError) as error:
            if last:
                raise broken(api, endpoint, f"the answer is not the documented JSON ({error})") from None
    raise AssertionError


def _digest(page: Page) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for row in page.rows:
        digest.update(row)
    return digest.digest()


def _is_new(value: T, seen: set[T]) -> bool:
    if value in seen:
        return False
    seen.add(value)
    return True


def broken(api: Api, endpoint: Endpoint, message: str, **more: Any) -> VendorError:
    """Return the error of a listing that makes no sense."""
    return VendorError(
        message, vendor=api.vendor, operation=endpoint.name, connection=api.connection, status=200, **more
    )
