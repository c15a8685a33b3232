"""Feedback on its way to object storage."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, HookLineageCollector
from airflow.sdk import DAG, Asset, ObjectStoragePath
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_messaging.core.errors import RateLimitedError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator
from tests.contexts import task_context

KINDS = ("bounces", "complaints", "list_unsubscribes")
NOON, ONE = "2026-03-10T12:00:00Z", "2026-03-10T13:00:00Z"


@pytest.fixture(autouse=True)
def connected(marigold_conn: str) -> None:
    """All operators find the sandbox."""


def operator(path: object, **arguments: Any) -> FeedbackToObjectStorageOperator:
    return FeedbackToObjectStorageOperator(
        task_id="land", path=str(path), **{"start": NOON, "end": ONE, "page_size": 50, **arguments}
    )


def land(path: object, **arguments: Any) -> dict[str, Any]:
    return operator(path, **arguments).execute(task_context())


def seed(sandbox: Sandbox, *kinds: str, rows: int = 120, start: str = NOON, end: str = "2026-03-10T12:59:59Z") -> None:
    for kind in kinds or KINDS:
        sandbox.seed(kind, rows=rows, start=start, end=end)


def lines(path: object) -> list[dict[str, Any]]:
    data = Path(str(path)).read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if str(path).endswith(".gz") else data).splitlines()]


def test_one_kind_goes_to_a_file_of_that_name(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    path = tmp_path / "out" / "bounces.ndjson"
    assert land(path, kinds=["bounces"]) == {
        "files": [str(path)],
        "rows": {"bounces": 120},
        "start": "2026-03-10T12:00:00+00:00",
        "end": "2026-03-10T13:00:00+00:00",
    }
    assert [row["external_reference"] for row in lines(path)] == [f"seed-bounce-1-{n:09}" for n in range(120)]


def test_the_rows_are_the_vendors_own_json(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    land(tmp_path / "bounces.ndjson", kinds=["bounces"])
    with MarigoldHook() as hook:
        window = datetime.fromisoformat(NOON), datetime.fromisoformat(ONE)
        assert lines(tmp_path / "bounces.ndjson") == list(hook.iter_bounces(*window))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_ending_in_gz_is_packed(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    seed(sandbox)
    assert land(tmp_path / "rows.ndjson.gz", kinds=kind)["rows"] == {kind: 120}
    assert len(lines(tmp_path / "rows.ndjson.gz")) == 120


def test_a_folder_is_partitioned_by_kind_and_day(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox, rows=240, start="2026-03-10T22:00:00Z", end="2026-03-11T01:59:00Z")
    result = land(tmp_path / "feedback", start="2026-03-10T23:00:00Z", end="2026-03-11T01:00:00Z")
    assert result["rows"] == dict.fromkeys(KINDS, 120)
    assert result["files"] == [
        f"{tmp_path}/feedback/kind={kind}/{rest.format(kind)}"
        for kind in KINDS
        for rest in (
            "date=2026-03-10/{}-20260310T230000Z-20260311T010000Z.ndjson.gz",
            "date=2026-03-11/{}-20260310T230000Z-20260311T010000Z.ndjson.gz",
        )
    ]
    for name in result["files"]:
        day = name.partition("date=")[2][:10]
        assert {row["timestamp"][:10] for row in lines(name)} == {day}
        assert len(lines(name)) == 60


def test_a_folder_with_one_kind_is_partitioned_as_well(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    (name,) = land(tmp_path / "feedback", kinds=["complaints"])["files"]
    assert name.startswith(f"{tmp_path}/feedback/kind=complaints/date=2026-03-10/complaints-")


def test_several_kinds_make_a_folder_even_of_a_name_with_a_suffix(sandbox: Sandbox, tmp_path: Path) -> None:
    files = land(tmp_path / "all.ndjson", kinds=["bounces", "complaints"])["files"]
    assert [Path(name).relative_to(tmp_path).parts[:2] for name in files] == [
        ("all.ndjson", "kind=bounces"),
        ("all.ndjson", "kind=complaints"),
    ]


@pytest.mark.usefixtures("object_storage")
def test_it_works_on_object_storage(sandbox: Sandbox) -> None:
    seed(sandbox)
    (name,) = land("memory://bucket/feedback", kinds=["bounces"])["files"]
    assert name.startswith("memory://bucket/feedback/kind=bounces/")
    with ObjectStoragePath(name).open("rb") as stream:
        assert len(gzip.decompress(stream.read()).splitlines()) == 120


def test_a_rerun_of_a_window_replaces_its_files_and_adds_none(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    first = land(tmp_path)
    content = {name: Path(name).read_bytes() for name in first["files"]}
    assert land(tmp_path) == first
    assert {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == content
    sandbox.reset()
    land(tmp_path)
    assert {len(lines(path)) for path in tmp_path.rglob("*") if path.is_file()} == {0}


@pytest.mark.parametrize("name", ["bounces.ndjson", "bounces.ndjson.gz"])
def test_a_read_that_fails_in_the_middle_leaves_the_old_file_and_nothing_else(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    target = tmp_path / "out" / name
    target.parent.mkdir()
    target.write_bytes(b"old")
    seed(sandbox)
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 403, "skip": 1}])
    with pytest.raises(AirflowFailException):
        land(target, kinds=["bounces"])
    assert len(sandbox.requests(operation="bounces")) >= 2
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]
    assert list(temporary.iterdir()) == []


def test_a_read_that_fails_the_first_time_leaves_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 403}])
    with pytest.raises(AirflowFailException):
        land(tmp_path / "bounces.ndjson", kinds=["bounces"])
    assert list(tmp_path.iterdir()) == []


def test_files_before_a_failure_are_whole_and_the_rerun_completes_them(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    sandbox.faults([{"operation": "complaints", "fault": "status", "status": 403}])
    with pytest.raises(AirflowFailException):
        land(tmp_path)
    (only,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(lines(only)) == 120
    sandbox.clear_faults()
    assert land(tmp_path)["rows"] == dict.fromkeys(KINDS, 120)


def test_failures_that_pass_lose_and_repeat_no_row(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox, "bounces", rows=300)
    faults = ["drop", "truncate", "malformed", "expire_token"]
    sandbox.faults(
        [{"operation": "bounces", "fault": fault, "times": 1, "skip": at} for at, fault in enumerate(faults)]
    )
    land(tmp_path / "bounces.ndjson", kinds=["bounces"])
    found = Counter(row["external_reference"] for row in lines(tmp_path / "bounces.ndjson"))
    assert len(found) == 300
    assert set(found.values()) == {1}


def test_a_vendor_that_throttles_beyond_our_patience_is_worth_a_retry(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 429, "retry_after": 3600}])
    with pytest.raises(RateLimitedError):
        land(tmp_path, kinds=["bounces"])


def test_a_window_without_feedback_makes_an_empty_file(tmp_path: Path) -> None:
    result = land(tmp_path / "bounces.ndjson.gz", kinds=["bounces"])
    assert result["rows"] == {"bounces": 0}
    assert lines(tmp_path / "bounces.ndjson.gz") == []


def test_an_empty_window_reads_and_writes_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    assert land(tmp_path, start=NOON, end=NOON) == {
        "files": [],
        "rows": dict.fromkeys(KINDS, 0),
        "start": "2026-03-10T12:00:00+00:00",
        "end": "2026-03-10T12:00:00+00:00",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        ("2026-03-10", "2026-03-11", 120),
        ("2026-03-10T12:30:00Z", ONE, 60),
        ("2026-03-10T13:30:00+01:00", ONE, 60),
        (datetime(2026, 3, 10, 12, 30, tzinfo=UTC), datetime(2026, 3, 10, 13, tzinfo=UTC), 60),
        (datetime(2026, 3, 10, tzinfo=UTC).date(), datetime(2026, 3, 11, tzinfo=UTC).date(), 120),
    ],
)
def test_the_window_may_be_given_as_dates_times_or_text(
    sandbox: Sandbox, tmp_path: Path, start: Any, end: Any, rows: int
) -> None:
    seed(sandbox, "bounces")
    assert land(tmp_path / "b.ndjson", kinds=["bounces"], start=start, end=end)["rows"] == {"bounces": rows}


def test_pages_have_the_size_asked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox, "bounces", rows=120)
    land(tmp_path, kinds=["bounces"], page_size=50)
    assert all("$top=50" in request["query"] for request in sandbox.requests(operation="bounces"))


@pytest.mark.parametrize(("rows", "most"), [(1, 1), (49, 1), (120, 5)])
def test_short_listings_cost_few_requests(sandbox: Sandbox, tmp_path: Path, rows: int, most: int) -> None:
    seed(sandbox, "bounces", rows=rows)
    land(tmp_path, kinds=["bounces"], page_size=50, max_concurrency=16)
    assert len(sandbox.requests(operation="bounces")) <= most


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("kinds", {"kinds": ["opens"]}, "kinds"),
    ("no kinds", {"kinds": []}, "kinds"),
    ("start", {"start": "yesterday"}, "start"),
    ("end", {"end": "2026-03-32"}, "end"),
    ("end before start", {"start": ONE, "end": NOON}, "start, end"),
    ("no such storage", {"path": "s3://bucket/feedback"}, "path"),
    ("page_size", {"page_size": 0}, "page_size"),
    ("max_concurrency", {"max_concurrency": 0}, "max_concurrency"),
    ("lag", {"lag": -1}, "lag"),
    ("look_back", {"look_back": "a day"}, "look_back"),
    ("mode", {"mode": "returned"}, "mode, kinds"),
    ("mode without bounces", {"mode": "direct", "kinds": ["complaints"]}, "mode, kinds"),
    ("format", {"format": "avro"}, "format"),
    ("format and suffix", {"path": "bounces.parquet", "format": "ndjson"}, "format"),
    ("no account", {"account_id": []}, "account_id"),
    ("an empty account", {"account_id": ["a", ""]}, "account_id"),
    ("nothing is closed", {"start": "2099-01-01", "end": "2099-01-02"}, "start, lag"),
]


@pytest.mark.parametrize(
    ("arguments", "setting"), [row[1:] for row in BAD_ARGUMENTS], ids=[row[0] for row in BAD_ARGUMENTS]
)
def test_arguments_that_make_no_sense_fail_the_task_for_good(
    sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any], setting: str
) -> None:
    with pytest.raises(AirflowFailException, match=rf"to change: {setting}\]"):
        land(**{"path": tmp_path, **arguments})
    assert sandbox.requests() == []


def test_a_wrong_secret_fails_for_good_and_names_the_connection(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"]
    monkeypatch.setenv("AIRFLOW_CONN_SHOES", good.replace("sandbox-secret", "wr0ng-wr0ng"))
    with pytest.raises(AirflowFailException, match="'shoes'"):
        land(tmp_path, marigold_conn_id="shoes")
    assert len(sandbox.requests()) == 1


def test_path_window_account_and_connection_are_templates(tmp_path: Path) -> None:
    made = operator(
        "out/{{ ds }}", start="{{ ds }}", end="{{ ds }}", account_id="{{ a }}", marigold_conn_id="m_{{ a }}"
    )
    made.render_template_fields({"ds": "2026-03-10", "a": "shoes"})  # type: ignore[typeddict-unknown-key]
    assert {name: getattr(made, name) for name in made.template_fields} == {
        "path": "out/2026-03-10",
        "start": "2026-03-10",
        "end": "2026-03-10",
        "account_id": "shoes",
        "marigold_conn_id": "m_shoes",
    }


def test_the_operator_can_be_mapped() -> None:
    with DAG("mapped", schedule=None):
        mapped = FeedbackToObjectStorageOperator.partial(task_id="land", path="x").expand(account_id=["a", "b"])
    assert mapped.is_mapped


def test_its_log_holds_no_row(sandbox: Sandbox, tmp_path: Path, capfd: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    seed(sandbox)
    land(tmp_path)
    log = caplog.text + capfd.readouterr().out
    assert "120 bounces so far" in log
    assert "seed-bounce" not in log
    assert "@" not in log


def test_its_outlets_say_what_was_landed(sandbox: Sandbox, tmp_path: Path) -> None:
    seed(sandbox)
    asset, events = Asset("s3://bucket/feedback"), OutletEventAccessors()
    task = operator(tmp_path, kinds=["bounces"], outlets=[asset])
    result = task.execute(task_context(task=task, outlet_events=events))
    assert events[asset].extra == {
        "rows": {"bounces": 120},
        "files": 1,
        "start": result["start"],
        "end": result["end"],
        "location": str(tmp_path),
    }


def test_lineage_leads_from_the_vendors_listings_to_the_files(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = HookLineageCollector()
    monkeypatch.setattr("airflow.providers.common.compat.lineage.hook.get_hook_lineage_collector", lambda: collector)
    result = land(tmp_path)
    found = collector.collected_assets
    base = sandbox.vendor_url("marigold")
    assert [each.asset.uri for each in found.inputs] == [
        f"{base}/api/bounces/v1/{name}" for name in ("bounces", "complaints", "listunsubscribes")
    ]
    assert {each.asset.uri for each in found.outputs} >= {f"file://{name}" for name in result["files"]}
