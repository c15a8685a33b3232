"""What the webhook missed, found by pulling and added to its folder."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers.marigold import FillFeedbackGapsOperator
from airflow_provider_messaging.vendors.marigold.segments import Segment
from tests.contexts import task_context
from tests.segments import event, land_segment
from tests.transfers.conftest import Database
from tests.transfers.loads import load, write

KINDS = ("bounces", "complaints", "list_unsubscribes")
TYPES = {"failed": "bounces", "bounced": "bounces", "complaintfiled": "complaints", "listunsubscribed": KINDS[2]}
Event = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "webhooks"


@pytest.fixture
def happened(sandbox: Sandbox, marigold_conn: str) -> Callable[..., list[Event]]:
    """Sends messages that come back, so many of each sort, and returns the events that the vendor tells of them."""

    def send(times: int = 3) -> list[Event]:
        # Long enough ago for a closed window, and posted to nobody.
        sandbox.settings(clock_skew=-60, webhook_backoff=3600)
        sandbox.subscribe("http://127.0.0.1:9/")
        rows = [
            {"reference": f"{local}-{n}", "to": f"{local}+{n}@example.com", "from": "a@example.com", "subject": "Hi"}
            for n in range(times)
            for local in ("hard-bounce", "soft-bounce", "indirect-bounce", "complaint", "unsubscribe")
        ]
        with MarigoldHook() as hook:
            hook.send_email([{**row, "text": "Hello"} for row in rows])
        told = [entry["event"] for entry in sandbox.state("webhook_events", vendor="marigold")]
        return [one for one in told if kind_of(one)]

    return send


def kind_of(one: Event) -> str | None:
    return TYPES.get(one["type"].rpartition(".")[2])


def receive(root: Path, events: list[Event]) -> None:
    for kind in KINDS:
        chosen = [one for one in events if kind_of(one) == kind]
        if chosen:
            land_segment(root, chosen, compressed=kind == "bounces")


def operator(root: Path | str, **arguments: Any) -> FillFeedbackGapsOperator:
    now = datetime.now(UTC)
    window = {"start": (now - timedelta(hours=1)).isoformat(), "end": now.isoformat()}
    return FillFeedbackGapsOperator(task_id="fill", path=str(root), **{**window, "lag": 0, "page_size": 4, **arguments})


def fill(root: Path | str, **arguments: Any) -> dict[str, Any]:
    return operator(root, **arguments).execute(task_context())


def lines(name: str) -> list[Event]:
    return [json.loads(line) for line in gzip.decompress(Path(name).read_bytes()).splitlines()]


def filled_references(result: dict[str, Any]) -> Counter[str]:
    return Counter(row["external_reference"] for name in result["files"] for row in lines(name))


def of_each(*counts: int) -> dict[str, int]:
    return dict(zip(KINDS, counts, strict=True))


def test_what_the_webhook_missed_is_added_and_counted(root: Path, happened: Callable[..., list[Event]]) -> None:
    events = happened(3)
    missed = {"hard-bounce-1", "soft-bounce-0", "complaint-2"}
    receive(root, [one for one in events if one["data"]["external_reference"] not in missed])
    result = fill(root)
    assert result["pulled"] == of_each(9, 3, 3)
    assert result["known"] == of_each(7, 2, 3)
    assert result["missing"] == of_each(2, 1, 0)
    assert result["filled"] == of_each(0, 0, 0)
    # Of indirect bounces the webhook does not tell the type: that is added.
    assert result["completed"] == of_each(3, 0, 0)
    assert filled_references(result) == Counter([*missed, *(f"indirect-bounce-{n}" for n in range(3))])


def test_the_files_are_segments_of_the_folder(root: Path, happened: Callable[..., list[Event]]) -> None:
    happened(1)
    result = fill(root)
    found = [Segment.parse(name) for name in result["files"]]
    assert [(one.kind, one.compressed) for one in found if one] == [(kind, True) for kind in KINDS]
    assert all(name.startswith(str(root)) for name in result["files"])
    assert sorted(str(path) for path in root.rglob("*") if path.is_file()) == sorted(result["files"])


def test_a_second_run_adds_nothing_and_knows_what_the_first_one_filled(
    root: Path, happened: Callable[..., list[Event]]
) -> None:
    events = happened(2)
    receive(root, events[:3])
    first, second = fill(root), fill(root)
    assert second["files"] == []
    assert second["missing"] == second["completed"] == of_each(0, 0, 0)
    assert second["filled"] == first["missing"]
    assert (second["pulled"], second["known"]) == (first["pulled"], first["known"])


def test_a_webhook_that_missed_nothing_is_told_so(root: Path, happened: Callable[..., list[Event]]) -> None:
    events = happened(2)
    receive(root, [one for one in events if not one["type"].endswith("bounced")])
    receive(root, [one for one in events if one["type"].endswith("bounced")])
    result = fill(root, kinds=["complaints", "list_unsubscribes"])
    assert result["files"] == []
    assert result["missing"] == {"complaints": 0, "list_unsubscribes": 0}
    assert result["known"] == {"complaints": 2, "list_unsubscribes": 2}


def test_a_webhook_that_never_came_is_filled_in_whole(root: Path, happened: Callable[..., list[Event]]) -> None:
    happened(2)
    assert fill(root)["missing"] == of_each(6, 2, 2)


def test_copies_of_a_row_and_of_an_event_count_once(
    root: Path, sandbox: Sandbox, happened: Callable[..., list[Event]]
) -> None:
    events = happened(4)
    sandbox.settings(feedback_copies=2, feedback_order="shuffled")
    receive(root, events[:5] * 2)
    result = fill(root)
    assert result["pulled"] == of_each(12, 4, 4)
    assert max(filled_references(result).values()) == 1


def test_what_a_landing_wrote_is_known_as_well(root: Path, happened: Callable[..., list[Event]]) -> None:
    happened(1)
    now = datetime.now(UTC)
    with MarigoldHook() as hook:
        rows = list(hook.iter_bounces(now - timedelta(hours=1), now + timedelta(hours=1)))
    write(root / "kind=bounces" / f"date={now.date()}" / "bounces-1-2.ndjson.gz", rows)
    assert fill(root, kinds=["bounces"])["known"] == {"bounces": 3}


def test_what_happened_outside_of_the_window_is_left_alone(root: Path, sandbox: Sandbox, marigold_conn: str) -> None:
    sandbox.seed("complaints", 10, "2026-03-10T12:00:00Z", "2026-03-10T12:59:59Z")
    result = fill(root, start="2026-03-10T12:30:00Z", end="2026-03-10T13:00:00Z")
    assert result["missing"] == of_each(0, 5, 0)


def test_the_segments_load_beside_those_of_the_webhook(
    root: Path, database: Database, happened: Callable[..., list[Event]]
) -> None:
    events = happened(2)
    receive(root, [one for one in events if kind_of(one) == "complaints"])
    result = fill(root)
    assert load(database, result)["inserted"] == 8
    assert load(database, str(root))["inserted"] == 2
    assert dict(database.query("SELECT kind, count(*) FROM {table} GROUP BY kind")) == {
        "bounce": 6,
        "complaint": 2,
        "list_unsubscribe": 2,
    }


@pytest.mark.usefixtures("object_storage")
def test_it_works_on_object_storage(happened: Callable[..., list[Event]]) -> None:
    happened(2)
    root = "memory://lake/webhooks"
    result = fill(root)
    assert result["missing"] == of_each(6, 2, 2)
    assert [name.startswith(root) for name in result["files"]] == [True] * 3
    assert fill(root)["filled"] == result["missing"]


def test_a_pull_that_fails_leaves_no_file_of_its_kind(
    root: Path, sandbox: Sandbox, happened: Callable[..., list[Event]]
) -> None:
    happened(3)
    sandbox.faults([{"operation": "bounces", "fault": "status", "status": 403, "skip": 1}])
    with pytest.raises(AirflowFailException):
        fill(root)
    assert not list(root.rglob("*.ndjson.gz"))
    sandbox.clear_faults()
    assert fill(root)["missing"] == of_each(9, 3, 3)


def test_the_counts_go_to_the_outlets(root: Path, happened: Callable[..., list[Event]]) -> None:
    happened(1)
    asset = Asset("gaps", uri="s3://lake/gaps")
    with DAG("dag"):
        task = operator(root, outlets=[asset])
    context = task_context(task=task)
    context["outlet_events"] = OutletEventAccessors()
    result = task.execute(context)
    extra = context["outlet_events"][asset].extra
    assert extra["missing"] == result["missing"] == of_each(3, 1, 1)
    assert extra["files"] == 3


@pytest.mark.parametrize(("argument", "value"), [("kinds", ["deliveries"]), ("page_size", 0), ("max_concurrency", 0)])
def test_an_argument_that_makes_no_sense_is_refused(root: Path, marigold_conn: str, argument: str, value: Any) -> None:
    with pytest.raises(AirflowFailException, match=argument):
        fill(root, **{argument: value})


def test_a_damaged_segment_stops_it_and_is_named(root: Path, happened: Callable[..., list[Event]]) -> None:
    happened(1)
    name = Path(land_segment(root, [event("failed", "m-1")]))
    name.write_bytes(b"[1]\n")
    with pytest.raises(AirflowFailException, match=name.name):
        fill(root)
