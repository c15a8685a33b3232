"""Rows that are completed from templates and files, over tries that are killed or find something else."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.attachments import Attachments, Read, Unreadable
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transport.aio import AsyncTransport
from airflow_provider_messaging.vendors.marigold.compose import Composer
from tests.delivery.sending import TRANSPORT, MemoryStore, Send, accepted, channel, fault, references, row
from tests.delivery.test_kills import assert_complete, task

MESSAGES = 2_000


def recipients(folder: Path, count: int) -> list[dict[str, Any]]:
    """Rows of a template's variables, every second one with one of ten files attached."""
    files = [folder / f"{number}.txt" for number in range(10)]
    for path in files:
        path.write_text(path.name)
    return [
        {
            "to": f"user{number}@example.com",
            "name": f"No. {number}",
            "attachments": [{"path": str(files[number % 10])}] if number % 2 else None,
        }
        for number in range(count)
    ]


def test_a_send_from_a_template_that_is_killed_again_and_again_has_each_message_accepted_once(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    rng = random.Random(5)
    given = recipients(tmp_path, MESSAGES)
    bad = set(rng.sample(range(MESSAGES), 10))
    for number in bad:
        del given[number]["name"]
    sandbox.faults([fault("latency", delay=0.015), fault("latency", when="after", delay=0.015)])
    killed = task(sandbox, tmp_path, given, html="<p>Dear {{ name }}</p>")
    for _ in range(3):
        enough = sandbox.counts("marigold")["total"] + rng.randint(1, 400)
        killed.kill_when(lambda enough=enough: sandbox.counts("marigold")["total"] >= enough)  # type: ignore[misc]
    sandbox.clear_faults()
    good = [number for number in range(MESSAGES) if number not in bad]
    assert_complete(killed, sandbox, killed.finish(), good, len(bad))


@pytest.mark.parametrize("change", ["another content", "gone"])
async def test_a_file_that_changes_between_two_readings_of_a_try_stops_it(sandbox: Sandbox, change: str) -> None:
    """A file that a retry finds unchanged when it checks, and changed when it sends, must not shift the record."""
    readings: list[str] = []

    def open_path(path: str) -> Read:
        readings.append(path)
        changed = len(readings) > 5

        def read(most: int) -> bytes:
            if changed and change == "gone":
                raise Unreadable("ATTACHMENT_NOT_FOUND", "there is no such file")
            return b"after" if changed else b"before"

        return read

    def composed() -> Any:
        attachments = Attachments(open_path, most_bytes=1_000, cache_bytes=0)
        return replace(channel(sandbox.url), composer=Composer(attachments=attachments, most_bytes=4_000_000))

    given = [row(number) for number in range(1_000)]
    for number, name in enumerate(["a", "b"]):
        given[number]["attachments"] = [{"path": name}]
    sandbox.faults([fault("status", status=403, skip=5)])
    send = Send(url=sandbox.url, rows=given, channel=composed())
    assert (await send.attempt()).error is not None
    assert readings == ["a", "b"]
    sandbox.clear_faults()
    taken = accepted(sandbox)
    attempt = await send.with_(channel=composed()).attempt()
    assert readings == ["a", "b"] * 3
    assert isinstance(attempt.error, ConfigurationError)
    assert "changed while they were read" in str(attempt.error)
    assert "this try stopped there" in str(attempt.error)
    assert not attempt.published
    assert accepted(sandbox) == taken
    assert set(taken) <= set(references(1_000))


async def test_rows_that_are_gone_when_they_are_read_again_stop_the_try(sandbox: Sandbox) -> None:
    given = [row(number) for number in range(300)]
    store = MemoryStore()
    assert (await Send(url=sandbox.url, rows=given, store=store).attempt()).done
    passes = [given, given[:100]]
    send = Send(url=sandbox.url, rows=given, store=store)
    async with AsyncTransport(TRANSPORT) as runner:
        outputs = Outputs(manifest=None, rejects=None, origin={})
        delivery = send.delivery(runner, outputs)
        delivery._rows = lambda: passes.pop(0)
        with pytest.raises(ConfigurationError, match="shorter while it was read"):
            await delivery.run()
    assert accepted(sandbox) == Counter(references(300))
