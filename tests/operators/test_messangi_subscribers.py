"""Subscribers written and removed through the operators, with tries that are killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.operators.messangi import DeleteSubscribersOperator, UpsertSubscribersOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.messangi import LIST, VENDOR, Connect, fault, messangi, no_tokens, requests
from tests.operators.conftest import read_lines, write_lines
from tests.operators.operator_victim import Order, finish, kill_when

__all__ = ["messangi", "no_tokens"]

Run = Callable[..., dict[str, Any]]


def runner(operator: type[UpsertSubscribersOperator] | type[DeleteSubscribersOperator]) -> Run:
    def run(*, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> dict[str, Any]:
        made = operator(task_id="task", **{"list_id": LIST, **arguments})
        return made.execute(task_context(ti, store=store or StateStore(), task=made))

    return run


@pytest.fixture
def upsert(messangi: Connect, sandbox: Sandbox) -> Run:
    messangi().create_list({"name": "another"})
    sandbox.seed_listing("subscribers", 1, vendor=VENDOR, list=LIST)
    return runner(UpsertSubscribersOperator)


@pytest.fixture
def delete(upsert: Run) -> Run:
    return runner(DeleteSubscribersOperator)


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"crm-{row}", "email": f"user{row}@example.com", **more} for row in range(count)]


def kept(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """The list's subscribers by id, but for the one that was there at the start."""
    found = {row["id"]: row for row in sandbox.state("subscribers", vendor=VENDOR) if row.pop("list") == LIST}
    return {key: row for key, row in found.items() if not key.startswith("5eed")}


# Upserts -------------------------------------------------------------------------------------------------------


def test_subscribers_are_created_and_replaced(upsert: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = tmp_path / "m.ndjson"
    upsert(subscribers=rows(3, data={"city": "London"}))
    found = upsert(subscribers=rows(5), manifest_path=str(manifest))
    assert found == {
        "subscribers": 5,
        "accepted": 5,
        "rejected": 0,
        "ambiguous": 0,
        "reconciled": 0,
        "resumed": 0,
        "requests": 5,
        "outcomes": {"created": 2, "updated": 3},
        "manifest_path": str(manifest),
        "rejects_path": None,
    }
    assert kept(sandbox) == {row["id"]: row for row in rows(5)}
    assert sorted(line["recipient"] for line in read_lines(manifest)) == [row["email"] for row in rows(5)]


def test_the_id_may_be_in_another_column_and_a_number(upsert: Run, sandbox: Sandbox) -> None:
    # The sandbox takes no columns that its pages do not name, so the id is all that can be elsewhere.
    upsert(subscribers=[{"email": "4711@example.com"}], id_field="email")
    assert list(kept(sandbox)) == ["4711@example.com"]
    with pytest.raises(AirflowFailException, match="is another one than the path's"):
        upsert(subscribers=[{"id": 4712, "email": "a@example.com"}])
    assert requests(sandbox, "upsert_subscriber")[-1]["path"].endswith("/4712")


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({"email": "a@example.com"}, "id", "REQUIRED_PROPERTY"),
        ({"id": None, "email": "a@example.com"}, "id", "REQUIRED_PROPERTY"),
        ({"id": ""}, "id", "REQUIRED_PROPERTY"),
        ({"id": "."}, "id", "INVALID_ID"),
        ({"id": ".."}, "id", "INVALID_ID"),
        ({"id": "a\nb"}, "id", "INVALID_ID"),
        ({"id": "\ud800"}, "id", "INVALID_ID"),
        ({"id": "x" * 257}, "id", "INVALID_ID"),
        ({"id": True}, "id", "INVALID_ID"),
        ({"id": 1.5}, "id", "INVALID_ID"),
        ("crm-1", "", "INVALID_TYPE"),
        ({"id": "a", "data": "x" * 1_000_000}, "", "MESSAGE_TOO_LARGE"),
        ({"id": "a", "data": 1j}, "", "INVALID_TYPE"),
    ],
)
def test_a_row_that_names_no_id_is_a_reject(
    upsert: Run, sandbox: Sandbox, row: Any, field: str, code: str, tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException, match=f"{field} {code}"):
        upsert(subscribers=[*rows(1), row])
    assert not kept(sandbox)


