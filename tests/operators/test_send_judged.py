"""A send that judges all rows before it sends the first: each is read, judged and encoded once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.delivery import spool
from airflow_provider_messaging.operators import _delivery
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance
from tests.operators.conftest import Send, message, messages, read_lines, write_lines


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths whose rows were read from the start, one for each time."""
    found: list[str] = []
    rows_of = _delivery.rows_of

    def counted(path: str, setting: str) -> Callable[[], Iterator[Any]]:
        rows = rows_of(path, setting)

        def read() -> Iterator[Any]:
            found.append(path)
            yield from rows()

        return read

    monkeypatch.setattr(_delivery, "rows_of", counted)
    return found


def test_the_file_is_read_once(send: Send, sandbox: Sandbox, tmp_path: Path, readings: list[str]) -> None:
    path = write_lines(tmp_path / "rows.ndjson", messages(250))
    assert send(messages_path=path)["accepted"] == 250
    assert readings == [path]
    assert sandbox.counts() == {"total": 250, "distinct": 250, "duplicates": 0}


def test_what_is_too_large_to_be_kept_is_read_twice(
    send: Send, sandbox: Sandbox, tmp_path: Path, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool.Spool.__init__, "__kwdefaults__", {"most_bytes": 10_000})
    path = write_lines(tmp_path / "rows.ndjson", messages(250))
    assert send(messages_path=path)["accepted"] == 250
    assert readings == [path, path]
    assert sandbox.counts() == {"total": 250, "distinct": 250, "duplicates": 0}


@pytest.mark.parametrize("from_file", [True, False])
def test_a_row_that_the_vendor_refuses_later_is_kept_as_it_was_given(
    send: Send, sandbox: Sandbox, tmp_path: Path, from_file: bool
) -> None:
    rows = messages(3)
    body = '{"errors": [{"index": 1, "field": "reference", "error": "REFERENCE_IN_USE", "message": "is in use"}]}'
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 400, "body": body, "times": 1}])
    given = {"messages_path": write_lines(tmp_path / "rows.ndjson", rows)} if from_file else {"messages": rows}
    rejects = tmp_path / "rejects.ndjson"
    with pytest.raises(Exception, match="refused rows that our rules had passed"):
        send(**given, rejects_path=str(rejects))
    [line] = read_lines(rejects)
    assert {name: line[name] for name in rows[1]} == rows[1]
    assert line["_rejected"]["row"] == 1
    assert sandbox.counts()["total"] == 2


def test_a_retry_goes_on_where_the_first_try_ended(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    ti, store = TaskInstance(), StateStore()
    path = write_lines(tmp_path / "rows.ndjson", messages(1_000))
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 403, "skip": 3}])
    with pytest.raises(Exception, match="broke off"):
        send(ti=ti, store=store, messages_path=path)
    sandbox.clear_faults()
    ti.try_number += 1
    manifest = tmp_path / "manifest.ndjson"
    result = send(ti=ti, store=store, messages_path=path, manifest_path=str(manifest))
    assert result["accepted"] == 1_000
    assert result["resumed"] > 0
    assert len(read_lines(manifest)) == 1_000
    assert sandbox.counts() == {"total": 1_000, "distinct": 1_000, "duplicates": 0}


def test_the_collector_is_left_as_it_was_found(send: Send, tmp_path: Path) -> None:
    assert gc.get_freeze_count() == 0
    send(messages=messages(3))
    assert gc.get_freeze_count() == 0
    with pytest.raises(Exception, match="break the vendor's rules"):
        send(messages=[{"to": "nobody"}])
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        send(messages=messages(3))
        assert gc.get_freeze_count() >= frozen
    finally:
        gc.unfreeze()


def test_rows_that_are_no_json_values_are_kept_as_they_are(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    """Templates make strings of a class of their own, for instance."""

    class Text(str):
        pass

    rows = [message(0, subject=Text("Hello"), tags=[Text("orders")], reference=Text("order-1"))]
    manifest = tmp_path / "manifest.ndjson"
    assert send(messages=rows, manifest_path=str(manifest))["accepted"] == 1
    [line] = read_lines(manifest)
    assert (line["reference"], line["tags"]) == ("order-1", ["orders"])
    assert sandbox.counts() == {"total": 1, "distinct": 1, "duplicates": 0}
