"""From a request to a line in a segment."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_messaging.vendors.marigold.webhooks import normalise_event
from tests.webhooks.kills import prove
from tests.webhooks.running import HEADERS, Running, event, running


def post(receiver: Running, document: object, content_type: str = "application/json") -> dict[str, int]:
    headers = {**HEADERS, "Content-Type": content_type}
    request = urllib.request.Request(f"{receiver.url}/marigold", json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, int] = json.loads(answer.read())
        return found


def test_a_batch_is_landed_by_kind_as_it_came_with_the_time_of_receipt(receiver: Running) -> None:
    before = datetime.now(UTC)
    events = [
        event("batch 1"),
        event("batch 2", "com.sdc.deliveries.email.sent", subject=None),
        event("batch 3", "com.sdc.bounces.email.complaintfiled"),
        event("batch 4", "com.sdc.something.new", extension="ünïcode", nested={"a": [1, 2.5, None]}),
    ]
    answer = post(receiver, [*events, events[0]], "application/cloudevents-batch+json")
    assert answer == {"events": 5, "new": 4}
    receiver.wait_until_landed()
    landed = {found["id"]: (segment, found) for segment, found in receiver.events() if found["id"].startswith("batch")}
    kinds = {identifier: segment.kind for identifier, (segment, _) in landed.items()}
    assert kinds == {"batch 1": "bounces", "batch 2": "deliveries", "batch 3": "complaints", "batch 4": "other"}
    for given in events:
        segment, found = landed[str(given["id"])]
        at = datetime.fromisoformat(found.pop("receivedat"))
        assert found == given
        assert before <= at <= segment.sealed_at <= datetime.now(UTC)
        assert segment.compressed
        assert normalise_event(found) == normalise_event(given)


def test_health_says_whether_events_are_stored_and_landed(receiver: Running) -> None:
    assert json.loads(receiver.get("/health")) == {"status": "ok", "landing": "ok"}


def test_metrics_have_a_help_a_type_and_a_value_each(receiver: Running) -> None:
    lines = receiver.get("/metrics").splitlines()
    names = {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
    assert {name.removeprefix("messaging_webhooks_") for name in names} >= {
        "received_total",
        "duplicates_total",
        "refused_total",
        "lag_seconds",
        "inbox_events",
        "ack_seconds",
    }
    for line in lines:
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_events_survive_a_killed_receiver_each_once(inbox_url: str, tmp_path: Path) -> None:
    with running(tmp_path, inbox_url) as receiver:
        account = prove(receiver, 2_000, 1, concurrency=16)
    assert account.kills == 1
    assert account.answers[200] > 2_000, "some were posted twice"
    account.check()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_receivers_share_an_inbox(inbox_url: str, tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    options = {"path": str(tmp_path / "a" / "segments")}
    with running(folders[0], inbox_url, **options) as first, running(folders[1], inbox_url, **options) as second:
        events = [event(f"{number}") for number in range(100)]
        new = sum(
            post(receiver, events[at : at + 10])["new"] for at in range(0, 100, 10) for receiver in (first, second)
        )
        assert new == 100
        # The one that seals is killed: the other takes over.
        sealing = first if "Landed" in first.log else second
        other = second if sealing is first else first
        sealing.kill()
        post(other, [event("after")])
        other.wait_until_landed()
        assert set(first.landed().values()) == {1}
        assert len(first.landed()) == 101
