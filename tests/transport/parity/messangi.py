"""The calls of Messangi Digital Engagement."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.messangi import api as calls
from airflow_provider_messaging.vendors.messangi import auth, endpoints, rows, subscribers
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.messages import message_channel
from tests.drivers import Drive
from tests.transport.parity.table import Table

NOW = datetime.now(UTC)
LIST = "customers"
SUBSCRIBER = "crm/1 ü"
ONE = {"list_id": LIST, "subscriber_id": SUBSCRIBER}
SMS = {"reference": "known-1", "to": "+49 151 23456789", "from": "12345", "text": "Grüße ☺"}
EMAIL = {"reference": "e-1", "to": "jörg@bücher.example", "from": "shop@example.com", "subject": "Hi", "text": "Hallo"}
DEFAULTS = rows.Defaults()


@dataclass
class Given:
    config: MessangiConfig
    api: calls.MessangiApi


def start(sandbox: Sandbox, drive: Drive) -> Given:
    document = json.loads(sandbox.connections["AIRFLOW_CONN_MESSANGI_DEFAULT"])
    fields = {name: document[name] for name in ("host", "login", "password", "extra")}
    config = MessangiConfig.read(ConnectionParts(id="c", vendor=endpoints.VENDOR, **fields))
    given = Given(config, calls.messangi_api(config, cache=TokenCache()))
    sandbox.seed_listing("subscribers", 5, vendor=endpoints.VENDOR, list=LIST)
    drive.run(sending(subscribers.upsert_channel(given.api, LIST), {"id": SUBSCRIBER, "email": "a@example.com"}))
    drive.run(sending(message_channel(given.api, "sms", defaults=DEFAULTS, lookup_by_reference=True), SMS))
    return given


def sending(channel: SendChannel, row: object) -> Flow[Any]:
    return channel.send(list(channel.prepare([(0, row)], reference_of=str, now=NOW)))  # type: ignore[arg-type]


def message(name: endpoints.ChannelName, row: dict[str, Any]) -> Callable[[Given], Flow[Any]]:
    return lambda given: sending(message_channel(given.api, name, defaults=DEFAULTS), row)


TABLE = Table(
    vendor=endpoints.VENDOR,
    endpoints=endpoints.ENDPOINTS,
    start=start,
    calls={
        "login": lambda given: auth.log_in(given.config),
        "send_sms": message("sms", SMS),
        "get_message": lambda given: calls.get_message(given.api, "known-1"),
        "send_email": message("email", EMAIL),
        "send_whatsapp": message("whatsapp", {**SMS, "text": "Hallo"}),
        "send_notification": message("notification", {"channel": "PUSH", "request": {"to": "device", "body": "Hallo"}}),
        "create_wallet_template": lambda given: calls.create_wallet_template(given.api, {"name": "Karte ü"}),
        "list_lists": lambda given: calls.iter_items(given.api, endpoints.LIST_LISTS),
        "create_list": lambda given: calls.write(given.api, endpoints.CREATE_LIST, {}, {"name": "more"}),
        "get_list": lambda given: calls.get_resource(given.api, endpoints.GET_LIST, {"list_id": LIST}),
        "delete_list": lambda given: given.api.call(endpoints.DELETE_LIST, segments={"list_id": LIST}),
        "list_subscribers": lambda given: calls.iter_items(
            given.api, endpoints.LIST_SUBSCRIBERS, segments={"list_id": LIST}, page_size=2
        ),
        "create_subscriber": lambda given: calls.write(
            given.api, endpoints.CREATE_SUBSCRIBER, {"list_id": LIST}, {"email": "new@example.com"}
        ),
        "get_subscriber": lambda given: calls.get_subscriber(given.api, LIST, SUBSCRIBER),
        "upsert_subscriber": lambda given: sending(
            subscribers.upsert_channel(given.api, LIST), {"id": SUBSCRIBER, "phone": "4915123456789"}
        ),
        "patch_subscriber": lambda given: calls.write(
            given.api, endpoints.PATCH_SUBSCRIBER, ONE, {"data": {"name": "Jörg"}}
        ),
        "delete_subscriber": lambda given: sending(subscribers.delete_channel(given.api, LIST), SUBSCRIBER),
        "list_owners": lambda given: calls.iter_items(given.api, endpoints.LIST_OWNERS),
    },
    listings=frozenset({"list_lists", "list_subscribers", "list_owners"}),
    trouble={
        "an unknown message": ("get_message", {"fault": "status", "status": 404}),
        "an unknown subscriber": ("get_subscriber", {"fault": "status", "status": 404}),
        "an unknown list": ("list_subscribers", {"fault": "status", "status": 404}),
        "a removal of nobody": ("delete_subscriber", {"fault": "status", "status": 404}),
        "a server error": ("list_lists", {"fault": "status", "status": 500, "times": 2}),
        "throttled": ("send_sms", {"fault": "status", "status": 429, "retry_after": 1, "times": 1}),
        "an expired token": ("send_email", {"fault": "expire_token", "times": 1}),
        "a refused token": ("list_owners", {"fault": "status", "status": 401}),
        "a second factor": ("upsert_subscriber", {"fault": "status", "status": 402, "times": 1}),
        "a second factor that is refused": ("get_list", {"fault": "status", "status": 402}),
        "a refused login": ("login", {"fault": "status", "status": 403}),
        "a lost reply of a send": ("send_sms", {"fault": "drop", "when": "after", "times": 1}),
        "a lost reply of an upsert": ("upsert_subscriber", {"fault": "drop", "when": "after", "times": 1}),
        "a truncated answer of a send": ("send_whatsapp", {"fault": "truncate", "times": 1}),
        "a malformed answer of a send": ("send_notification", {"fault": "malformed", "times": 1}),
        "a malformed listing": ("list_subscribers", {"fault": "malformed", "times": 1}),
        "a rejection with status 200": (
            "send_sms",
            {"fault": "status", "status": 200, "body": '{"status": "REJECTED", "description": "no"}'},
        ),
        "a throttled template": (
            "create_wallet_template",
            {"fault": "status", "status": 503, "retry_after": 1, "times": 1},
        ),
        "a wrong path": ("patch_subscriber", {"fault": "status", "status": 405}),
    },
)
