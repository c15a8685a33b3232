"""A million feedback rows that nobody stores."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import SandboxError

ROWS = 1_000_000
START, END = "2023-01-01", "2023-12-31"


@pytest.fixture
def seeded(sandbox: Any, marigold: Any) -> Any:
    sandbox.seed("bounces", ROWS, START, END)
    return marigold


def rows(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    value: list[dict[str, str]] = answer.json()["value"]
    return value


def numbers(answer: Any) -> list[int]:
    return [int(row["external_reference"].rpartition("-")[2]) for row in rows(answer)]


def test_first_middle_and_last_page(seeded: Any) -> None:
    assert numbers(seeded.feedback("bounces")) == list(range(100))
    assert numbers(seeded.feedback("bounces", skip=500_000, top=3)) == [500_000, 500_001, 500_002]
    assert numbers(seeded.feedback("bounces", skip=ROWS - 2)) == [ROWS - 2, ROWS - 1]
    assert numbers(seeded.feedback("bounces", skip=ROWS)) == []


def test_timestamps_rise_evenly_from_start_to_end(seeded: Any) -> None:
    first = rows(seeded.feedback("bounces", top=1))[0]["timestamp"]
    middle = rows(seeded.feedback("bounces", top=1, skip=ROWS // 2))[0]["timestamp"]
    last = rows(seeded.feedback("bounces", top=1, skip=ROWS - 1))[0]["timestamp"]
    assert first[:27] == "2023-01-01T00:00:00.0000000"
    assert middle[:10] == "2023-07-02"
    assert last[:27] == "2023-12-31T23:59:59.9999999"
    stamps = [row["timestamp"][:27] for row in rows(seeded.feedback("bounces", top=10_000, skip=400_000))]
    assert all(earlier < later for earlier, later in pairwise(stamps))


def test_day_holds_exactly_its_rows(seeded: Any) -> None:
    day = rows(seeded.feedback("bounces", start="2023-03-07", end="2023-03-07", top=10_000))
    assert {row["timestamp"][:10] for row in day} == {"2023-03-07"}
    assert abs(len(day) - ROWS / 365) < 1
    found = numbers(seeded.feedback("bounces", start="2023-03-07", end="2023-03-07", top=10_000))
    before = rows(seeded.feedback("bounces", skip=found[0] - 1, top=1))[0]["timestamp"]
    after = rows(seeded.feedback("bounces", skip=found[-1] + 1, top=1))[0]["timestamp"]
    assert (before[:10], after[:10]) == ("2023-03-06", "2023-03-08")


def test_days_make_up_the_whole(seeded: Any) -> None:
    days = [f"2023-02-{day:02}" for day in range(1, 29)]
    each = [number for day in days for number in numbers(seeded.feedback("bounces", start=day, end=day, top=10_000))]
    assert each == list(range(each[0], each[-1] + 1))
    assert numbers(seeded.feedback("bounces", start=days[0], top=1)) == each[:1]
    assert numbers(seeded.feedback("bounces", start=days[0], skip=len(each) - 1, top=1)) == each[-1:]


def test_range_outside_the_seed_is_empty(seeded: Any) -> None:
    assert rows(seeded.feedback("bounces", end="2022-12-31")) == []
    assert rows(seeded.feedback("bounces", start="2024-01-01")) == []


def test_type_filter_counts_without_looking(seeded: Any) -> None:
    direct = rows(seeded.feedback("bounces", type="direct", skip=250_000, top=10))
    assert {row["mode"] for row in direct} == {"direct"}
    assert {row["mode"] for row in rows(seeded.feedback("bounces", type="indirect", top=10))} == {"indirect"}
    assert len(rows(seeded.feedback("bounces", type="direct", skip=ROWS // 2 - 1))) == 1
    assert len(rows(seeded.feedback("bounces", type="indirect", skip=ROWS // 2 - 1))) == 1


def test_both_types_of_a_day_make_up_the_day(seeded: Any) -> None:
    day = {"start": "2023-05-05", "end": "2023-05-05", "top": 10_000}
    found = [numbers(seeded.feedback("bounces", **day, type=mode)) for mode in ("direct", "indirect")]
    assert sorted(found[0] + found[1]) == numbers(seeded.feedback("bounces", **day))


def test_rows_are_stable_and_vary(seeded: Any) -> None:
    page = rows(seeded.feedback("bounces", top=1000))
    assert page == rows(seeded.feedback("bounces", top=1000))
    assert {(row["mapping"], row["mode"]) for row in page} == {
        ("hard", "direct"),
        ("soft", "direct"),
        ("hard", "indirect"),
        ("spam", "indirect"),
    }
    assert {row["timestamp"][27:] for row in page} == {"Z", "+00:00", ""}
    assert len({row["domain"] for row in page}) > 2


def test_another_seed_gives_other_rows(sandbox: Any, seeded: Any) -> None:
    one = rows(seeded.feedback("bounces"))
    sandbox.reset()
    seeded.login()
    sandbox.seed("bounces", ROWS, START, END, seed=2)
    two = rows(seeded.feedback("bounces"))
    assert [row["external_reference"] for row in one] != [row["external_reference"] for row in two]
    assert [row["domain"] for row in one] != [row["domain"] for row in two]


def test_shuffled_pages_hold_every_row_once(sandbox: Any, marigold: Any) -> None:
    sandbox.seed("complaints", 5000, START, END)
    sandbox.settings(feedback_order="shuffled")
    found = [n for skip in range(0, 5000, 1000) for n in numbers(marigold.feedback("complaints", skip=skip, top=1000))]
    assert found != list(range(5000))
    assert sorted(found) == list(range(5000))


def test_seeded_bounce_is_found_by_reference(seeded: Any) -> None:
    row = rows(seeded.feedback("bounces", skip=777_777, top=1))[0]
    assert seeded.feedback(f"bounces/{row['external_reference']}").json() == row
    assert seeded.feedback("bounces/seed-bounce-1-001000000").status_code == 404
    assert seeded.feedback("bounces/seed-bounce-1-0000000001").status_code == 404


@pytest.mark.parametrize(
    ("kind", "path"), [("bounces", "bounces"), ("complaints", "complaints"), ("list_unsubscribes", "listunsubscribes")]
)
def test_each_kind_is_seeded_apart(sandbox: Any, marigold: Any, kind: str, path: str) -> None:
    report = sandbox.seed(kind, 3, START, END)
    for other in ("bounces", "complaints", "listunsubscribes"):
        assert len(rows(marigold.feedback(other))) == (3 if other == path else 0)
    page = rows(marigold.feedback(path))
    assert page[0]["external_reference"] == report["first"]["external_reference"]
    assert page[-1]["external_reference"] == report["last"]["external_reference"]
    assert [row["timestamp"][:10] for row in page] == ["2023-01-01", "2023-07-02", "2023-12-31"]


def test_seeds_and_sent_messages_come_together(sandbox: Any, marigold: Any, email: Any) -> None:
    sandbox.seed("bounces", 2, "2023-01-01", "2023-01-02", seed=1)
    sandbox.seed("bounces", 2, "2023-02-01", "2023-02-02", seed=2)
    marigold.send_email(email("live", headers__to__address="hard-bounce@example.com"))
    found = [row["external_reference"] for row in rows(marigold.feedback("bounces", skip=1, top=3))]
    assert found == ["seed-bounce-1-000000001", "seed-bounce-2-000000000", "seed-bounce-2-000000001"]
    assert rows(marigold.feedback("bounces", skip=4))[0]["external_reference"] == "live"


def test_single_row_is_at_the_start(sandbox: Any, marigold: Any) -> None:
    sandbox.seed("bounces", 1, "2023-01-01T12:00:00Z", "2023-01-03")
    assert rows(marigold.feedback("bounces", start="2023-01-01", end="2023-01-01"))[0]["timestamp"][:19] == (
        "2023-01-01T12:00:00"
    )
    assert rows(marigold.feedback("bounces", start="2023-01-02")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "opens"},
        {"rows": 0},
        {"rows": "many"},
        {"start": "yesterday"},
        {"start": "2024-01-02", "end": "2024-01-01"},
        {"color": "red"},
        {"vendor": "nobody"},
    ],
)
def test_wrong_order_is_refused(sandbox: Any, wrong: dict[str, Any]) -> None:
    order = {"kind": "bounces", "rows": 1, "start": START, "end": END, **wrong}
    with pytest.raises(SandboxError, match="POST seed"):
        sandbox.seed(**order)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_million_rows_take_no_memory(sandbox: Any, seeded: Any) -> None:
    before = resident(sandbox.pid)
    for skip in range(0, ROWS, 100_000):
        assert len(rows(seeded.feedback("bounces", skip=skip, top=10_000))) == 10_000
    assert resident(sandbox.pid) - before < 30_000_000


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
