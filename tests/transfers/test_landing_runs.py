"""The files of many runs: schedules, accounts, modes, and feedback that comes late or while it is read."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers._landing import FeedbackToObjectStorageOperator
from tests.contexts import DagRun, task_context

START = datetime(2026, 3, 10, 20, tzinfo=UTC)
HOUR, QUARTER, DAY = timedelta(hours=1), timedelta(minutes=15), timedelta(days=1)


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All operators find the sandbox."""


def operator(path: object, **arguments: Any) -> FeedbackToObjectStorageOperator:
    defaults = {"kinds": ["bounces"], "look_back": 2 * HOUR, "page_size": 50}
    return FeedbackToObjectStorageOperator(task_id="land", path=str(path), **{**defaults, **arguments})


def run(path: object, number: int, **arguments: Any) -> dict[str, Any]:
    """Land the feedback of one hour of a schedule."""
    interval = {
        "data_interval_start": START + number * HOUR,
        "data_interval_end": START + (number + 1) * HOUR,
        "dag_run": DagRun(run_type="scheduled"),
    }
    return operator(path, **arguments).execute(task_context(**interval))


def seed(sandbox: Sandbox, rows: int = 721, kind: str = "bounces", **more: Any) -> None:
    """Spread rows over half a day, with midnight in it: 721 are a row a minute."""
    sandbox.seed(kind, rows=rows, start="2026-03-10T16:00:00Z", end="2026-03-11T04:00:00Z", **more)


