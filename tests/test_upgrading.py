"""What docs/upgrading.md promises of the state that one release leaves for the next.

A value here that has to be changed is a change of behaviour: it stands first in the changelog, and in no patch release.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.ledger import VERSION, Ledger
from airflow_provider_messaging.delivery.references import SendIdentity
from airflow_provider_messaging.hooks._state import LEDGER_KEY
from airflow_provider_messaging.operators.engageone import BlacklistAddressOperator
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator, SendPushBatchOperator
from airflow_provider_messaging.operators.messangi import SendMessageOperator, UpsertSubscribersOperator
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from tests.contexts import StateStore, fresh_tokens, task_context

__all__ = ["fresh_tokens"]

# As 0.1.0 leaves it when it is killed: of 500 messages in 5 batches two are settled, three were about to be sent.
LEFT_BY_0_1_0 = json.loads("""{
  "v": 1,
  "started": "2026-11-01T00:00:00+00:00",
  "updated": "2026-11-01T00:01:00+00:00",
  "tracking_proven": false,
  "complete": false,
  "witness": "m-0",
  "done": [
    2,
    200,
    "640c7748f698257b4d1d1368e2b9796d"
  ],
  "marks": [
    [
      2,
      200,
      "640c7748f698257b4d1d1368e2b9796d"
    ]
  ],
  "open": [
    {
      "sizes": [
        100,
        100,
        100
      ],
      "states": "???",
      "digest": "d60e78339d7fef18f54e9966b663007a"
    }
  ],
  "not_taken": "c-mtJ000O82m",
  "perhaps": "",
  "outcomes": {},
  "receipts": []
}""")


def test_the_version_of_the_ledger_is_the_one_that_the_docs_name() -> None:
    assert VERSION == LEFT_BY_0_1_0["v"] == 1


def test_a_ledger_that_0_1_0_left_is_read() -> None:
    ledger = Ledger.load(LEFT_BY_0_1_0)
    assert (ledger.accepted, len(ledger.perhaps), ledger.not_taken) == (199, 300, {7})
    assert (ledger.recorded.batches, ledger.recorded.messages) == (5, 500)
    assert ledger.witness == "m-0"


def test_a_ledger_of_a_newer_release_sends_nothing_and_leaves_the_next_try_to_a_worker_that_has_it(
    connections: None, sandbox: Any
) -> None:
    store = StateStore()
    operator = SendPushBatchOperator(task_id="push", messages=[PUSH])
    store.set(LEDGER_KEY, {"generation": 0, "cleared_at": None, "ledger": {**LEFT_BY_0_1_0, "v": VERSION + 1}})
    with pytest.raises(ConfigurationError, match="finish the run with the release that began it"):
        operator.execute(task_context(store=store))
    assert sandbox.counts()["total"] == 0
    assert json.loads(store.values[LEDGER_KEY])["ledger"]["v"] == VERSION + 1


def test_a_row_without_a_reference_gets_the_one_that_0_1_0_gave_it() -> None:
    send = SendIdentity(dag_id="mailing", run_id="manual__1", task_id="send", map_index=-1, generation=0)
    assert send.reference(0) == "27323d1312eb4f6d0e139d2adb11ee77"


PUSH = {"reference": "m-1", "token": "device-1", "provider": "apple", "title": "Hello", "body": "Dear Ada"}


@pytest.mark.parametrize(
    ("operator", "digest"),
    [
        (
            SendEmailBatchOperator(
                task_id="email",
                messages=[{"reference": "m-1", "to": "Ada <ada@example.com>", "name": "Ada"}],
                subject="Hello {{ name }}",
                html="<p>Dear {{ name }}</p>",
                defaults={"from": "shop@example.com"},
            ),
            "7b098210ff3600bcde242950bcfd84ae",
        ),
        (SendPushBatchOperator(task_id="push", messages=[PUSH]), "0f0b98d3c20ffec8b2866fed84b8c774"),
        (
            BlacklistAddressOperator(task_id="blacklist", emails=["Ada@Example.com"], reason="Complaint"),
            "948df7a3a56b4412ca9b69ea7c836aa7",
        ),
        (
            SendMessageOperator(task_id="sms", to="+4930123456", text="Hello", sender="Shop", reference="m-1"),
            "35685af3b63831c029e4839c3da18562",
        ),
        (
            UpsertSubscribersOperator(
                task_id="list", list_id="news", subscribers=[{"id": "1", "email": "a@example.com"}]
            ),
            "62e5e666b04451feb689b19adc63f207",
        ),
        (
            EnqueueFeedbackOperator(task_id="ask", contacts=[{"email": "ada@example.com", "orderId": 1}]),
            "556c62585949452f77b7c4cd26fb6cc6",
        ),
    ],
    ids=lambda value: getattr(value, "task_id", ""),
)
def test_the_digest_of_an_input_is_that_of_0_1_0(operator: Any, digest: str, connections: None, sandbox: Any) -> None:
    """A retry that another release makes finds its input unchanged."""
    sandbox.seed_listing("subscribers", 1, vendor="messangi", list="news")
    store = StateStore()
    operator.execute(task_context(store=store))
    ledger = json.loads(store.values[LEDGER_KEY])["ledger"]
    assert (ledger["v"], ledger["done"]) == (1, [1, 1, digest])
