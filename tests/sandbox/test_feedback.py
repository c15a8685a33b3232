"""Bounces, complaints and unsubscribes of messages that were sent."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.conftest import day_of

KINDS = ("bounces", "complaints", "listunsubscribes")


def sent(marigold: Any, email: Any, *locals_: str) -> None:
    batch = [
        email(f"r-{number}", headers__to__address=f"{local}@bounce.example.org") for number, local in enumerate(locals_)
    ]
    assert marigold.send_email(*batch).status_code == 202


def references(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["external_reference"] for row in answer.json()["value"]]


DIRECT = {
    "account_id",
    "mapping",
    "mode",
    "external_reference",
    "timestamp",
    "finalize_reason",
    "outcome",
    "outcome_category",
    "domain",
}
INDIRECT = {"account_id", "mapping", "mode", "external_reference", "timestamp", "mailbox", "domain"}


@pytest.mark.parametrize(
    ("local", "kind", "fields", "expected"),
    [
        ("hard-bounce", "bounces", DIRECT, {"mapping": "hard", "mode": "direct", "finalize_reason": "hardBounce"}),
        ("soft-bounce", "bounces", DIRECT, {"mapping": "soft", "mode": "direct", "outcome_category": "mailboxFull"}),
        ("spam-bounce", "bounces", INDIRECT, {"mapping": "spam", "mode": "indirect"}),
        ("indirect-bounce", "bounces", INDIRECT, {"mapping": "hard", "mode": "indirect"}),
        ("complaint", "complaints", INDIRECT - {"mapping", "mode"}, {}),
        (
            "unsubscribe",
            "listunsubscribes",
            INDIRECT - {"mapping", "mode"} | {"list_unsubscribe_header"},
            {"list_unsubscribe_header": "<https://www.example.com/u?id=1>"},
        ),
    ],
)
def test_address_decides_the_row(
    marigold: Any, email: Any, local: str, kind: str, fields: set[str], expected: dict[str, str]
) -> None:
    sent(marigold, email, local, "jane")
    for other in KINDS:
        rows = marigold.feedback(other).json()["value"]
        assert len(rows) == (other == kind)
        for row in rows:
            assert set(row) == fields
            assert row | expected == row
            assert (row["account_id"], row["domain"]) == ("sandbox-account", "bounce.example.org")
            assert row["external_reference"] == "r-0"
            assert local not in row.values()
            assert not any("@bounce.example.org" in value for value in row.values()), "a recipient"


@pytest.mark.parametrize("local", ["jane", "failed", "deferred"])
def test_other_outcomes_have_no_feedback(marigold: Any, email: Any, local: str) -> None:
    sent(marigold, email, local)
    assert [references(marigold.feedback(kind)) for kind in KINDS] == [[], [], []]


def test_type_filters_bounces(marigold: Any, email: Any) -> None:
    sent(marigold, email, "hard-bounce", "spam-bounce", "soft-bounce", "indirect-bounce")
    assert references(marigold.feedback("bounces", type="direct")) == ["r-0", "r-2"]
    assert references(marigold.feedback("bounces", type="indirect")) == ["r-1", "r-3"]
    assert references(marigold.feedback("bounces")) == ["r-0", "r-1", "r-2", "r-3"]


def test_account_filters(marigold: Any, email: Any) -> None:
    sent(marigold, email, "hard-bounce")
    assert references(marigold.feedback("bounces", accountId="sandbox-account")) == ["r-0"]
    assert references(marigold.feedback("bounces", accountId="another")) == []


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("{today}", None, True),
        (None, "{today}", True),
        ("{today}", "{today}", True),
        ("{today}T23:59:59Z", None, True),
        (None, "{today}T00:00:00Z", True),
        ("{today}T23:59:59.9999999+00:00", "{today}T00:00:00", True),
        ("{tomorrow}T01:00:00+02:00", None, True),
        ("{tomorrow}", None, False),
        (None, "{yesterday}", False),
        ("{week_ago}", "{yesterday}", False),
    ],
)
def test_range_is_of_whole_days(marigold: Any, email: Any, start: str | None, end: str | None, found: bool) -> None:
    sent(marigold, email, "hard-bounce", "complaint", "unsubscribe")
    for kind in KINDS:
        (row,) = marigold.feedback(kind).json()["value"]
        offsets = {"week_ago": -7, "yesterday": -1, "today": 0, "tomorrow": 1}
        days = {name: day_of(row, offset) for name, offset in offsets.items()}
        query = {name: text.format(**days) for name, text in (("start", start), ("end", end)) if text is not None}
        assert len(references(marigold.feedback(kind, **query))) == found


@pytest.mark.parametrize(
    ("kind", "query", "field", "code"),
    [
        ("bounces", "start=yesterday", "start", "INVALID_TYPE"),
        ("bounces", "end=2023-02-30", "end", "INVALID_TYPE"),
        ("bounces", "start=20230101", "start", "INVALID_TYPE"),
        ("bounces", "start=2023-01-01T00:00:00+00:00", "start", "INVALID_TYPE"),
        ("bounces", "start=2023-01-02&end=2023-01-01", "end", "INVALID_RANGE"),
        ("bounces", "$top=0", "$top", "INVALID_RANGE"),
        ("bounces", "$top=-1", "$top", "INVALID_RANGE"),
        ("bounces", "$top=10001", "$top", "INVALID_RANGE"),
        ("bounces", "$top=ten", "$top", "INVALID_TYPE"),
        ("bounces", "$top=", "$top", "INVALID_TYPE"),
        ("bounces", "$skip=-1", "$skip", "INVALID_RANGE"),
        ("bounces", "type=Direct", "type", "INVALID_BOUNCE_TYPE"),
        ("bounces", "top=10", "top", "UNKNOWN_PARAMETER"),
        ("bounces", "account_id=x", "account_id", "UNKNOWN_PARAMETER"),
        ("bounces", "$skip=1&$skip=2", "$skip", "DUPLICATE_PARAMETER"),
        ("complaints", "type=direct", "type", "UNKNOWN_PARAMETER"),
        ("listunsubscribes", "type=indirect", "type", "UNKNOWN_PARAMETER"),
    ],
)
def test_wrong_parameter_is_refused(marigold: Any, kind: str, query: str, field: str, code: str) -> None:
    answer = marigold.get(f"/api/bounces/v1/{kind}?{query}")
    assert answer.status_code == 400
    assert [(e["field"], e["error"]) for e in answer.json()["errors"]] == [(field, code)]


def test_page_has_hundred_rows_unless_asked(marigold: Any, email: Any) -> None:
    sent(marigold, email, *(f"hard-bounce-{n}" for n in range(100)))
    marigold.send_email(*(email(f"s-{n}", headers__to__address="hard-bounce@example.com") for n in range(50)))
    everything = references(marigold.feedback("bounces", top=150))
    assert everything == [f"r-{n}" for n in range(100)] + [f"s-{n}" for n in range(50)]
    assert references(marigold.feedback("bounces")) == everything[:100]
    assert references(marigold.feedback("bounces", skip=100)) == everything[100:]
    assert references(marigold.feedback("bounces", top=7, skip=5)) == everything[5:12]
    assert references(marigold.feedback("bounces", skip=150)) == []


@pytest.mark.parametrize("order", ["shuffled", "newest"])
def test_order_is_another_one_and_complete(sandbox: Any, marigold: Any, email: Any, order: str) -> None:
    sent(marigold, email, *(f"hard-bounce-{n}" for n in range(50)))
    arrival = references(marigold.feedback("bounces"))
    sandbox.settings(feedback_order=order)
    pages = [references(marigold.feedback("bounces", top=20, skip=skip)) for skip in (0, 20, 40)]
    rows = [reference for page in pages for reference in page]
    assert sorted(rows) == sorted(arrival)
    assert rows == arrival[::-1] if order == "newest" else rows not in (arrival, arrival[::-1])


def test_feedback_is_delayed_as_set(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.settings(feedback_delay=0.6)
    sent(marigold, email, "hard-bounce")
    assert references(marigold.feedback("bounces")) == []
    assert marigold.feedback("bounces/r-0").status_code == 404
    time.sleep(0.7)
    assert references(marigold.feedback("bounces")) == ["r-0"]
    assert marigold.feedback("bounces/r-0").status_code == 200


def test_skew_moves_rows_to_another_day(sandbox: Any, marigold: Any, email: Any) -> None:
    yesterday = str(datetime.now(UTC).date() - timedelta(1))
    sandbox.settings(clock_skew=-3 * 86_400)
    sent(marigold, email, "hard-bounce")
    assert references(marigold.feedback("bounces", start=yesterday)) == []
    assert references(marigold.feedback("bounces", end=yesterday)) == ["r-0"]


def test_no_link_unless_set(sandbox: Any, marigold: Any, email: Any) -> None:
    sent(marigold, email, "hard-bounce", "hard-bounce", "hard-bounce")
    assert set(marigold.feedback("bounces", top=2).json()) == {"value"}
    sandbox.settings(feedback_links=True)
    today = day_of(marigold.feedback("bounces").json()["value"][0])
    first = marigold.feedback("bounces", top=2, start=today).json()
    second = marigold.get(first["@next_link"]).json()
    assert [row["external_reference"] for row in first["value"] + second["value"]] == ["r-0", "r-1", "r-2"]
    assert "@next_link" not in second


def test_one_bounce_is_found_by_reference(marigold: Any, email: Any) -> None:
    sent(marigold, email, "hard-bounce", "jane")
    answer = marigold.feedback("bounces/r-0")
    assert answer.json() == marigold.feedback("bounces").json()["value"][0]
    assert marigold.feedback("bounces/r-1").status_code == 404
    assert marigold.feedback("bounces/nobody").status_code == 404


def test_content_type_can_be_required_of_reads(sandbox: Any, marigold: Any) -> None:
    sandbox.settings(require_content_type=True)
    assert marigold.feedback("bounces").status_code == 415
    headers = {"Content-Type": "application/json"}
    assert marigold.get("/api/bounces/v1/bounces", headers=headers).status_code == 200
