"""The docs' table of the vendor's operations is complete and true."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from airflow_provider_messaging.core.endpoint import Evidence
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.marigold.vendor import Marigold
from airflow_provider_messaging.vendors.marigold.endpoints import ENDPOINTS

ROOT = Path(__file__).resolve().parent.parent
ROWS = {
    cells[2].strip("`"): cells
    for line in (ROOT / "docs" / "marigold.md").read_text().splitlines()
    if line.startswith("|") and (cells := [cell.strip() for cell in line.split("|")])[2].startswith("`")
}
MODULES = [
    import_module(f"airflow_provider_messaging.{name}.marigold") for name in ("operators", "sensors", "transfers")
]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_endpoint_has_a_row() -> None:
    assert ROWS.keys() == ENDPOINTS.keys()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_row_is_true(name: str) -> None:
    _, _, _, path, hook, classes, tests, _ = ROWS[name]
    endpoint = ENDPOINTS[name]
    unpublished = " **U**" if endpoint.evidence is Evidence.UNPUBLISHED else ""
    assert path == f"{endpoint.method} `{endpoint.path}`{unpublished}"
    assert all(hasattr(MarigoldHook, method) for method in names(hook))
    assert names(hook)
    assert all(any(hasattr(module, each) for module in MODULES) for each in names(classes))
    assert all((ROOT / test).is_file() for test in names(tests))
    assert names(tests)


def test_the_sandbox_has_a_route_for_every_endpoint() -> None:
    assert {route.operation for route in Marigold().routes()} == ENDPOINTS.keys()


def test_the_docs_of_the_connection_list_every_path_that_is_not_published() -> None:
    text = (ROOT / "docs" / "connections.md").read_text()
    for endpoint in ENDPOINTS.values():
        if endpoint.evidence is Evidence.UNPUBLISHED:
            assert f"| `{endpoint.name}` | `{endpoint.path}` |" in text
