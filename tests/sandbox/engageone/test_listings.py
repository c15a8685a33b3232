from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import SandboxError

KINDS = ["campaigns", "communications", "templates", "data"]
OPERATIONS = {
    "campaigns": ("list_campaigns", "get_campaign"),
    "communications": ("list_communications", "get_communication"),
    "templates": ("list_templates", "get_template"),
    "data": ("list_data_sources", "get_data_source"),
}


def names(engageone: Any, kind: str, **query: Any) -> list[str]:
    return [row["name"] for row in engageone.private.get(f"/private/{kind}", params=query).json()]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_listed_and_found_by_id(sandbox: Any, engageone: Any, kind: str) -> None:
    rows = engageone.private.get(f"/private/{kind}").json()
    assert rows
    assert engageone.private.get(f"/private/{kind}/{rows[0]['id']}").json() == rows[0]
    assert engageone.private.get(f"/private/{kind}/nothing").status_code == 404
    operations = [row["operation"] for row in sandbox.requests() if row["operation"] != "token"]
    assert operations == [OPERATIONS[kind][0], OPERATIONS[kind][1], OPERATIONS[kind][1]]


@pytest.mark.parametrize("kind", KINDS)
def test_pages_make_up_the_whole(sandbox: Any, engageone: Any, kind: str) -> None:
    seeded = sandbox.seed_listing(kind, 10_000, vendor="engageone")
    read: list[str] = []
    while page := names(engageone, kind, limit=700, offset=len(read)):
        read += page
    assert len(read) == len(set(read)) >= 10_000
    assert read[-10_000] == seeded["first"]["name"]
    assert read[-1] == seeded["last"]["name"]


def test_page_has_a_hundred_rows_unless_asked_otherwise(sandbox: Any, engageone: Any) -> None:
    sandbox.seed_listing("templates", 2000, vendor="engageone")
    assert [len(names(engageone, "templates", **query)) for query in ({}, {"limit": 3}, {"limit": 5000})] == [
        100,
        3,
        1000,
    ]
    sandbox.settings("engageone", page_limit=50)
    assert len(names(engageone, "templates", limit=100)) == 50, "shorter than asked for, and not the last one"


def test_paging_can_be_ignored(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", paging="ignored")
    assert names(engageone, "campaigns", limit=1, offset=2) == ["newsletter", "welcome", "always-fails"]


def test_listing_can_be_an_object(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", list_form="items")
    document = engageone.private.get("/private/campaigns?limit=1").json()
    assert [row["name"] for row in document.pop("items")] == ["newsletter"]
    assert document == {}


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "offset=x", "limit=1&limit=2", "page=1", "limit=%C2%B2"])
def test_wrong_parameter_is_refused(engageone: Any, query: str) -> None:
    assert engageone.private.get(f"/private/campaigns?{query}").status_code == 400


def test_created_campaign_is_listed_last_and_kept(sandbox: Any, engageone: Any) -> None:
    sandbox.seed_listing("campaigns", 2, vendor="engageone")
    engageone.private.post("/private/campaigns", json={"name": "spring"})
    assert names(engageone, "campaigns")[-1] == "spring"
    kept = sandbox.state("campaigns", vendor="engageone")
    assert [row["name"] for row in kept] == names(engageone, "campaigns")
    assert {row["customer"] for row in kept} == {"eocm-Sandbox-Company"}


def test_generated_name_is_always_a_new_one(sandbox: Any, engageone: Any) -> None:
    engageone.private.post("/private/campaigns", json={"name": "seeded-000005"})
    sandbox.seed_listing("campaigns", 3, vendor="engageone")
    found = names(engageone, "campaigns")
    assert len(found) == len(set(found)) == 7


@pytest.mark.parametrize("order", [{"kind": "bounces", "count": 1}, {"kind": "data", "count": 0}])
def test_wrong_seed_order_is_refused(sandbox: Any, order: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match="seed"):
        sandbox.seed_listing(**order, vendor="engageone")