def test_two_rows_of_one_id_are_a_reject(upsert: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "r.ndjson"
    given = [*rows(150), {**rows(1)[0], "email": "other@example.com"}]
    found = upsert(subscribers=given, on_rejected="continue", rejects_path=str(rejects))
    assert (found["accepted"], found["rejected"]) == (150, 1)
    [line] = read_lines(rejects)
    assert line["_rejected"]["row"] == 150
    assert kept(sandbox)["crm-0"]["email"] == "user0@example.com"


def test_what_the_vendor_refuses_is_a_reject(upsert: Run, tmp_path: Path) -> None:
    rejects = tmp_path / "r.ndjson"
    given = [*rows(2), {"id": "x", "email": "nobody"}]
    upsert(
        subscribers_path=write_lines(tmp_path / "s.ndjson", given), on_rejected="continue", rejects_path=str(rejects)
    )
    [line] = read_lines(rejects)
    assert line["_rejected"]["errors"][0]["field"] == "email"


def test_a_lost_reply_is_made_up_for_by_a_repeat(upsert: Run, sandbox: Sandbox) -> None:
    sandbox.faults(
        [fault("drop", "upsert_subscriber", when="after", times=2), fault("truncate", "upsert_subscriber", times=1)]
    )
    found = upsert(subscribers=rows(10), max_concurrency=2)
    assert (found["accepted"], found["ambiguous"]) == (10, 0)
    assert len(kept(sandbox)) == 10


@pytest.mark.parametrize(
    ("connection", "arguments"),
    [({}, {"list_id": "nowhere"}), ({"extra": {"subscribers_prefix": "/wrong/v1"}}, {})],
)
def test_a_list_that_is_not_there_ends_the_task_and_names_the_prefix(
    messangi: Connect, upsert: Run, sandbox: Sandbox, connection: Any, arguments: Any
) -> None:
    messangi(**connection)
    with pytest.raises(AirflowFailException, match="subscribers_prefix"):
        upsert(subscribers=rows(100), max_concurrency=1, **arguments)
    assert sum(request["status"] == 404 for request in sandbox.requests(vendor=VENDOR)) <= 1


def test_without_a_prefix_the_task_fails_before_anything_is_sent(
    messangi: Connect, upsert: Run, sandbox: Sandbox
) -> None:
    messangi(extra={"subscribers_prefix": ...})
    before = len(sandbox.requests(vendor=VENDOR))
    with pytest.raises(AirflowFailException, match="extra 'subscribers_prefix'"):
        upsert(subscribers=rows(3))
    assert len(sandbox.requests(vendor=VENDOR)) == before


# Removals ------------------------------------------------------------------------------------------------------


def test_subscribers_are_removed_by_id_or_by_row(upsert: Run, delete: Run, sandbox: Sandbox) -> None:
    upsert(subscribers=rows(4))
    found = delete(subscribers=["crm-0", rows(2)[1], "nobody"])
    assert (found["accepted"], found["outcomes"]) == (3, {"absent": 1, "deleted": 2})
    assert set(kept(sandbox)) == {"crm-2", "crm-3"}


def test_many_that_are_not_there_cost_one_look_at_the_list(delete: Run, sandbox: Sandbox) -> None:
    assert delete(subscribers=[f"nobody-{row}" for row in range(20)], max_concurrency=1)["outcomes"] == {"absent": 20}
    assert len(requests(sandbox, "list_subscribers")) == 1


@pytest.mark.parametrize(
    ("connection", "arguments"),
    [({}, {"list_id": "nowhere"}), ({"extra": {"subscribers_prefix": "/wrong/v1"}}, {})],
)
def test_nobody_is_taken_for_removed_where_the_list_can_not_be_read(
    messangi: Connect, delete: Run, connection: Any, arguments: Any
) -> None:
    messangi(**connection)
    with pytest.raises(AirflowFailException, match="subscribers_prefix"):
        delete(subscribers=["crm-0"], **arguments)


def test_a_lost_reply_to_a_removal_is_a_removal(upsert: Run, delete: Run, sandbox: Sandbox) -> None:
    upsert(subscribers=rows(3))
    sandbox.faults([fault("drop", "delete_subscriber", when="after", times=1)])
    assert delete(subscribers=rows(3))["accepted"] == 3
    assert not kept(sandbox)


# Kills ---------------------------------------------------------------------------------------------------------

MANY = 5_000


@pytest.mark.slow
def test_five_thousand_are_written_through_kills_and_throttling(upsert: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    arguments = {
        "list_id": LIST,
        "subscribers_path": write_lines(tmp_path / "s.ndjson", rows(MANY)),
        "manifest_path": str(tmp_path / "m.ndjson"),
        "max_concurrency": 8,
    }
    name = f"{UpsertSubscribersOperator.__module__}.{UpsertSubscribersOperator.__name__}"
    order = Order(operator=name, arguments=arguments, state=str(tmp_path / "state.json"))
    throttled = fault("status", "upsert_subscriber", status=429, retry_after=1)
    sandbox.faults([{**throttled, "times": 3, "skip": MANY // 4}, {**throttled, "times": 3, "skip": MANY // 2 + 10}])
    for target in (MANY // 3, 2 * MANY // 3):
        kill_when(lambda target=target: written(sandbox) >= target, order, tmp_path)  # type: ignore[misc]
    summary = finish(order, tmp_path)
    assert (summary["subscribers"], summary["accepted"], summary["ambiguous"]) == (MANY, MANY, 0)
    assert summary["resumed"] > MANY // 2
    assert kept(sandbox) == {row["id"]: row for row in rows(MANY)}
    lines = read_lines(tmp_path / "m.ndjson")
    assert {line["outcome"] for line in lines} == {"accepted"}
    assert sorted(line["reference"] for line in lines) == sorted(row["id"] for row in rows(MANY))
    counts = {
        each["status"]: each["count"] for each in sandbox.request_counts() if each["operation"] == "upsert_subscriber"
    }
    assert counts[429] == 6
    # What was in flight or recorded as next when a try was killed is written once more, and nothing else.
    assert MANY <= counts[200] + counts[201] <= MANY + 2 * 17 * 8


def written(sandbox: Sandbox) -> int:
    return sum(each["count"] for each in sandbox.request_counts() if each["operation"] == "upsert_subscriber")
