"""Listings of campaigns, communications, templates and data sources. How the vendor pages them is not published."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Api, Emit, Flow
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.paging import Page, broken, read_one
from airflow_provider_messaging.vendors.engageone.problems import read_object

MEMBERS = ("items", "value", "data", "results", "content")
"""Where an object may have its items, beside a member that is called like the listing."""


def iter_items(api: Api, endpoint: Endpoint, *, page_size: int | None = None) -> Flow[None]:
    """Emit the items of a listing, each as the vendor's own JSON.

    The answer is an array, or an object that has one under one of the usual names.

    :param page_size: read in pages of that many, by ``limit`` and ``offset``; None reads all of it with one request.
    :raises VendorError: if an answer is something else, or a page comes again.
    """
    read = partial(read_items, endpoint.name.removeprefix("list_"))
    offset = 0
    previous: list[bytes] = []
    while True:
        params = {"limit": page_size, "offset": offset} if page_size else None
        page = yield from read_one(api, endpoint, api.request(endpoint, params=params), read)
        rows = [bytes(row) for row in page.rows]
        if rows and rows == previous:
            what = "the vendor gives the same page again: it seems to ignore limit and offset"
            raise broken(api, endpoint, what, setting="page_size=None")
        for row in page.rows:
            yield Emit(row)
        # More than a page is everything, from a vendor that does not page.
        if page_size is None or len(rows) != page_size:
            return
        offset += len(rows)
        previous = rows


def get_item(api: Api, endpoint: Endpoint, id: str) -> Flow[dict[str, Any]]:
    """Return one item by its id.

    :raises VendorError: with status 404 if there is none, or if the path is wrong.
    """
    response = yield from api.call(endpoint, segments={"id": id})
    return read_object(api, endpoint, response)


def read_items(name: str, response: Response) -> Page:
    """Read an array, or an object with one under `name` or one of `MEMBERS`; an empty body is an empty page.

    :raises ValueError: for anything else; or msgspec's own error.
    """
    body = response.body.strip()
    if not body:
        return Page(rows=[])
    if body[:1] == b"[":
        return Page(rows=msgspec.json.decode(body, type=list[msgspec.Raw]))
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for member in (name, *MEMBERS):
        if member in members and bytes(members[member]).lstrip()[:1] == b"[":
            return Page(rows=msgspec.json.decode(members[member], type=list[msgspec.Raw]))
    raise ValueError(f"it has none of the lists {name}, {', '.join(MEMBERS)}")
