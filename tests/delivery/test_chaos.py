"""Everything that can go wrong, mixed by seed: each valid message is still accepted exactly once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_messaging.core import pacing
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.delivery.sending import OPTIONS, Send, accepted, channel, fault, in_a_hurry, references, row

MESSAGES = 600


def mixed_faults(seed: int) -> list[dict[str, Any]]:
    """Faults of which about a third of the requests suffer one."""
    kinds: list[tuple[float, dict[str, Any]]] = [
        (0.06, fault("drop")),
        (0.06, fault("drop", when="after")),
        (0.04, fault("status", status=500)),
        (0.04, fault("status", status=500, when="after")),
        (0.03, fault("status", status=408, when="after")),
        (0.03, fault("status", status=502)),
        (0.03, fault("status", status=504, when="after")),
        (0.04, fault("status", status=429, retry_after="0.3")),
        (0.03, fault("status", status=503, retry_after="http-date:1")),
        (0.03, fault("status", status=503)),
        (0.04, fault("expire_token")),
        (0.04, fault("truncate")),
        (0.04, fault("malformed")),
        (0.01, fault("hang", when="after")),
        (0.05, fault("latency", delay=0.2)),
        (0.05, fault("status", "track", status=500)),
        (0.02, fault("status", "track", status=429, retry_after="0.3")),
        (0.05, fault("drop", "track")),
        (0.03, fault("truncate", "track")),
        (0.03, fault("malformed", "track")),
        (0.02, fault("expire_token", "track")),
        (0.20, fault("status", "token", status=500)),
        (0.10, fault("drop", "token", when="after")),
    ]
    return [
        {**each, "probability": probability, "seed": 100 * seed + number}
        for number, (probability, each) in enumerate(kinds)
    ]


def mixed_rows(rng: random.Random) -> tuple[list[Any], list[str], int]:
    """Rows, the references of the valid ones, and how many are not valid."""
    given: list[Any] = []
    expected: list[str] = []
    while len(given) < MESSAGES:
        number = len(given)
        kind = rng.choices(["plain", "named", "bad", "again"], [80, 15, 3, 2])[0]
        if kind == "bad":
            given.append(rng.choice([{"to": "nobody"}, "no row", None, row(number, tags=[""])]))
        elif kind == "again" and expected:
            given.append(row(number, reference=rng.choice(expected)))
        elif kind == "named":
            given.append(row(number, rng.choice([10, 2_000]), reference=f"order-{number}"))
            expected.append(f"order-{number}")
        else:
            given.append(row(number, rng.choice([10, 2_000])))
            expected += references([number])
    return given, expected, len(given) - len(expected)


@pytest.mark.parametrize("seed", range(6))
async def test_with_faults_of_all_kinds_each_valid_message_is_accepted_once(
    sandbox: Sandbox, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "RECOVERY_SECONDS", 0.2)
    rng = random.Random(seed)
    sandbox.settings(
        tracking_lag=0.2,
        clock_skew=rng.choice([-45, 0, 45]),
        tracking_unknown=rng.choice(["not_found", "empty"]),
        send_answer=rng.choice(["empty", "json"]),
    )
    sandbox.faults(mixed_faults(seed))
    given, expected, bad = mixed_rows(rng)
    send = Send(
        url=sandbox.url,
        rows=given,
        channel=channel(sandbox.url, most_messages=20),
        options=replace(OPTIONS, reconcile_window=0.6),
        sleep=in_a_hurry,
    )
    attempts = await send.until_done(12)
    assert accepted(sandbox) == Counter(expected)
    for attempt in attempts:
        report = attempt.report
        if attempt.error is None:
            assert report.accepted + report.rejected + report.ambiguous == report.messages == MESSAGES
        lines = Counter(line["reference"] for line in attempt.manifest)
        assert set(lines.values()) <= {1}
        assert lines.keys() <= set(expected)
    last = attempts[-1]
    assert (last.report.accepted, last.report.rejected) == (len(expected), bad)
    assert Counter(line["reference"] for line in last.manifest) == Counter(expected)
    assert last.outcomes() == {"accepted": len(expected)}
    assert len(last.rejects) == bad
