"""Every endpoint of every vendor, over both drivers: the same requests arrive, the same results come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.messages import Ambiguous
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.marigold import api as calls
from airflow_provider_messaging.vendors.marigold import archive, statistics
from airflow_provider_messaging.vendors.marigold.auth import bearer_auth
from airflow_provider_messaging.vendors.marigold.config import MarigoldConfig
from airflow_provider_messaging.vendors.marigold.endpoints import ENDPOINTS, VENDOR
from airflow_provider_messaging.vendors.marigold.problems import read_problem
from tests.drivers import AsyncDriver, Drive, SyncDriver

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
LISTINGS = {"bounces", "complaints", "list_unsubscribes", "statistics", "archive_list"}
PUSH = {"reference": "push-1", "token": "device-1", "provider": "apple", "title": "Hallo", "body": "Welt"}


def sending(channel_of: Callable[[Api], calls.SendChannel], *rows: dict[str, Any]) -> Callable[[Api], Flow[Any]]:
    def flow(api: Api) -> Flow[Any]:
        channel = channel_of(api)
        return channel.send(channel.prepare(list(enumerate(rows)), reference_of=str, now=NOW))  # type: ignore[arg-type]

    return flow


def reading(kind: str) -> Callable[[Api], Flow[Any]]:
    return lambda api: calls.iter_feedback(api, kind, DAY, page_size=2)


CALLS: dict[str, Callable[[Api], Flow[Any]]] = {
    "token": lambda api: api.auth.fetch(),  # type: ignore[attr-defined]
    "send_email": sending(calls.email_channel, EMAIL),
    "send_push": sending(calls.push_channel, PUSH),
    "statistics": lambda api: statistics.iter_statistics(api, DAY),
    "archive_list": lambda api: archive.iter_archive(api, "crm/1", page_size=2),
    "archive_delete_profile": lambda api: archive.delete_profile(api, "crm/1"),
    "archive_get": lambda api: archive.get_message(api, "crm/1", "known-1", tracking=True),
    "archive_delete": lambda api: archive.delete_message(api, "crm/1", "known-1"),
    "archive_download": lambda api: archive.download_message(api, "crm/1", "known-1", path=None, max_bytes=10**6),
    "archive_attachment": lambda api: archive.download_attachment(
        api, "crm/1", "known-1", "../a b.txt", path=None, max_bytes=10**6
    ),
    "archive_preview": lambda api: archive.preview_message(api, "crm/1", "known-1", "pdf", path=None, max_bytes=10**6),
    "track": lambda api: calls.track(api, "known-1"),
    "bounces": reading("bounces"),
    "list_unsubscribes": reading("list_unsubscribes"),
    "complaints": reading("complaints"),
    "bounce": lambda api: calls.get_bounce(api, "known-1"),
}
UNHAPPY: dict[str, tuple[str, dict[str, Any] | None]] = {
    "an unknown reference": ("track", {"operation": "track", "fault": "status", "status": 404}),
    "a server error": ("bounces", {"operation": "bounces", "fault": "status", "status": 500, "times": 2}),
    "throttled": (
        "send_email",
        {"operation": "send_email", "fault": "status", "status": 429, "retry_after": 1, "times": 1},
    ),
    "an expired token": ("complaints", {"operation": "complaints", "fault": "expire_token", "times": 1}),
    "a lost reply of a send": ("send_email", {"operation": "send_email", "fault": "drop", "when": "after", "times": 1}),
    "a lost reply of a read": ("track", {"operation": "track", "fault": "drop", "when": "after", "times": 1}),
    "a truncated answer": ("bounces", {"operation": "bounces", "fault": "truncate", "times": 1}),
    "a malformed answer": ("bounces", {"operation": "bounces", "fault": "malformed", "times": 1}),
    "a truncated download": ("archive_download", {"operation": "archive_download", "fault": "truncate", "times": 1}),
    "an unknown attachment": (
        "archive_attachment",
        {"operation": "archive_attachment", "fault": "status", "status": 404},
    ),
    "a link to another host": (
        "archive_list",
        {
            "operation": "archive_list",
            "fault": "status",
            "status": 200,
            "body": '{"value": [], "@next_link": "http://127.0.0.2:1/x"}',
        },
    ),
    "a wrong path": ("bounce", {"operation": "bounce", "fault": "status", "status": 405}),
}


@pytest.fixture
def drives() -> Iterator[list[Drive]]:
    with ExitStack() as stack:
        yield [Drive(kind, stack) for kind in (SyncDriver, AsyncDriver)]


def make_api(sandbox: Sandbox) -> Api:
    given = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    fields = {name: given[name] for name in ("host", "login", "password", "extra")}
    config = MarigoldConfig.read(ConnectionParts(id="c", vendor=VENDOR, **fields))
    return Api(
        vendor=VENDOR,
        connection="c",
        base_url=config.base_url,
        auth=bearer_auth(config, cache=TokenCache()),
        read_problem=read_problem,
    )


def seen_and_result(sandbox: Sandbox, drive: Drive, operation: str, fault: dict[str, Any] | None) -> tuple[Any, Any]:
    """Start from the same state, make the call, and return what the server saw and what came of it."""
    sandbox.reset()
    api = make_api(sandbox)
    drive.run(sending(calls.email_channel, EMAIL)(api))
    for kind in ("bounces", "complaints", "list_unsubscribes"):
        sandbox.seed(kind, 3, (NOW - timedelta(hours=2)).isoformat(), NOW.isoformat())
    if fault:
        sandbox.faults([{"vendor": VENDOR, **fault}])
    before = sandbox.requests()[-1]["number"]
    result: Any
    try:
        flow = CALLS[operation](api)
        result = drive.take(flow) if operation in LISTINGS else drive.run(flow)
    except MessagingError as error:
        result = error
    compared = ("operation", "method", "path", "query", "status", "bytes", "messages", "fault")
    return [{name: entry.get(name) for name in compared} for entry in sandbox.requests(after=before)], plain(result)


def plain(value: Any) -> Any:
    """Make results comparable; ids and times differ from one send to the next."""
    if isinstance(value, MessagingError):
        return type(value).__name__, str(value), value.retryable
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Raw):
        return {name: plain(item) for name, item in msgspec.json.decode(value).items() if name != "timestamp"}
    if isinstance(value, Ambiguous):
        return value.reason.partition(" (")[0]  # what follows is the library's own name of the error
    if is_dataclass(value) and not isinstance(value, type):
        return {
            name: plain(item) for name, item in asdict(value).items() if name not in {"value", "expires_at", "errors"}
        }
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__ if name in {"type", "reference"}}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in {"timestamp", "id"}}
    return value


def test_every_endpoint_has_a_call_here() -> None:
    assert CALLS.keys() == ENDPOINTS.keys()


@pytest.mark.parametrize("operation", CALLS)
def test_both_drivers_send_the_same_and_get_the_same(sandbox: Sandbox, drives: list[Drive], operation: str) -> None:
    (seen, result), (seen_async, result_async) = (seen_and_result(sandbox, drive, operation, None) for drive in drives)
    assert seen == seen_async
    assert result == result_async
    assert seen
    assert seen[0]["operation"] == operation
    assert 200 <= seen[0]["status"] < 300, result


@pytest.mark.parametrize("case", UNHAPPY)
def test_both_drivers_meet_trouble_alike(sandbox: Sandbox, drives: list[Drive], case: str) -> None:
    operation, fault = UNHAPPY[case]
    (seen, result), (seen_async, result_async) = (seen_and_result(sandbox, drive, operation, fault) for drive in drives)
    assert seen == seen_async
    assert result == result_async
    assert seen[0]["fault"]
