"""A task that enqueues contacts and is killed again and again, with an account of every contact at its end.

``python -m tests.operators.enqueue_kills --contacts 20000 --kills 20``
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_messaging.sandbox.process import Sandbox, running_sandbox
from tests.operators.operator_victim import Order, finish, kill_when

BAD_EVERY = 97
"""One contact in so many breaks a rule."""
MOST_IN_DOUBT = 2
"""Contacts in doubt after a kill, times the requests in flight: those in flight and those recorded next, and one."""


@dataclass(kw_only=True)
class Account:
    """What became of the contacts."""

    contacts: int
    kills: int
    throttled: int
    tries: int
    max_concurrency: int
    accepted: set[str]
    rejected: int
    ambiguous: set[str]
    delivered: Counter[str]
    summary: dict[str, Any]

    def check(self) -> None:
        """:raises AssertionError: if a contact was enqueued twice, or is not accounted for."""
        twice = [identifier for identifier, times in self.delivered.items() if times > 1]
        assert not twice, f"enqueued more than once: {twice[:5]}"
        assert self.accepted <= self.delivered.keys(), "accepted, says the manifest, and the vendor has never seen them"
        assert self.delivered.keys() <= self.accepted | self.ambiguous, "the vendor has contacts that nobody counted"
        assert len(self.accepted) + self.rejected + len(self.ambiguous) == self.contacts
        assert self.summary["contacts"] == self.contacts
        assert self.summary["accepted"] == len(self.accepted)
        assert self.summary["rejected"] == self.rejected
        assert self.summary["ambiguous"] == len(self.ambiguous)
        assert len(self.ambiguous) <= (MOST_IN_DOUBT * self.max_concurrency + 1) * self.kills

    def __str__(self) -> str:
        lost = len(self.ambiguous - self.delivered.keys())
        return (
            f"{self.contacts} contacts, {self.kills} kills, {self.throttled} answers with 429, {self.tries} tries: "
            f"{len(self.accepted)} accepted, {self.rejected} rejected, {len(self.ambiguous)} ambiguous "
            f"({lost} of them not enqueued), {sum(self.delivered.values()) - len(self.delivered)} enqueued twice"
        )


def contact(number: int) -> dict[str, Any]:
    address = "nobody" if number % BAD_EVERY == 0 else f"user{number}@example.com"
    return {"email": address, "orderId": number, "firstname": "Jürgen"}


def enqueue_with_kills(
    sandbox: Sandbox, folder: Path, *, contacts: int, kills: int, max_concurrency: int = 4, seed: int = 0
) -> Account:
    """Enqueue contacts in tries of which the first `kills` are killed in the middle."""
    rng = random.Random(seed)
    rows, manifest, rejects = (folder / f"{name}.ndjson" for name in ("contacts", "manifest", "rejects"))
    rows.write_text("".join(json.dumps(contact(number)) + "\n" for number in range(contacts)))
    order = Order(
        operator="airflow_provider_messaging.operators.pressnxpress.EnqueueFeedbackOperator",
        arguments={
            "contacts_path": str(rows),
            "manifest_path": str(manifest),
            "rejects_path": str(rejects),
            "identifier": "order-{{ orderId }}",
            "on_rejected": "continue",
            "on_ambiguous": "continue",
            "max_concurrency": max_concurrency,
        },
        state=str(folder / "state.json"),
    )
    trouble = {"vendor": "pressnxpress", "operation": "enqueue_email"}
    sandbox.faults(
        [
            {**trouble, "fault": "status", "status": 429, "retry_after": 1, "times": 8, "skip": contacts // 3},
            {**trouble, "fault": "status", "status": 429, "probability": 0.0005, "seed": seed},
            {**trouble, "fault": "latency", "delay": 0.001, "when": "after"},
        ]
    )
    for kill in range(kills):
        # Evenly, so that each try comes to send something and none to its end.
        target = contacts * (kill + rng.random()) / (kills + 1)
        kill_when(lambda target=target: sandbox.counts("pressnxpress")["total"] >= target, order, folder)  # type: ignore[misc]
    summary = finish(order, folder)
    lines = [json.loads(line) for line in manifest.read_bytes().splitlines()]
    by_outcome = {
        outcome: {line["profile"] for line in lines if line["outcome"] == outcome}
        for outcome in ("accepted", "ambiguous")
    }
    assert sum(map(len, by_outcome.values())) == len(lines), "a contact has two lines in the manifest"
    return Account(
        contacts=contacts,
        kills=kills,
        throttled=sum(
            each["count"]
            for each in sandbox.request_counts()
            if each["vendor"] == "pressnxpress" and each["status"] == 429
        ),
        tries=order.try_number,
        max_concurrency=max_concurrency,
        accepted=by_outcome["accepted"],
        rejected=len(rejects.read_bytes().splitlines()),
        ambiguous=by_outcome["ambiguous"],
        delivered=Counter(each["reference"] for each in sandbox.iter_deliveries("pressnxpress")),
        summary=summary,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--max-concurrency", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_sandbox() as sandbox:
        os.environ |= {**sandbox.connections, "AIRFLOW_HOME": folder}
        started = time.monotonic()
        account = enqueue_with_kills(
            sandbox,
            Path(folder),
            contacts=given.contacts,
            kills=given.kills,
            max_concurrency=given.max_concurrency,
            seed=given.seed,
        )
        print(f"{account}, in {time.monotonic() - started:.0f} s")
        account.check()
    return 0


if __name__ == "__main__":
    sys.exit(main())
