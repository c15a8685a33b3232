"""The calls of Press'nXPress."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.pressnxpress import api as calls
from airflow_provider_messaging.vendors.pressnxpress.config import ContentType, PressnxpressConfig
from airflow_provider_messaging.vendors.pressnxpress.endpoints import ENDPOINTS, VENDOR, ChannelName
from tests.drivers import Drive
from tests.transport.parity.table import Table

CONTACT = {"email": "Jörg@BÜCHER.example", "company": "Müller & Söhne", "orderId": 4711, "VIP": True}
PHONE = {"phone": "+49 (30) 123456", "City": "Köln"}


@dataclass
class Given:
    config: PressnxpressConfig


def start(sandbox: Sandbox, drive: Drive) -> Given:
    document = json.loads(sandbox.connections["AIRFLOW_CONN_PRESSNXPRESS_DEFAULT"])
    fields = {name: document[name] for name in ("host", "password", "extra")}
    given = Given(PressnxpressConfig.read(ConnectionParts(id="c", vendor=VENDOR, **fields)))
    drive.run(enqueuing("email", {"email": "first@example.com"})(given))
    return given


def enqueuing(
    name: ChannelName, contact: dict[str, Any], content_type: ContentType = "json"
) -> Callable[[Given], Flow[Any]]:
    def flow(given: Given) -> Flow[Any]:
        api = calls.pressnxpress_api(given.config)
        channel = calls.enqueue_channel(api, given.config, name, content_type=content_type)
        return channel.send(list(channel.prepare([(0, contact)], reference_of=str, now=datetime.now(UTC))))  # type: ignore[arg-type]

    return flow


TABLE = Table(
    vendor=VENDOR,
    endpoints=ENDPOINTS,
    start=start,
    calls={"enqueue_email": enqueuing("email", CONTACT), "enqueue_sms": enqueuing("sms", PHONE, "form")},
    trouble={
        "throttled": ("enqueue_email", {"fault": "status", "status": 429, "retry_after": 1, "times": 1}),
        "unavailable": ("enqueue_sms", {"fault": "status", "status": 503, "retry_after": 1, "times": 1}),
        "a refused contact": ("enqueue_email", {"fault": "status", "status": 400}),
        "a refused key": ("enqueue_sms", {"fault": "status", "status": 401}),
        "an unknown touchpoint": ("enqueue_email", {"fault": "status", "status": 404}),
        "a server error": ("enqueue_email", {"fault": "status", "status": 500}),
        "a redirect": ("enqueue_email", {"fault": "status", "status": 302, "headers": {"Location": "/elsewhere"}}),
        "a lost reply": ("enqueue_sms", {"fault": "drop", "when": "after", "times": 1}),
        "a truncated answer": ("enqueue_email", {"fault": "truncate", "times": 1}),
        "a malformed answer": ("enqueue_sms", {"fault": "malformed", "times": 1}),
    },
)
