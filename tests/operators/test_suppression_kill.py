"""A suppression whose worker is killed ends with the list that an undisturbed one makes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from airflow_provider_messaging.sandbox.process import Sandbox
from tests.operators.conftest import read_lines
from tests.operators.operator_victim import Order, finish, kill_when
from tests.operators.suppressing import bounce, feedback, land, manifest

pytestmark = pytest.mark.usefixtures("connections")
RECIPIENTS, MESSAGES = 2_000, 20_000


def requests(sandbox: Sandbox) -> int:
    return sum(each["count"] for each in sandbox.request_counts() if each["operation"] == "blacklist")


def write_input(folder: Path) -> dict[str, str]:
    """Write manifests and feedback, and return the reasons by address that the policy gives."""
    rng = random.Random(5)
    owners = {f"m-{number}": f"user{rng.randrange(RECIPIENTS)}@example.com" for number in range(MESSAGES)}
    names = list(owners)
    manifest(folder / "sent" / "1.ndjson.gz", {name: owners[name] for name in names[: MESSAGES // 2]})
    manifest(folder / "sent" / "2.ndjson", {name: owners[name] for name in names[MESSAGES // 2 :]})
    hard, complaints = rng.sample(names, 300), rng.sample(names, 100)
    soft = rng.choices(names, k=4_000)
    land(folder / "feedback", [bounce(name) for name in hard])
    land(folder / "feedback", [bounce(name, mapping="soft") for name in soft[:3_000]], day=11)
    # What an overlapping window brings again.
    land(folder / "feedback", [bounce(name, day=11, mapping="soft") for name in soft[1_000:]], day=12)
    land(folder / "feedback", [feedback(name) for name in complaints], kind="complaints")
    bounced: dict[str, set[str]] = {}
    for name in soft:
        bounced.setdefault(owners[name], set()).add(name)
    reasons = {address: "Soft Bounce" for address, messages in bounced.items() if len(messages) >= 3}
    reasons |= {owners[name]: "Hard Bounce" for name in hard}
    return reasons | {owners[name]: "Complaint" for name in complaints}


@contextmanager
def interrupted(path: Path) -> Iterator[Callable[[], bool]]:
    """Let a file stop behind its beginning for who reads it; the value tells whether somebody does."""
    whole = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    writers: list[int] = []

    def reading() -> bool:
        # A pipe can be opened for writing once it is open for reading.
        with suppress(OSError):
            if not writers:
                writers.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                os.write(writers[0], whole[:30_000])
        return bool(writers)

    try:
        yield reading
    finally:
        for writer in writers:
            os.close(writer)
        path.unlink()
        path.write_bytes(whole)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_suppression_that_is_killed_while_it_attributes_and_while_it_blacklists_makes_the_same_list(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    expected = write_input(tmp_path)
    addresses, temporary = tmp_path / "addresses.ndjson", tmp_path / "tmp"
    temporary.mkdir()
    order = Order(
        operator="airflow_provider_messaging.operators.suppression.SuppressFeedbackOperator",
        state=str(tmp_path / "state.json"),
        arguments={
            "manifest_path": str(tmp_path / "sent"),
            "source_path": str(tmp_path / "feedback"),
            "addresses_path": str(addresses),
            "unattributed_path": str(tmp_path / "unattributed.ndjson"),
            "suppressed_path": str(tmp_path / "suppressed.ndjson"),
            "max_concurrency": 8,
        },
    )
    with interrupted(tmp_path / "sent" / "2.ndjson") as reading:
        kill_when(reading, order, temporary)
    assert not addresses.exists()
    sandbox.faults([{"vendor": "engageone", "operation": "blacklist", "fault": "latency", "delay": 0.03}])
    kill_when(lambda: requests(sandbox) >= len(expected) // 3, order, temporary)
    listed = addresses.read_bytes()
    land(tmp_path / "feedback", [bounce(f"m-{number}", day=13) for number in range(MESSAGES)], day=13)
    kill_when(lambda: requests(sandbox) >= 2 * len(expected) // 3, order, temporary)
    sandbox.clear_faults()
    result = finish(order, temporary)

    rows = sandbox.state("blacklist", vendor="engageone")
    assert {row["email"]: row["reason"] for row in rows} == expected
    assert len(expected) > 500
    assert addresses.read_bytes() == listed
    assert {line["email"]: line["reason"] for line in read_lines(addresses)} == expected
    assert result["addresses"] == result["accepted"] == len(expected)
    assert result["resumed"] > len(expected) // 3
    assert {line["recipient"] for line in read_lines(tmp_path / "suppressed.ndjson")} == expected.keys()
