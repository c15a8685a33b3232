"""Listings: from an id on, as many as asked for, and the id to go on with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import SandboxError

PATH = "/dothraki/v1/lists/news/subscribers"


def seed(sandbox: Any, count: int) -> Any:
    return sandbox.seed_listing("subscribers", count, vendor="messangi", list="news")


def pages(messangi: Any, **query: Any) -> Iterator[dict[str, Any]]:
    while True:
        answer = messangi.get(PATH, params=query)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if not answer.json()["pagination"].get("next"):
            return
        query["offset"] = answer.json()["pagination"]["next"]


def numbers(page: dict[str, Any]) -> list[int]:
    return [row["data"]["number"] for row in page["items"]]


def test_page_has_ten_and_says_where_it_is(sandbox: Any, messangi: Any) -> None:
    seed(sandbox, 25)
    found = list(pages(messangi))
    assert [numbers(page) for page in found] == [[*range(10)], [*range(10, 20)], [*range(20, 25)]]
    ids = [row["id"] for page in found for row in page["items"]]
    assert [page["pagination"] for page in found] == [
        {"offset": ids[0], "limit": 10, "page": 1, "pages": 3, "total": 25, "next": ids[10]},
        {"offset": ids[10], "limit": 10, "page": 2, "pages": 3, "total": 25, "next": ids[20]},
        {"offset": ids[20], "limit": 10, "page": 3, "pages": 3, "total": 25, "next": None},
    ]


def test_last_full_page_has_none_behind_it(sandbox: Any, messangi: Any) -> None:
    seed(sandbox, 20)
    assert [len(page["items"]) for page in pages(messangi)] == [10, 10]


def test_empty_listing_has_one_empty_page(messangi: Any) -> None:
    answer = messangi.get("/dothraki/v1/lists").json()
    assert answer["items"] == []
    assert answer["pagination"] == {"offset": None, "limit": 10, "page": 1, "pages": 0, "total": 0, "next": None}


@pytest.mark.parametrize(("form", "expected"), [("null", {"next": None}), ("empty", {"next": ""}), ("missing", {})])
def test_end_is_told_as_set(sandbox: Any, messangi: Any, form: str, expected: dict[str, Any]) -> None:
    seed(sandbox, 11)
    sandbox.settings("messangi", next_at_end=form)
    first, last = pages(messangi)
    assert first["pagination"]["next"] == last["items"][0]["id"]
    assert {name: value for name, value in last["pagination"].items() if name == "next"} == expected


def test_hundred_thousand_are_read_in_pages(sandbox: Any, messangi: Any) -> None:
    seeded = seed(sandbox, 100_000)
    expected = 0
    for page in pages(messangi, limit=1000):
        assert numbers(page) == list(range(expected, expected + 1000))
        expected += 1000
    assert expected == 100_000
    assert page["items"][-1]["id"] == seeded["last"]["id"]
    assert (page["pagination"]["page"], page["pagination"]["pages"]) == (100, 100)


def test_seeded_subscribers_are_as_good_as_others(sandbox: Any, messangi: Any) -> None:
    seeded = seed(sandbox, 3)
    row = messangi.get(f"{PATH}/{seeded['first']['id']}").json()["data"]
    assert row == {
        "id": seeded["first"]["id"],
        "email": "subscriber-0@example.com",
        "phone": "15550000000",
        "data": {"number": 0},
    }
    assert messangi.post(PATH, json={"email": row["email"]}).status_code == 409
    messangi.delete(f"{PATH}/{row['id']}")
    seed(sandbox, 2)
    (page,) = pages(messangi)
    assert numbers(page) == [1, 2, 3, 4]


@pytest.mark.parametrize("order", [{}, {"list": ""}, {"list": "news", "rows": 5}])
def test_wrong_seed_is_refused(sandbox: Any, order: dict[str, Any]) -> None:
    with pytest.raises(SandboxError):
        sandbox.seed_listing("subscribers", 5, vendor="messangi", **order)


def test_removed_resource_is_left_out_and_pages_go_on_from_it(sandbox: Any, messangi: Any) -> None:
    seed(sandbox, 30)
    first, second, _ = pages(messangi)
    for row in (first["items"][3], second["items"][0]):
        assert messangi.delete(f"{PATH}/{row['id']}").status_code == 204
    again = messangi.get(PATH, params={"offset": first["pagination"]["next"]}).json()
    assert numbers(again) == list(range(11, 21))
    assert again["pagination"]["total"] == 28
    assert [number for page in pages(messangi) for number in numbers(page)] == [
        number for number in range(30) if number not in (3, 10)
    ]


def test_replaced_resource_keeps_its_place_and_a_new_one_comes_last(sandbox: Any, messangi: Any) -> None:
    seeded = seed(sandbox, 3)
    messangi.put(f"{PATH}/{seeded['first']['id']}", json={"email": "a@example.com", "data": {"number": 100}})
    messangi.put(f"{PATH}/new", json={"email": "b@example.com", "data": {"number": 200}})
    (page,) = pages(messangi)
    assert numbers(page) == [100, 1, 2, 200]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=",
        "offset=unknown",
        "offset=",
        "page=2",
        "limit=5&limit=6",
    ],
)
def test_wrong_parameter_is_refused(sandbox: Any, messangi: Any, query: str) -> None:
    seed(sandbox, 3)
    answer = messangi.get(f"{PATH}?{query}")
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["errors"]["details"]] == [query.partition("=")[0]]


def test_page_is_followed_by_itself_as_set(sandbox: Any, messangi: Any) -> None:
    seed(sandbox, 30)
    sandbox.settings("messangi", repeat_page=True)
    endless = pages(messangi)
    assert [numbers(next(endless)) for _ in range(3)] == [list(range(10))] * 3


def test_last_page_is_followed_by_the_first_as_set(sandbox: Any, messangi: Any) -> None:
    seed(sandbox, 20)
    sandbox.settings("messangi", repeat_page="first")
    endless = pages(messangi)
    assert [numbers(next(endless))[0] for _ in range(5)] == [0, 10, 0, 10, 0]


@pytest.mark.parametrize(
    ("path", "document"), [("/dothraki/v1/lists", {"name": "x"}), ("/dothraki/v1/owners", {"a": 1})]
)
def test_lists_and_owners_are_paged_alike(messangi: Any, path: str, document: dict[str, Any]) -> None:
    ids = [messangi.post(path, json=document).json()["data"]["id"] for _ in range(12)]
    first = messangi.get(path).json()
    last = messangi.get(path, params={"offset": first["pagination"]["next"]}).json()
    assert [row["id"] for page in (first, last) for row in page["items"]] == ids
    assert last["pagination"]["next"] is None
