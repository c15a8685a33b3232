"""The calls of Marigold Engage Delivery Cloud."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.marigold import api as calls
from airflow_provider_messaging.vendors.marigold import archive, statistics, subscriptions
from airflow_provider_messaging.vendors.marigold.auth import bearer_auth
from airflow_provider_messaging.vendors.marigold.config import MarigoldConfig
from airflow_provider_messaging.vendors.marigold.endpoints import ENDPOINTS, VENDOR
from airflow_provider_messaging.vendors.marigold.problems import read_problem
from airflow_provider_messaging.vendors.marigold.sending import email_channel, push_channel
from tests.drivers import Drive
from tests.transport.parity.table import Table

NOW = datetime.now(UTC)
DAY = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))
EMAIL = {
    "reference": "known-1",
    "to": "hard-bounce@example.com",
    "from": "shop@example.com",
    "subject": "Grüße",
    "text": "Hallo",
    "profile": "crm/1",
    "archive_enabled": True,
    "attachments": [{"file_name": "../a b.txt", "data": "aGVsbG8=", "mime_type": "text/plain"}],
}
PUSH = {"reference": "push-1", "token": "device-1", "provider": "apple", "title": "Hallo", "body": "Welt"}


def start(sandbox: Sandbox, drive: Drive) -> Api:
    given = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    fields = {name: given[name] for name in ("host", "login", "password", "extra")}
    config = MarigoldConfig.read(ConnectionParts(id="c", vendor=VENDOR, **fields))
    api = Api(
        vendor=VENDOR,
        connection="c",
        base_url=config.base_url,
        auth=bearer_auth(config, cache=TokenCache()),
        read_problem=read_problem,
    )
    drive.run(sending(email_channel, EMAIL)(api))
    sandbox.subscribe("http://127.0.0.1:9/", id="parity")
    for kind in ("bounces", "complaints", "list_unsubscribes"):
        sandbox.seed(kind, 3, (NOW - timedelta(hours=2)).isoformat(), NOW.isoformat())
    return api


def sending(channel_of: Callable[[Api], SendChannel], *rows: dict[str, Any]) -> Callable[[Api], Flow[Any]]:
    def flow(api: Api) -> Flow[Any]:
        channel = channel_of(api)
        return channel.send(list(channel.prepare(list(enumerate(rows)), reference_of=str, now=NOW)))  # type: ignore[arg-type]

    return flow


def reading(kind: str) -> Callable[[Api], Flow[Any]]:
    return lambda api: calls.iter_feedback(api, kind, DAY, page_size=2)


TABLE = Table(
    vendor=VENDOR,
    endpoints=ENDPOINTS,
    start=start,
    calls={
        "token": lambda api: api.auth.fetch(),
        "send_email": sending(email_channel, EMAIL),
        "send_push": sending(push_channel, PUSH),
        "statistics": lambda api: statistics.iter_statistics(api, DAY),
        "archive_list": lambda api: archive.iter_archive(api, "crm/1", page_size=2),
        "archive_delete_profile": lambda api: archive.delete_profile(api, "crm/1"),
        "archive_get": lambda api: archive.get_message(api, "crm/1", "known-1", tracking=True),
        "archive_delete": lambda api: archive.delete_message(api, "crm/1", "known-1"),
        "archive_download": lambda api: archive.download_message(api, "crm/1", "known-1", path=None, max_bytes=10**6),
        "archive_attachment": lambda api: archive.download_attachment(
            api, "crm/1", "known-1", "../a b.txt", path=None, max_bytes=10**6
        ),
        "archive_preview": lambda api: archive.preview_message(
            api, "crm/1", "known-1", "pdf", path=None, max_bytes=10**6
        ),
        "track": lambda api: calls.track(api, "known-1"),
        "bounces": reading("bounces"),
        "list_unsubscribes": reading("list_unsubscribes"),
        "complaints": reading("complaints"),
        "bounce": lambda api: calls.get_bounce(api, "known-1"),
        "list_subscriptions": subscriptions.list_subscriptions,
        "create_subscription": lambda api: subscriptions.create_subscription(api, {"url": "http://127.0.0.1:9/"}),
        # The only id of a sandbox's subscription that is known before there is one.
        "delete_subscription": lambda api: subscriptions.delete_subscription(api, "parity"),
    },
    listings=frozenset({"bounces", "complaints", "list_unsubscribes", "statistics", "archive_list"}),
    trouble={
        "an unknown reference": ("track", {"fault": "status", "status": 404}),
        "a server error": ("bounces", {"fault": "status", "status": 500, "times": 2}),
        "throttled": ("send_email", {"fault": "status", "status": 429, "retry_after": 1, "times": 1}),
        "an expired token": ("complaints", {"fault": "expire_token", "times": 1}),
        "a lost reply of a send": ("send_email", {"fault": "drop", "when": "after", "times": 1}),
        "a lost reply of a read": ("track", {"fault": "drop", "when": "after", "times": 1}),
        "a truncated answer": ("bounces", {"fault": "truncate", "times": 1}),
        "a malformed answer": ("bounces", {"fault": "malformed", "times": 1}),
        "a truncated download": ("archive_download", {"fault": "truncate", "times": 1}),
        "an unknown attachment": ("archive_attachment", {"fault": "status", "status": 404}),
        "a link to another host": (
            "archive_list",
            {"fault": "status", "status": 200, "body": '{"value": [], "@next_link": "http://127.0.0.2:1/x"}'},
        ),
        "a lost reply of a subscription": ("create_subscription", {"fault": "drop", "when": "after", "times": 1}),
        "a subscription that is gone": ("delete_subscription", {"fault": "status", "status": 404}),
        "a wrong path": ("bounce", {"fault": "status", "status": 405}),
    },
)
