"""The docs' table of EngageOne's services is complete and true, and each operation names its service."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_messaging.vendors.engageone.endpoints import ENDPOINTS, SERVICES, WITHOUT_CREDENTIALS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "engageone.md"
TABLE = [
    [cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines() if line.startswith("|")
]
OPERATIONS = {cells[1].strip("`"): cells for cells in TABLE if len(cells) == 7 and cells[1].startswith("`")}
APIS = {cells[1].strip("`"): cells for cells in TABLE if len(cells) == 4 and cells[1].startswith("`")}


def test_every_service_has_a_row() -> None:
    assert APIS.keys() == SERVICES.keys()


def test_each_operation_names_the_service_it_belongs_to() -> None:
    assert {name: cells[3] for name, cells in OPERATIONS.items()} == {
        endpoint.name: service for service, endpoints in SERVICES.items() for endpoint in endpoints
    }
    assert OPERATIONS.keys() == ENDPOINTS.keys()


def test_the_docs_say_which_services_get_no_credentials() -> None:
    assert {name for name, cells in APIS.items() if cells[3] == "none"} == WITHOUT_CREDENTIALS
