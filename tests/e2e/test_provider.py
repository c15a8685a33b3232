"""What a real Airflow shows of this provider: its name, the connection form, Test Connection."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.airflow_client import AirflowApiError
from dev.local_airflow import LocalAirflow

WRONG = "wr0ng-wr0ng"


@pytest.fixture(scope="module")
def form(airflow: LocalAirflow) -> dict[str, Any]:
    """What the connection form of the web pages is drawn from."""
    types = airflow.client.request("GET", "/ui/connections/hook_meta")
    (found,) = [each for each in types if each["connection_type"] == "marigold"]
    read: dict[str, Any] = found
    return read


def test_airflow_lists_the_provider(airflow: LocalAirflow) -> None:
    listed = json.loads(airflow.run("providers", "list", "--output", "json").splitlines()[-1])
    (found,) = [each for each in listed if each["package_name"] == "airflow-provider-messaging"]
    assert found["version"] == "0.1.0"


def test_no_dag_file_has_an_import_error(airflow: LocalAirflow) -> None:
    airflow.client.wait_for_dag("marigold_bounce_etl")
    airflow.client.wait_for_dag("e2e_wait_in_vain")
    assert airflow.client.import_errors() == {}


def test_the_form_offers_the_connection_type_by_its_name(form: dict[str, Any]) -> None:
    assert form["hook_name"] == "Marigold Engage Delivery Cloud"
    assert form["hook_class_name"] == "airflow_provider_messaging.hooks.marigold.MarigoldHook"


def test_the_form_has_every_field_with_label_and_help(form: dict[str, Any]) -> None:
    described = get_provider_info()["connection-types"][0]["conn-fields"]
    shown = form["extra_fields"]
    assert list(shown) == list(described)
    for name, field in described.items():
        assert shown[name]["schema"]["title"] == field["label"]
        assert shown[name]["description"] == field["description"]
    assert shown["region"]["schema"]["enum"] == ["eu", "us"]
    assert shown["region"]["value"] == "eu"


def test_the_form_calls_login_and_password_by_the_vendors_names(form: dict[str, Any]) -> None:
    fields = form["standard_fields"]
    assert fields["login"]["title"] == "Client ID"
    assert fields["password"]["title"] == "Client secret"
    assert fields["url_schema"]["hidden"] is True


def connection(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    """The body of a request that makes or tests a connection to the sandbox, as the form sends it."""
    extra = {"account_id": "sandbox-account", "region": "eu", "connect_timeout": None, "tracking_verified": True}
    return {
        "connection_id": "marigold_from_the_form",
        "conn_type": "marigold",
        "host": sandbox.vendor_url("marigold"),
        "login": "sandbox",
        "password": "sandbox-secret",
        "extra": json.dumps({**extra, **changes.pop("extra", {})}),
        **changes,
    }


def answer_to(airflow: LocalAirflow, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = airflow.client.request("POST", "/api/v2/connections/test", body)
    return answer


def test_test_connection_tells_how_long_the_token_lives(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    assert answer_to(airflow, connection(sandbox)) == {
        "status": True,
        "message": "Token valid for 119 minutes, scopes send:email",
    }
    assert [request["operation"] for request in sandbox.requests()] == ["token"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"password": WRONG}, "gives no token for this client id, secret, account and audience"),
        ({"password": None}, "password (client secret) is missing"),
        ({"extra": {"account_id": None}}, "extra 'account_id' is missing"),
        ({"host": "http://gateway.example"}, "host must start with https://"),
        ({"extra": {"endpoints": '{"opens": "/opens"}'}}, "unknown endpoint 'opens'"),
    ],
)
def test_test_connection_says_what_to_change_without_secrets(
    airflow: LocalAirflow, sandbox: Sandbox, changes: dict[str, Any], says: str
) -> None:
    answer = answer_to(airflow, connection(sandbox, **changes))
    assert answer["status"] is False
    assert says in answer["message"]
    assert WRONG not in json.dumps(answer)
    assert "sandbox-secret" not in json.dumps(answer)


def test_a_saved_connection_is_shown_without_its_secret_and_keeps_it(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    client, path = airflow.client, "/api/v2/connections/marigold_from_the_form"
    client.request("POST", "/api/v2/connections", connection(sandbox))
    try:
        shown = client.get(path)
        assert shown["password"] == "***"
        assert json.loads(shown["extra"])["account_id"] == "sandbox-account"
        # The form sends back what it was shown.
        saved = {name: shown[name] for name in connection(sandbox)}
        client.request("PATCH", path, saved)
        assert answer_to(airflow, saved)["status"] is True
    finally:
        client.request("DELETE", path)
    with pytest.raises(AirflowApiError):
        client.get(path)


@pytest.mark.parametrize("vendor", ["marigold", "engageone", "messangi", "pressnxpress"])
def test_the_command_line_tests_a_connection_as_well(airflow: LocalAirflow, sandbox: Sandbox, vendor: str) -> None:
    said = airflow.run("connections", "test", f"{vendor}_default")
    assert "Connection success!" in said
    assert "sandbox-" not in said.replace("sandbox-client", "")
