"""Listings whose form and paging nobody has published."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.vendors.engageone.endpoints import LIST_CAMPAIGNS, LIST_DATA_SOURCES
from airflow_provider_messaging.vendors.engageone.listings import iter_items
from tests.vendors.engageone.flows import Driven, answer, drive, services

PRIVATE = services().api("private")


def read(*replies: Any, **options: Any) -> tuple[list[Any], Driven]:
    flow: Flow[None] = iter_items(PRIVATE, LIST_CAMPAIGNS, **options)
    driven = drive(flow, *replies)
    return [msgspec.json.decode(item) for item in driven.emitted], driven


@pytest.mark.parametrize(
    "document",
    [
        [{"id": 1}, {"id": 2}],
        *({name: [{"id": 1}, {"id": 2}], "total": 2} for name in ("items", "value", "data", "results", "content")),
        {"campaigns": [{"id": 1}, {"id": 2}], "data": "no list"},
        {"data": {"not": "a list"}, "items": [{"id": 1}, {"id": 2}]},
    ],
)
def test_the_items_are_found_in_any_usual_form(document: Any) -> None:
    items, driven = read(answer(document))
    assert items == [{"id": 1}, {"id": 2}]
    assert [request.url for request in driven.requests] == ["https://api.us-east-1.communicate.engageone.co/campaigns"]


@pytest.mark.parametrize("document", [[], {"items": []}, b""])
def test_a_listing_may_be_empty(document: Any) -> None:
    assert read(answer(document))[0] == []


@pytest.mark.parametrize("document", [{}, {"items": {}}, "text", 7, None, b"{", b"[1,", {"other": []}])
def test_another_answer_is_an_error_and_not_an_empty_listing(document: Any) -> None:
    with pytest.raises(VendorError, match="not the documented JSON"):
        read(answer(document), answer(document))


def test_an_answer_that_can_not_be_read_is_asked_for_once_more() -> None:
    assert read(answer(b"{"), answer([1]))[0] == [1]


def test_pages_are_read_until_one_is_not_full() -> None:
    items, driven = read(answer([1, 2]), answer([3, 4]), answer([5]), page_size=2)
    assert items == [1, 2, 3, 4, 5]
    assert [request.url.partition("?")[2] for request in driven.requests] == [
        "limit=2&offset=0",
        "limit=2&offset=2",
        "limit=2&offset=4",
    ]


def test_a_full_last_page_is_followed_by_an_empty_one() -> None:
    assert read(answer([1, 2]), answer([]), page_size=2)[0] == [1, 2]


def test_more_than_a_page_is_everything() -> None:
    assert read(answer([1, 2, 3]), page_size=2)[0] == [1, 2, 3]


def test_a_page_that_comes_again_is_an_error_that_names_the_argument() -> None:
    with pytest.raises(VendorError, match="same page again") as caught:
        read(answer([1, 2]), answer([1, 2]), page_size=2)
    assert caught.value.setting == "page_size=None"


def test_data_sources_are_below_data() -> None:
    driven = drive(iter_items(PRIVATE, LIST_DATA_SOURCES), answer({"data_sources": [1]}))
    assert driven.requests[0].url.endswith("/data")
    assert [bytes(item) for item in driven.emitted] == [b"1"]
