"""Reading listings page by page, with both ways of going on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Api, Emit, Flow, NoAuth, Problem
from airflow_provider_messaging.core.http import Request, Response
from airflow_provider_messaging.core.paging import Page, iter_cursor_pages, iter_pages

ENDPOINT = Endpoint(
    vendor="v", name="things", method="GET", path="/things", safety=Safety.SAFE, evidence=Evidence.UNPUBLISHED
)
API = Api(vendor="v", connection="c", base_url="https://example.com", auth=NoAuth(), read_problem=lambda _: Problem())


def read_all(answer: Callable[[Request], Any], page_size: int) -> tuple[list[Any], list[str]]:
    """Play the vendor: return the rows read and the URLs asked for."""
    return drive(iter_pages(API, ENDPOINT, params={"start": "2026-01-01"}, page_size=page_size), answer)


def drive(flow: Flow[None], answer: Callable[[Request], Any]) -> tuple[list[Any], list[str]]:
    rows: list[Any] = []
    urls: list[str] = []
    reply = None
    try:
        while True:
            step = flow.send(reply)
            reply = None
            if isinstance(step, Emit):
                rows += [json.loads(bytes(row)) for row in step.value.rows]
            elif isinstance(step, Request):
                urls.append(step.url)
                assert len(urls) < 500
                body = answer(step)
                reply = Response(status=200, body=body if isinstance(body, bytes) else json.dumps(body).encode())
    except StopIteration:
        return rows, urls


def window(request: Request) -> tuple[int, int]:
    query = parse_qs(urlsplit(request.url).query)
    return int(query["$skip"][0]), int(query["$top"][0])


@given(total=st.integers(0, 60), page_size=st.integers(1, 20))
def test_skipping_reads_every_row_once_and_in_order(total: int, page_size: int) -> None:
    def answer(request: Request) -> Any:
        skip, top = window(request)
        return {"value": list(range(total))[skip : skip + top]}

    rows, urls = read_all(answer, page_size)
    assert rows == list(range(total))
    assert len(urls) == total // page_size + 1


@given(total=st.integers(0, 30), page_size=st.integers(1, 7))
def test_links_are_followed_where_the_vendor_gives_them(total: int, page_size: int) -> None:
    def answer(request: Request) -> Any:
        query = parse_qs(urlsplit(request.url).query)
        at = int((query.get("at") or query["$skip"])[0])
        page = {"value": list(range(total))[at : at + page_size]}
        return page | ({"@next_link": f"/things?at={at + page_size}"} if at + page_size < total else {})

    assert read_all(answer, page_size)[0] == list(range(total))


def test_the_parameters_go_with_every_page() -> None:
    pages = iter([[1, 2], [3]])
    _, urls = read_all(lambda _: {"value": next(pages)}, 2)
    assert [urlsplit(url).query for url in urls] == [
        "start=2026-01-01&$top=2&$skip=0",
        "start=2026-01-01&$top=2&$skip=2",
    ]


@pytest.mark.parametrize("link", ["https://evil.example/things", "http://example.com/things", "//evil.example/x"])
def test_a_link_to_another_origin_is_not_followed(link: str) -> None:
    with pytest.raises(VendorError, match="another host"):
        read_all(lambda _: {"value": [1], "@next_link": link}, 1)


def test_a_link_that_comes_again_ends_in_an_error() -> None:
    with pytest.raises(VendorError, match="repeats"):
        read_all(lambda _: {"value": [1], "@next_link": "/things?at=1"}, 1)


def test_a_vendor_that_ignores_the_skip_ends_in_an_error() -> None:
    with pytest.raises(VendorError, match="again"):
        read_all(lambda _: {"value": [1, 2]}, 2)


@pytest.mark.parametrize("empty", [b"", {"value": []}, []])
def test_an_empty_listing_has_no_rows(empty: Any) -> None:
    rows, urls = read_all(lambda _: empty, 10)
    assert rows == []
    assert len(urls) == 1


def test_a_bare_array_is_a_page() -> None:
    assert read_all(lambda _: [1, 2], 10)[0] == [1, 2]


def test_a_malformed_page_is_read_once_more() -> None:
    answers = iter([b'{"value": [1', b'{"value": [1]}'])
    rows, urls = read_all(lambda _: next(answers), 10)
    assert rows == [1]
    assert len(urls) == 2


@pytest.mark.parametrize("body", [b"<html>", b'{"value": 3}', b"{}", b"[1"])
def test_a_page_that_stays_malformed_is_an_error(body: bytes) -> None:
    with pytest.raises(VendorError, match="documented JSON"):
        read_all(lambda _: body, 10)


def read_by_cursor(answer: Callable[[str | None], tuple[list[Any], str]]) -> tuple[list[Any], list[str]]:
    """Play a vendor that names the next page: `answer` gets the cursor and returns rows and the next one."""

    def read(response: Response) -> Page:
        rows, following = response.json()
        return Page(rows=[msgspec.Raw(msgspec.json.encode(row)) for row in rows], next_cursor=following)

    flow = iter_cursor_pages(API, ENDPOINT, params={"limit": 2}, cursor="offset", read=read)
    return drive(flow, lambda request: answer(parse_qs(urlsplit(request.url).query).get("offset", [None])[0]))


@given(total=st.integers(0, 30), page_size=st.integers(1, 7))
def test_cursors_lead_through_every_row_once_and_in_order(total: int, page_size: int) -> None:
    def answer(cursor: str | None) -> tuple[list[Any], str]:
        at = int(cursor or 0)
        return list(range(total))[at : at + page_size], str(at + page_size) if at + page_size < total else ""

    rows, urls = read_by_cursor(answer)
    assert rows == list(range(total))
    assert len(urls) == max(1, -(-total // page_size))
    assert urls[0] == "https://example.com/things?limit=2"


def test_an_empty_page_in_the_middle_is_no_end() -> None:
    pages = {None: ([1], "a"), "a": ([], "b"), "b": ([], "c"), "c": ([2], "")}
    assert read_by_cursor(lambda cursor: pages[cursor])[0] == [1, 2]


@pytest.mark.parametrize(
    ("pages", "most"),
    [
        ({None: ([1], "a"), "a": ([2], "a")}, 2),
        ({None: ([1], "a"), "a": ([2], "b"), "b": ([3], "a")}, 3),
        ({None: ([1], "a"), "a": ([1], "b")}, 2),
        ({None: ([1], "a"), "a": ([2], "b"), "b": ([1], "c")}, 3),
        ({None: ([], "a"), "a": ([], "a")}, 2),
    ],
)
def test_a_page_or_a_cursor_that_comes_again_is_an_error(pages: dict[str | None, Any], most: int) -> None:
    asked: list[str | None] = []

    def answer(cursor: str | None) -> tuple[list[Any], str]:
        asked.append(cursor)
        found: tuple[list[Any], str] = pages[cursor]
        return found

    with pytest.raises(VendorError, match=r"same page again|named before"):
        read_by_cursor(answer)
    assert len(asked) == most
