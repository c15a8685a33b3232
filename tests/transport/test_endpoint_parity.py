"""Every endpoint of every vendor, over both drivers: the same requests arrive, the same results come back.

A vendor's calls are in the module of `tests.transport.parity` that is named like it, as `TABLE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.messages import Ambiguous
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.drivers import AsyncDriver, Drive, SyncDriver
from tests.transport.parity.table import Fault, Table

ROOT = Path(__file__).resolve().parents[2]
VENDORS = {path.parent.name for path in (ROOT / "airflow_provider_messaging" / "vendors").glob("*/endpoints.py")}
TABLES: list[Table] = [
    import_module(f"tests.transport.parity.{vendor}").TABLE
    for vendor in sorted(VENDORS)
    if (Path(__file__).parent / "parity" / f"{vendor}.py").exists()
]
CALLS = [pytest.param(table, name, id=f"{table.vendor}-{name}") for table in TABLES for name in table.calls]
TROUBLE = [pytest.param(table, case, id=f"{table.vendor}-{case}") for table in TABLES for case in table.trouble]

COMPARED = ("operation", "method", "path", "query", "status", "request_bytes", "messages", "fault")
VOLATILE = {"id", "timestamp", "created_at", "value", "expires_at", "errors"}
"""Members that differ from one send to the next."""
_VOLATILE_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=trace id )[^\]]+")


@pytest.fixture
def drives() -> Iterator[list[Drive]]:
    with ExitStack() as stack:
        yield [Drive(kind, stack) for kind in (SyncDriver, AsyncDriver)]


def seen_and_result(
    sandbox: Sandbox, drive: Drive, table: Table, call: str, fault: Fault | None = None
) -> tuple[Any, Any]:
    """Start from the same state, make the call, and return what the server saw and what came of it."""
    sandbox.reset()
    given = table.start(sandbox, drive)
    if fault:
        sandbox.faults([{"vendor": table.vendor, "operation": call, **fault}])
    before = sandbox.requests()[-1]["number"]
    result: Any
    try:
        flow = table.calls[call](given)
        result = drive.take(flow) if call in table.listings else drive.run(flow)
    except MessagingError as error:
        result = error
    requests = sandbox.requests(vendor=table.vendor, after=before)
    return [{name: plain(entry.get(name)) for name in COMPARED} for entry in requests], plain(result)


def plain(value: Any) -> Any:
    """Make results comparable."""
    if isinstance(value, MessagingError):
        return type(value).__name__, plain(str(value)), value.retryable
    if isinstance(value, str):
        return _VOLATILE_TEXT.sub("…", value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Raw):
        return plain(msgspec.json.decode(value))
    if isinstance(value, Ambiguous):
        return value.reason.partition(" (")[0]  # what follows is the library's own name of the error
    if is_dataclass(value) and not isinstance(value, type):
        return plain({each.name: getattr(value, each.name) for each in fields(value)})
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__ if name in {"type", "reference"}}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if name not in VOLATILE}
    return value


def test_every_vendor_has_a_table() -> None:
    assert {table.vendor for table in TABLES} == VENDORS


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.vendor)
def test_every_endpoint_has_a_call(table: Table) -> None:
    assert table.calls.keys() == table.endpoints.keys()
    assert {call for call, _ in table.trouble.values()} <= table.calls.keys()


@pytest.mark.parametrize(("table", "call"), CALLS)
def test_both_drivers_send_the_same_and_get_the_same(
    sandbox: Sandbox, drives: list[Drive], table: Table, call: str
) -> None:
    (seen, result), (seen_async, result_async) = (seen_and_result(sandbox, drive, table, call) for drive in drives)
    assert seen == seen_async
    assert result == result_async
    assert seen
    assert seen[0]["operation"] == call
    assert 200 <= seen[0]["status"] < 300, result


@pytest.mark.parametrize(("table", "case"), TROUBLE)
def test_both_drivers_meet_trouble_alike(sandbox: Sandbox, drives: list[Drive], table: Table, case: str) -> None:
    call, fault = table.trouble[case]
    (seen, result), (seen_async, result_async) = (
        seen_and_result(sandbox, drive, table, call, fault) for drive in drives
    )
    assert seen == seen_async
    assert result == result_async
    assert seen[0]["fault"]
