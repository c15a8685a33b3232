"""Tasks whose worker is killed: every address is on the list in the end, and no record is sent to twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.operators.conftest import read_lines, write_lines
from tests.operators.operator_victim import Order, finish, kill_when

pytestmark = pytest.mark.usefixtures("connections")
THROTTLED = {"vendor": "engageone", "operation": "blacklist", "fault": "status", "status": 429, "retry_after": 1}


def requests(sandbox: Sandbox, operation: str) -> int:
    """How many it has answered in all tries so far."""
    return sum(each["count"] for each in sandbox.request_counts() if each["operation"] == operation)


def write_addresses(path: Path, count: int) -> str:
    """Write that many addresses, every hundredth in a second spelling as well, and ten rows that name none."""
    with path.open("w") as stream:
        for number in range(count):
            stream.write(f"user{number}@example.com\n")
            if number % 100 == 0:
                stream.write(json.dumps({"recipient": f"user{number}@EXAMPLE.com"}) + "\n")
        stream.writelines(f"nobody{number}\n" for number in range(10))
    return str(path)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("count", "throttled"),
    [
        pytest.param(5_000, (0.9,), id="5000"),
        pytest.param(50_000, (0.1, 0.5, 0.9), id="50000", marks=pytest.mark.slow),
    ],
)
def test_every_address_is_suppressed_through_kills_and_throttling(
    sandbox: Sandbox, tmp_path: Path, count: int, throttled: tuple[float, ...]
) -> None:
    manifest = tmp_path / "manifest.ndjson"
    order = Order(
        operator="airflow_provider_messaging.operators.engageone.BlacklistAddressOperator",
        state=str(tmp_path / "state.json"),
        arguments={
            "emails_path": write_addresses(tmp_path / "emails.txt", count),
            "manifest_path": str(manifest),
            "on_rejected": "continue",
            "max_concurrency": 8,
        },
    )
    sandbox.faults([{**THROTTLED, "skip": int(share * count), "times": 5} for share in throttled])
    kill_when(lambda: requests(sandbox, "blacklist") >= count // 3, order, tmp_path)
    kill_when(lambda: requests(sandbox, "blacklist") >= 2 * count // 3, order, tmp_path)
    result = finish(order, tmp_path)

    expected = {f"user{number}@example.com" for number in range(count)}
    rows = sandbox.state("blacklist", vendor="engageone")
    assert Counter(row["email"] for row in rows) == dict.fromkeys(expected, 1)
    # What was in flight or about to be sent at a kill, and no more, was sent a second time.
    again = sum(row["posts"] - 1 for row in rows)
    assert again < 1_000
    assert (result["addresses"], result["accepted"], result["rejected"]) == (count + 10, count, 10)
    assert result["duplicates"] == count // 100
    assert sum(result["outcomes"].values()) == count
    assert result["outcomes"].get("already_listed", 0) == again
    assert count // 2 < result["resumed"] < count
    lines = read_lines(manifest)
    assert {line["recipient"] for line in lines} == expected
    assert len(lines) == count
    assert Path(order.state).stat().st_size < 64_000


def test_no_record_is_sent_to_twice_and_what_nobody_knows_is_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    count, chunk, at_once = 2_000, 10, 3
    manifest = tmp_path / "manifest.ndjson"
    dataset = [{"email": f"user{number}@example.com", "reference": f"r-{number}"} for number in range(count)]
    order = Order(
        operator="airflow_provider_messaging.operators.engageone.SendCampaignOperator",
        state=str(tmp_path / "state.json"),
        arguments={
            "campaign": "newsletter",
            "communication": "Example",
            "email_json_path": "email",
            "dataset_path": write_lines(tmp_path / "dataset.ndjson", dataset),
            "manifest_path": str(manifest),
            "chunk_size": chunk,
            "max_concurrency": at_once,
            "on_ambiguous": "continue",
        },
    )
    delays = [{"fault": "latency", "when": when, "delay": 0.02} for when in ("before", "after")]
    sandbox.faults([{"vendor": "engageone", "operation": "send_campaign", **delay} for delay in delays])
    kill_when(lambda: requests(sandbox, "send_campaign") >= 60, order, tmp_path)
    kill_when(lambda: requests(sandbox, "send_campaign") >= 120, order, tmp_path)
    result = finish(order, tmp_path)

    delivered = Counter(each["reference"] for each in sandbox.deliveries(vendor="engageone"))
    assert set(delivered.values()) == {1}
    assert result["accepted"] + result["ambiguous"] == result["records"] == count
    # Of each kill: what was under way, what was next, and what had been recorded to follow.
    assert result["ambiguous"] <= 2 * (2 * at_once + 1) * chunk
    by_outcome: dict[str, set[str]] = {"accepted": set(), "ambiguous": set()}
    for line in read_lines(manifest):
        by_outcome[line["outcome"]].add(line["reference"])
    assert by_outcome["accepted"] <= delivered.keys() <= by_outcome["accepted"] | by_outcome["ambiguous"]
    assert len(by_outcome["accepted"]) == result["accepted"]
    assert len(by_outcome["ambiguous"]) == result["ambiguous"]
    sends = {row["send_id"]: row["total"] for row in sandbox.state("sends", vendor="engageone")}
    assert len(result["send_ids"]) == len(set(result["send_ids"])) == result["accepted"] // chunk
    assert sends.keys() >= set(result["send_ids"])
