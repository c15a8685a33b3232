"""The calls of EngageOne Communicate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.multipart import FilePart
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.engageone import assets, campaigns, endpoints, listings, suppression
from airflow_provider_messaging.vendors.engageone.config import EngageOneConfig
from airflow_provider_messaging.vendors.engageone.services import EngageOne
from tests.drivers import Drive
from tests.transport.parity.table import Table

NOW = datetime.now(UTC)
LISTED = "jörg@bücher.example"
CAMPAIGN = campaigns.Campaign(
    campaign="newsletter", communication="Example", email_json_path="email", sender="shop@example.com"
)
RECORDS = [{"email": "jane@example.com", "name": "Jané"}, {"email": "joe@example.com", "reference": "r-2"}]
LISTS = {
    "campaigns": "campaign-000001",
    "communications": "communication-000001",
    "templates": "template-000002",
    "data_sources": "data-000001",
}


@dataclass
class Given:
    """The services, and a send that was made before."""

    services: EngageOne
    send_id: str = ""

    @property
    def public(self) -> Api:
        return self.services.api("public")

    @property
    def private(self) -> Api:
        return self.services.api("private")

    @property
    def api(self) -> Api:
        return self.services.api()


def start(sandbox: Sandbox, drive: Drive) -> Given:
    document = json.loads(sandbox.connections["AIRFLOW_CONN_ENGAGEONE_DEFAULT"])
    fields = {name: document[name] for name in ("host", "login", "password", "extra")}
    config = EngageOneConfig.read(ConnectionParts(id="c", vendor=endpoints.VENDOR, **fields))
    sandbox.settings(endpoints.VENDOR, send_delay=0)
    given = Given(EngageOne.of(config, cache=TokenCache()))
    given.send_id = drive.run(sending("v2")(given)).receipt
    drive.run(suppressing(suppression.blacklist_channel)(given))
    return given


def sending(version: campaigns.Version) -> Callable[[Given], Flow[Any]]:
    return lambda given: one_request(campaigns.campaign_channel(given.api, CAMPAIGN, version=version), *RECORDS)


def suppressing(channel_of: Callable[[Api], SendChannel]) -> Callable[[Given], Flow[Any]]:
    return lambda given: one_request(channel_of(given.public), LISTED)


def one_request(channel: SendChannel, *rows: object) -> Flow[Any]:
    return channel.send(list(channel.prepare(list(enumerate(rows)), reference_of=str, now=NOW)))  # type: ignore[arg-type]


def listing(name: str) -> Callable[[Given], Flow[Any]]:
    endpoint = endpoints.ENDPOINTS[f"list_{name}"]
    return lambda given: listings.iter_items(given.private, endpoint, page_size=2)


def getting(name: str, item_id: str) -> Callable[[Given], Flow[Any]]:
    endpoint: Endpoint = endpoints.ENDPOINTS[f"get_{name.removesuffix('s')}"]
    return lambda given: listings.get_item(given.private, endpoint, item_id)


def uploading(given: Given) -> Flow[Any]:
    pieces = [b"\x89PNG", b"x" * 100_000]
    length = sum(map(len, pieces))
    file = FilePart(name="file", file_name='logo "1" ü.png', open=lambda: iter(pieces), length=length)
    return assets.upload_asset(given.private, file, {"folder": "2026"})


TABLE = Table(
    vendor=endpoints.VENDOR,
    endpoints=endpoints.ENDPOINTS,
    start=start,
    calls={
        "token": lambda given: given.services.auth.fetch(),
        "send_campaign": sending("v2"),
        "send_campaign_v1": sending("v1"),
        "send_status": lambda given: campaigns.send_status(given.api, given.send_id),
        "blacklist": suppressing(suppression.blacklist_channel),
        "unblacklist": suppressing(suppression.unblacklist_channel),
        "verify": suppressing(suppression.verify_channel),
        "create_campaign": lambda given: campaigns.create_campaign(given.private, {"name": "spring sale"}),
        "upload_asset": uploading,
        **{f"list_{name}": listing(name) for name in LISTS},
        **{f"get_{name.removesuffix('s')}": getting(name, item_id) for name, item_id in LISTS.items()},
    },
    listings=frozenset(f"list_{name}" for name in LISTS),
    trouble={
        "an unknown send": ("send_status", {"fault": "status", "status": 404}),
        "a server error": ("list_campaigns", {"fault": "status", "status": 500, "times": 2}),
        "throttled": ("blacklist", {"fault": "status", "status": 429, "retry_after": 1, "times": 1}),
        "an expired token": ("send_campaign", {"fault": "expire_token", "times": 1}),
        "a refused token": ("get_campaign", {"fault": "status", "status": 401}),
        "a lost reply of a send": ("send_campaign", {"fault": "drop", "when": "after", "times": 1}),
        "a lost reply of an upload": ("upload_asset", {"fault": "drop", "when": "after", "times": 1}),
        "a throttled upload": ("upload_asset", {"fault": "status", "status": 503, "retry_after": 1, "times": 1}),
        "a lost reply of a removal": ("unblacklist", {"fault": "drop", "when": "after", "times": 1}),
        "a truncated answer of a send": ("send_campaign_v1", {"fault": "truncate", "times": 1}),
        "a malformed answer of a listing": ("list_templates", {"fault": "malformed", "times": 1}),
        "a malformed verification": ("verify", {"fault": "malformed", "times": 1}),
        "a wrong path": ("blacklist", {"fault": "status", "status": 404}),
        "a web server's 404": ("unblacklist", {"fault": "status", "status": 404, "body": "<h1>Not Found</h1>"}),
        "a token that is none": ("token", {"fault": "status", "status": 200, "body": "{}"}),
    },
)
