"""Wrong credentials cost a request, not one for each thing to do: a vendor may lock an account that goes on trying."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.operators import engageone, marigold, messangi, pressnxpress
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.sensors.engageone import CampaignSendSensor
from airflow_provider_messaging.sensors.marigold import ArchiveExportSensor, BounceSensor, DeliverySensor
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator
from tests.contexts import StateStore, fresh_tokens, task_context

__all__ = ["fresh_tokens"]

MANY = 200
AT_ONCE = 2
"""Requests under way together, where there is no token to wait for."""
ADDRESSES = [f"user{number}@example.com" for number in range(MANY)]
IDS = [f"m-{number}" for number in range(MANY)]
EMAILS = [{"to": to, "from": "news@example.com", "subject": "Hi", "text": "Hello"} for to in ADDRESSES]
PUSHES = [{"token": name, "provider": "apple", "title": "Hi", "body": "Hello"} for name in IDS]
SMS = [{"to": f"+3933312345{number:03}", "from": "shop", "text": "Hello"} for number in range(MANY)]
RECORDS = [{"customer": {"email": to}} for to in ADDRESSES]
CAMPAIGN = {
    "campaign": "c",
    "communication": "Example",
    "email_json_path": "$.customer.email",
    "sender": "s@example.com",
}
DAYS = {"start": "2026-03-01", "end": "2026-03-20"}

ASKING = ("token", "login", "enqueue_email")

WORK: dict[str, Callable[[str], Any]] = {
    "send e-mail": lambda path: marigold.SendEmailBatchOperator(task_id="t", messages=EMAILS * 10),
    "send push": lambda path: marigold.SendPushBatchOperator(task_id="t", messages=PUSHES * 10),
    "export the archive": lambda path: marigold.ExportArchiveOperator(task_id="t", profile_ids=IDS, export_path=path),
    "erase profiles": lambda path: marigold.DeleteProfileArchiveOperator(task_id="t", profile_ids=IDS),
    "statistics": lambda path: marigold.GetStatisticsOperator(task_id="t", **DAYS),
    "land feedback": lambda path: FeedbackToObjectStorageOperator(task_id="t", path=path, **DAYS),
    "wait for bounces": lambda path: BounceSensor(task_id="t", start="2026-03-01"),
    "wait for deliveries": lambda path: DeliverySensor(task_id="t", references=IDS),
    "wait for the archive": lambda path: ArchiveExportSensor(task_id="t", references=IDS),
    "send a campaign": lambda path: engageone.SendCampaignOperator(
        task_id="t", dataset=RECORDS, chunk_size=10, **CAMPAIGN
    ),
    "wait for a campaign": lambda path: CampaignSendSensor(task_id="t", send_ids=IDS),
    "send SMS": lambda path: messangi.SendMessageOperator(task_id="t", messages=SMS),
    "upsert": lambda path: messangi.UpsertSubscribersOperator(
        task_id="t", list_id="customers", subscribers=[{"id": i, "email": "a@example.com"} for i in IDS]
    ),
    "delete": lambda path: messangi.DeleteSubscribersOperator(task_id="t", list_id="customers", subscribers=IDS),
    "ask for feedback": lambda path: pressnxpress.EnqueueFeedbackOperator(
        task_id="t", contacts=[{"email": to} for to in ADDRESSES], max_concurrency=AT_ONCE
    ),
}


@pytest.mark.parametrize("work", WORK)
def test_wrong_credentials_are_not_tried_again_and_again(
    work: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in sandbox.connections.items():
        monkeypatch.setenv(name, re.sub("sandbox-(secret|password|api-key)", "not-the-secret", value))
    # As long as a vendor takes: all that begins together waits for the same token.
    sandbox.faults([{"operation": operation, "fault": "latency", "delay": 0.5} for operation in ASKING])
    operator = WORK[work](str(tmp_path))
    with pytest.raises(AirflowFailException, match=r"no token for this|refuses the credentials"):
        operator.execute(task_context(store=StateStore(), task=operator))
    assert len(sandbox.requests()) == (AT_ONCE if work == "ask for feedback" else 1)
    assert sandbox.counts()["total"] == 0
