"""The webhook's segments on their way into a table."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.segments import AT, event, land_segment
from tests.transfers.conftest import Database
from tests.transfers.loads import bounce, load, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "webhooks"


def test_each_event_is_a_row_with_its_recipient(database: Database, root: Path) -> None:
    land_segment(root, [event("failed", "m-1", recipient="Ada@example.com"), event("bounced", "m-2")])
    land_segment(root, [event("complaint", "m-3")], compressed=True)
    land_segment(root, [event("sent", "m-4")])
    assert load(database, str(root))["inserted"] == 3
    columns = "reference, kind, bounce_type, mode, recipient"
    assert database.query(f"SELECT {columns} FROM {{table}} ORDER BY reference") == [
        ("m-1", "bounce", "hard", "direct", "Ada@example.com"),
        ("m-2", "bounce", None, "indirect", None),
        ("m-3", "complaint", None, None, None),
    ]


def test_copies_of_an_event_are_one_row_within_a_segment_and_across(database: Database, root: Path) -> None:
    one = event("failed", "m-1")
    land_segment(root, [one, event("failed", "m-2"), one])
    land_segment(root, [{**one, "receivedat": "2026-03-12T00:00:00Z"}])
    assert load(database, str(root))["inserted"] == 2
    again = load(database, str(root))
    assert (again["rows"], again["inserted"], again["updated"]) == (4, 0, 0)


def test_a_batch_of_the_trigger_loads_its_segments(database: Database, root: Path) -> None:
    names = [land_segment(root, [event("failed", f"m-{n}")]) for n in range(3)]
    assert load(database, {"batch_id": "b", "segments": names[:2]})["files"] == names[:2]
    assert load(database, [{"segments": names}, {"segments": names[1:]}])["inserted"] == 1


def test_older_days_are_left_out_where_a_time_is_given(database: Database, root: Path) -> None:
    for days in range(4):
        land_segment(root, [event("failed", f"m-{days}")], sealed_at=AT + timedelta(days=days))
    loaded = load(database, str(root), since=(AT + timedelta(days=2)).isoformat())
    assert (loaded["rows"], len(loaded["files"])) == (2, 2)


def test_landed_rows_and_segments_may_lie_in_one_folder(database: Database, root: Path) -> None:
    land_segment(root, [event("failed", "m-1")])
    write(root / "kind=bounces" / "date=2026-03-10" / "bounces.ndjson.gz", [bounce("m-2")])
    assert load(database, str(root))["inserted"] == 2


def test_a_line_that_is_none_stops_the_load(database: Database, root: Path) -> None:
    name = Path(land_segment(root, [event("failed", "m-1")]))
    name.write_bytes(name.read_bytes() + b"[1]\n")
    with pytest.raises(AirflowFailException, match=r"line 1 of .* is not a JSON object"):
        load(database, str(root))


def test_what_names_no_files_is_refused(database: Database) -> None:
    with pytest.raises(AirflowFailException, match="names no files"):
        load(database, {"batch_id": "b"})
