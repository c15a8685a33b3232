"""The webhook's segments on their way to a file of addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.operators.conftest import read_lines
from tests.operators.suppressing import attribute, bounce, land, manifest
from tests.segments import event, land_segment

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "webhooks"


@pytest.fixture
def paths(tmp_path: Path, root: Path) -> dict[str, Any]:
    return {"source_path": str(root), "addresses_path": str(tmp_path / "addresses.ndjson")}


def suppressed(paths: dict[str, Any]) -> dict[str, str]:
    return {line["email"]: line["reason"] for line in read_lines(paths["addresses_path"])}


def test_an_event_that_names_its_recipient_needs_no_manifest(paths: dict[str, Any], root: Path) -> None:
    land_segment(root, [event("failed", "m-1", recipient=ADA)])
    counts = attribute(**paths)
    assert (counts["messages"], counts["events"], counts["attributed"]) == (0, 1, 1)
    assert suppressed(paths) == {ADA: "Hard Bounce"}


def test_an_event_without_recipient_finds_it_in_the_manifest(paths: dict[str, Any], root: Path, tmp_path: Path) -> None:
    land_segment(root, [event("complaint", "m-1"), event("complaint", "m-2")])
    land_segment(root, [event("unsubscribe", "m-3")])
    sent = manifest(tmp_path / "manifest.ndjson", {"m-1": ADA, "m-3": GRACE})
    counts = attribute(**paths, manifest_path=sent)
    assert counts["problems"] == {"UNKNOWN_REFERENCE": 1}
    assert suppressed(paths) == {ADA: "Complaint", GRACE: "Recipient Unsubscribed"}


def test_the_events_of_messages_sent_are_a_manifest(paths: dict[str, Any], root: Path) -> None:
    land_segment(root, [event("sent", "m-1", recipient=ADA), event("sent", "m-2", recipient=GRACE)])
    land_segment(root, [event("complaint", "m-2")])
    counts = attribute(**paths, manifest_path=str(root / "kind=deliveries"))
    assert (counts["messages"], counts["attributed"]) == (2, 1)
    assert suppressed(paths) == {GRACE: "Complaint"}


def test_an_event_and_a_manifest_that_name_different_recipients_suppress_neither(
    paths: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    land_segment(root, [event("failed", "m-1", recipient=ADA), event("failed", "m-2", recipient="Ada@EXAMPLE.com")])
    sent = manifest(tmp_path / "manifest.ndjson", {"m-1": GRACE, "m-2": "Ada@example.com"})
    counts = attribute(**paths, manifest_path=sent)
    assert (counts["ambiguous"], counts["attributed"]) == (1, 1)
    assert suppressed(paths) == {"Ada@example.com": "Hard Bounce"}


def test_copies_of_an_event_count_once_within_a_segment_and_across(paths: dict[str, Any], root: Path) -> None:
    one, other = event("failed", "m-1", recipient=ADA), event("failed", "m-2", recipient=ADA)
    land_segment(root, [one, one, other])
    land_segment(root, [{**one, "receivedat": "2026-03-11T00:00:00Z"}], compressed=True)
    counts = attribute(**paths)
    assert (counts["events"], counts["copies"]) == (2, 2)
    [line] = read_lines(paths["addresses_path"])
    assert line["events"] == 2


def test_a_list_of_segments_and_a_batch_of_the_trigger_are_taken_as_the_folder_is(
    paths: dict[str, Any], root: Path
) -> None:
    names = [land_segment(root, [event("failed", f"m-{n}")]) for n in range(3)]
    names.append(land_segment(root, [event("sent", "m-9")]))
    batch = {"batch_id": "b", "segments": names}
    found = []
    for source in (str(root), names, batch, [batch, {"segments": names[:1]}]):
        counts = attribute(**{**paths, "source_path": source})
        found.append((counts["events"], counts["copies"], suppressed(paths)))
    everybody = {f"m-{n}@example.com": "Hard Bounce" for n in range(3)}
    assert found == [(3, 0, everybody)] * 4


def test_of_segments_only_the_kinds_asked_for_are_taken(paths: dict[str, Any], root: Path) -> None:
    names = [land_segment(root, [event("failed", "m-1")]), land_segment(root, [event("complaint", "m-1")])]
    for source in (str(root), names):
        assert attribute(**{**paths, "source_path": source}, kinds=["bounces"])["events"] == 1


def test_landed_rows_and_segments_may_lie_in_one_folder(paths: dict[str, Any], root: Path) -> None:
    land(root, [bounce("m-1"), bounce("m-2", mapping="soft")])
    land_segment(root, [event("failed", "m-1", recipient=ADA)])
    counts = attribute(**paths)
    assert (counts["events"], counts["attributed"], counts["problems"]) == (3, 2, {"UNKNOWN_REFERENCE": 1})
    assert suppressed(paths) == {ADA: "Hard Bounce"}


def test_a_bounce_of_which_the_webhook_tells_no_type_suppresses_nobody(
    paths: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    land_segment(root, [event("bounced", "m-1")])
    sent = manifest(tmp_path / "manifest.ndjson", {"m-1": ADA})
    counts = attribute(**paths, manifest_path=sent)
    assert (counts["attributed"], counts["addresses"]) == (1, 0)


def test_a_folder_of_messages_sent_that_is_not_there_yet_names_nobody(paths: dict[str, Any], root: Path) -> None:
    land_segment(root, [event("failed", "m-1"), event("complaint", "m-2")])
    counts = attribute(**paths, manifest_path=str(root / "kind=deliveries"))
    assert (counts["messages"], counts["attributed"]) == (0, 1)
