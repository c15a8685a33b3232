"""The table of operations on each vendor's page is complete and true."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence
from airflow_provider_messaging.sandbox.registry import VENDORS

ROOT = Path(__file__).resolve().parent.parent
SANDBOX = {vendor.name: vendor for vendor in VENDORS}
KINDS = ("operators", "sensors", "transfers", "notifications")


def modules(vendor: str, *kinds: str) -> list[Any]:
    folder = ROOT / "airflow_provider_messaging"
    return [
        import_module(f"airflow_provider_messaging.{kind}.{vendor}")
        for kind in kinds
        if (folder / kind / f"{vendor}.py").exists()
    ]


def endpoints(vendor: str) -> dict[str, Endpoint]:
    found: dict[str, Endpoint] = import_module(f"airflow_provider_messaging.vendors.{vendor}.endpoints").ENDPOINTS
    return found


def rows(vendor: str) -> dict[str, dict[str, str]]:
    """The rows of the page's table of operations by endpoint, each cell under the first word of its column."""
    lines = (ROOT / "docs" / f"{vendor}.md").read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("|") and "| endpoint |" in line)
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : lines.index("", start)]]
    columns = [re.findall(r"\w+", name)[0] for name in table[0]]
    found = [dict(zip(columns, cells, strict=True)) for cells in table[2:]]
    return {row["endpoint"].strip("`"): row for row in found}


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w./]+)(?:\([^`]*\))?`", cell)


ALL = [(vendor, name) for vendor in SANDBOX for name in endpoints(vendor)]


@pytest.mark.parametrize("vendor", SANDBOX)
def test_every_endpoint_has_a_row(vendor: str) -> None:
    assert rows(vendor).keys() == endpoints(vendor).keys()


@pytest.mark.parametrize(("vendor", "name"), ALL)
def test_a_row_is_true(vendor: str, name: str) -> None:
    row, endpoint = rows(vendor)[name], endpoints(vendor)[name]
    method, path = row["method"].split(" ")[0], row["method"].split("`")[1]
    assert method == endpoint.method
    # What stands before the path of a service or below a prefix is the connection's.
    assert path.removeprefix("{prefix}") == endpoint.path
    assert ("**U**" in row["method"]) is (endpoint.evidence is Evidence.UNPUBLISHED)
    (hook_module,) = modules(vendor, "hooks")
    (hook,) = [each for each in vars(hook_module).values() if getattr(each, "conn_type", None) == vendor]
    assert names(row["hook"])
    assert [each for each in names(row["hook"]) if not hasattr(hook, each)] == []
    public = {each for module in modules(vendor, *KINDS) for each in vars(module)}
    assert {each for each in names(row["operator"]) if each[0].isupper()} <= public
    tests = [each for each in names(row["tests"]) if each.startswith("tests/")]
    assert tests
    assert [each for each in tests if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("vendor", SANDBOX)
def test_the_sandbox_has_a_route_for_every_endpoint(vendor: str) -> None:
    assert endpoints(vendor).keys() <= {route.operation for route in SANDBOX[vendor]().routes()}


@pytest.mark.parametrize(("vendor", "name"), ALL)
def test_a_path_that_is_not_published_is_listed_for_whoever_connects_and_in_the_readme(vendor: str, name: str) -> None:
    endpoint = endpoints(vendor)[name]
    if endpoint.evidence is not Evidence.UNPUBLISHED:
        return
    assert f"| `{name}` | `{endpoint.path}` |" in (ROOT / "docs" / "connections.md").read_text()
    assert f"`{name}`" in (ROOT / "README.md").read_text()
