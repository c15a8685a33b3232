"""Reading a listing page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Api, Emit, Flow
from airflow_provider_messaging.core.http import Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The rows of one page, each as the vendor's own JSON bytes, and where the next page is, if the vendor says."""

    rows: list[msgspec.Raw]
    next_link: str | None = None
    count: int | None = None


class _Envelope(msgspec.Struct):
    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@next_link", default=None)
    count: int | None = msgspec.field(name="@count", default=None)


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def read_page(response: Response) -> Page:
    """Read ``{"value": [...]}`` with its optional links, or a bare array; an empty body is an empty page.

    :raises ValueError: for anything else.
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
) -> Flow[None]:
    """Emit one `Page` after the other, by ``$top`` and ``$skip``, or by the vendor's links where it gives them.

    The listing ends with a page that is not full and has no link.

    :raises VendorError: if a page can't be read after a repeat, or a link leads to another origin or to itself.
    """
    skip = 0
    seen: set[str] = set()
    previous: list[bytes] = []
    request = api.request(endpoint, segments=segments, params={**params, "$top": page_size, "$skip": 0})
    while True:
        page = yield from _read(api, endpoint, request, read)
        rows = [bytes(row) for row in page.rows]
        if len(rows) > 1 and rows == previous:
            raise _broken(api, endpoint, "the vendor gives the same page again and again")
        previous = rows
        yield Emit(page)
        if page.next_link:
            url = same_origin(api, endpoint, request.url, page.next_link)
            if url in seen:
                raise _broken(api, endpoint, "the vendor's next link repeats a page that was read already")
            seen.add(url)
            request = Request(method="GET", url=url, operation=request.operation, headers=request.headers)
        elif len(page.rows) >= page_size and not seen:
            skip += len(page.rows)
            request = api.request(endpoint, segments=segments, params={**params, "$top": page_size, "$skip": skip})
        else:
            return


def same_origin(api: Api, endpoint: Endpoint, base: str, link: str) -> str:
    """Return `link`, made absolute, if it stays on the origin of `base`.

    :raises VendorError: if it does not; nothing is followed then.
    """
    url = urljoin(base, link)
    ours, theirs = urlsplit(base), urlsplit(url)
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise _broken(api, endpoint, "a link of the answer leads to another host; it was not followed")
    return url


def _read(api: Api, endpoint: Endpoint, request: Request, read: Callable[[Response], Page]) -> Flow[Page]:
    for last in (False, True):
        response = yield from api.perform(endpoint, request)
        try:
            return read(response)
        except (ValueError, msgspec.DecodeError) as error:
            if last:
                raise _broken(api, endpoint, f"the answer is not the documented JSON ({error})") from None
    raise AssertionError


def _broken(api: Api, endpoint: Endpoint, message: str, **more: Any) -> VendorError:
    return VendorError(
        message, vendor=api.vendor, operation=endpoint.name, connection=api.connection, status=200, **more
    )