def references(files: Iterator[Path] | list[Any]) -> list[str]:
    return [json.loads(line)["external_reference"] for file in files for line in gzip.open(file)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_reads_its_data_interval_earlier_by_the_lag_and_begun_earlier_by_the_look_back(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    seed(sandbox)
    result = run(tmp_path, 3, lag=QUARTER, look_back=2 * HOUR)
    assert (result["start"], result["end"]) == ("2026-03-10T20:45:00+00:00", "2026-03-10T23:45:00+00:00")
    assert result["rows"] == {"bounces": 180}
    assert result["files"] == [
        f"{tmp_path}/kind=bounces/date=2026-03-10/bounces-20260310T204500Z-20260310T234500Z.ndjson.gz"
    ]


def test_runs_in_any_order_and_twice_make_the_same_files(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    in_order, shuffled = tmp_path / "a", tmp_path / "b"
    for number in range(6):
        run(in_order, number)
    numbers = [*range(6), 1, 4]
    random.Random(7).shuffle(numbers)
    for number in numbers:
        run(shuffled, number, max_concurrency=2)
    assert contents(in_order) == contents(shuffled)
    # Two of the six windows have a part on either day.
    assert len(contents(in_order)) == 6 + 2


def test_adjoining_runs_leave_no_row_out(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    for number in range(6):
        run(tmp_path, number, look_back=0)
    found = references(list(tmp_path.rglob("*.gz")))
    assert len(found) == len(set(found)) == 6 * 60


def test_no_two_runs_share_a_file_though_they_read_the_same_day(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    files = [name for number in range(4) for name in run(tmp_path, number, look_back=3 * DAY)["files"]]
    assert len(files) == len(set(files)) == 4 * 4


def test_a_plain_schedule_reads_the_look_back_before_each_run(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    moment = {"data_interval_start": START, "data_interval_end": START, "dag_run": DagRun(run_type="scheduled")}
    result = operator(tmp_path, lag=0, look_back=3600).execute(task_context(**moment))
    assert (result["start"], result["end"]) == ("2026-03-10T19:00:00+00:00", "2026-03-10T20:00:00+00:00")
    assert result["rows"] == {"bounces": 60}


def test_a_manual_run_reads_what_happened_up_to_now(sandbox: Sandbox, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    sandbox.seed("bounces", rows=60, start=_text(now - HOUR), end=_text(now + HOUR))
    result = operator(tmp_path, lag=0, look_back=DAY).execute(task_context())
    assert 28 <= result["rows"]["bounces"] <= 32


def test_rows_that_come_late_are_in_the_files_of_later_windows(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    run(tmp_path, 3)
    sandbox.seed("bounces", rows=5, start="2026-03-10T23:30:00Z", end="2026-03-10T23:40:00Z", seed=2)
    later = run(tmp_path, 4, look_back=HOUR)
    late = {name for name in references(later["files"]) if name.startswith("seed-bounce-2-")}
    assert len(late) == 5


@pytest.mark.parametrize("order", ["arrival", "newest", "shuffled"])
def test_every_row_is_landed_once_in_whatever_order_the_vendor_lists_them(
    sandbox: Sandbox, tmp_path: Path, order: str
) -> None:
    sandbox.settings("marigold", feedback_order=order)
    seed(sandbox)
    result = run(tmp_path, 3, max_concurrency=8)
    found = references(result["files"])
    assert len(found) == len(set(found)) == 180


@pytest.mark.parametrize("links", [False, True])
def test_links_make_no_difference_to_the_file(sandbox: Sandbox, tmp_path: Path, links: bool) -> None:
    sandbox.settings("marigold", feedback_links=links)
    seed(sandbox)
    found = references(run(tmp_path, 3)["files"])
    assert len(found) == len(set(found)) == 180
    skips = [request["query"].partition("$skip=")[2] for request in sandbox.requests(operation="bounces")]
    assert len(skips) == len(set(skips))


def test_bounces_of_one_mode_go_to_a_partition_of_their_own(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    results = {mode: run(tmp_path, 3, mode=mode) for mode in ("direct", "indirect", None)}
    assert {mode: result["rows"]["bounces"] for mode, result in results.items()} == {
        "direct": 90,
        "indirect": 90,
        None: 180,
    }
    assert len({name for result in results.values() for name in result["files"]}) == 3
    assert "/kind=bounces/mode=direct/date=2026-03-10/bounces-" in results["direct"]["files"][0]


def test_the_mode_concerns_bounces_only(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    seed(sandbox, kind="complaints")
    result = run(tmp_path, 3, mode="direct", kinds=["bounces", "complaints"])
    assert result["rows"] == {"bounces": 90, "complaints": 180}
    assert "mode=" not in result["files"][1]


def test_several_accounts_go_to_a_partition_each(sandbox: Sandbox, tmp_path: Path) -> None:
    for account, rows in (("first", 721), ("second", 73)):
        seed(sandbox, rows=rows, account=account)
    result = run(tmp_path, 3, account_id=["first", "second", "first"])
    assert result["rows"] == {"bounces": 198}
    assert [Path(name).relative_to(tmp_path).parts[:2] for name in result["files"]] == [
        ("kind=bounces", "account=first"),
        ("kind=bounces", "account=second"),
    ]
    assert [len(references([name])) for name in result["files"]] == [180, 18]


def test_accounts_may_be_a_template_that_makes_a_json_list(sandbox: Sandbox, tmp_path: Path) -> None:
    assert len(run(tmp_path, 3, account_id='["first", "second"]')["files"]) == 2


def test_several_accounts_may_share_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    for account in ("first", "second"):
        seed(sandbox, rows=73, account=account)
    result = run(tmp_path / "all.ndjson.gz", 3, account_id=["first", "second"])
    assert result["rows"] == {"bounces": 36}
    assert len(references(result["files"])) == 36


@pytest.mark.parametrize("account", ["../../etc", "..", "a/b", "a b?c", "ä"])
def test_no_account_leads_out_of_the_folder(sandbox: Sandbox, tmp_path: Path, account: str) -> None:
    (name,) = run(tmp_path / "feedback", 1, account_id=account)["files"]
    assert Path(name).resolve().is_relative_to(tmp_path / "feedback/kind=bounces")
    assert Path(name).relative_to(tmp_path / "feedback").parts[2] == "date=2026-03-10"


def test_a_window_of_days_becomes_a_file_of_their_rows(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    result = operator(tmp_path / "all.ndjson.gz", start="2026-03-10", end="2026-03-12").execute(task_context())
    assert references(result["files"]) == [f"seed-bounce-1-{number:09}" for number in range(721)]


def test_rows_may_have_line_breaks(sandbox: Sandbox, tmp_path: Path) -> None:
    import msgspec

    from airflow_provider_messaging.delivery.outputs import copy_to
    from airflow_provider_messaging.transfers._files import NdjsonFile

    file = NdjsonFile(copy_to(str(tmp_path / "rows.ndjson")), compressed=False)
    file.write("bounces", [msgspec.Raw(b'{"a": 1}'), msgspec.Raw(b'{\n  "b": "x\\ny"\r\n}')])
    file.finish(publish=True)
    assert (tmp_path / "rows.ndjson").read_bytes() == b'{"a":1}\n{"b":"x\\ny"}\n'


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
