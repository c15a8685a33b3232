"""The code of the guide to adding a vendor runs, and what it builds works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Api, NoAuth, Problem
from airflow_provider_messaging.hooks._base import Client, MessagingHook
from airflow_provider_messaging.operators._delivery import DeliveryOperator
from airflow_provider_messaging.transport.options import TransportOptions
from tests.contexts import StateStore, task_context
from tests.transport.servers import Answer, Server, reply

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "adding-a-vendor.md"


class PigeonHook(MessagingHook):
    conn_name_attr = "pigeon_conn_id"
    conn_type = "pigeon"

    def build_client(self, parts: ConnectionParts) -> Client:
        api = Api(
            vendor="pigeon",
            connection=parts.id,
            base_url=parts.host_url() or "",
            auth=NoAuth(),
            read_problem=lambda _: Problem(),
        )
        return Client(api=api, options=TransportOptions.from_extra("pigeon", parts.extra))

    def describe_access(self) -> str:
        return ""


@pytest.fixture
def guide() -> dict[str, Any]:
    """What the guide's blocks define, each with what those before it defined."""
    space: dict[str, Any] = {"DeliveryOperator": DeliveryOperator, "PigeonHook": PigeonHook}
    for block in re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.S | re.M):
        exec(compile(block, GUIDE.name, "exec"), space)
    return space


@pytest.fixture
def answers() -> list[Answer]:
    """What the vendor answers; the last one is repeated."""
    return [reply(202)]


@pytest.fixture
def vendor(answers: list[Answer], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(answers)
    monkeypatch.setenv("AIRFLOW_CONN_PIGEON_DEFAULT", json.dumps({"conn_type": "pigeon", "host": server.url}))
    yield server
    server.stop()


def letters(server: Server) -> list[str]:
    return [letter["to"] for request in server.requests for letter in json.loads(request.body)]


def test_the_guides_operator_sends_each_letter_and_rejects_what_breaks_its_rule(
    guide: dict[str, Any], vendor: Server, tmp_path: Path
) -> None:
    rows: list[dict[str, str]] = [{"to": f"loft {number}"} for number in range(120)]
    rows[7] = {"text": "to nobody"}
    operator = guide["SendLettersOperator"](
        task_id="send",
        letters=rows,
        on_rejected="continue",
        manifest_path=str(tmp_path / "manifest.ndjson"),
        rejects_path=str(tmp_path / "rejects.ndjson"),
    )
    found = operator.execute(task_context(store=StateStore()))
    assert (found["letters"], found["accepted"], found["rejected"], found["requests"]) == (120, 119, 1, 3)
    assert sorted(letters(vendor)) == sorted(row["to"] for row in rows if "to" in row)
    assert len((tmp_path / "manifest.ndjson").read_text().splitlines()) == 119


def test_the_guides_operator_sends_nothing_again_of_which_nobody_can_say_whether_it_was_taken(
    guide: dict[str, Any], vendor: Server, answers: list[Answer]
) -> None:
    answers[:] = [reply(202), reply(500), reply(202)]
    operator = guide["SendLettersOperator"](
        task_id="send",
        letters=[{"to": f"loft {number}"} for number in range(150)],
        on_ambiguous="continue",
        max_concurrency=1,
    )
    store = StateStore()
    for _ in range(2):
        found = operator.execute(task_context(store=store))
        assert (found["accepted"], found["ambiguous"]) == (100, 50)
    assert len(letters(vendor)) == len(set(letters(vendor))) == 150
