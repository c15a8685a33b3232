from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_messaging.sandbox.engageone import EngageOne
from airflow_provider_messaging.sandbox.process import SandboxError

OPERATIONS = {
    "token",
    "send_campaign",
    "send_campaign_v1",
    "send_status",
    "create_campaign",
    "list_campaigns",
    "get_campaign",
    "list_communications",
    "get_communication",
    "list_templates",
    "get_template",
    "list_data_sources",
    "get_data_source",
    "upload_asset",
    "blacklist",
    "unblacklist",
    "verify",
    "request",
}


def test_operations_that_faults_can_be_ordered_for() -> None:
    assert {route.operation for route in EngageOne().routes()} == OPERATIONS


def test_connection_reaches_it(sandbox: Any) -> None:
    assert json.loads(sandbox.connections["AIRFLOW_CONN_ENGAGEONE_DEFAULT"]) == {
        "conn_type": "engageone",
        "host": f"{sandbox.url}/engageone",
        "login": "sandbox-client",
        "password": "sandbox-secret",
        "extra": {"customer_id": "eocm-Sandbox-Company"},
    }


def test_reset_forgets_everything(sandbox: Any, engageone: Any) -> None:
    sandbox.settings("engageone", already_listed="conflict", send_delay=9)
    engageone.blacklist("jane@example.com")
    engageone.private.post("/private/campaigns", json={"name": "spring"})
    engageone.private.post("/private/assets", files={"file": ("a", b"x")})
    engageone.send({"email": "joe@example.com"})
    sandbox.reset("engageone")
    assert engageone.private.get("/private/campaigns").status_code == 401, "tokens"
    assert sandbox.counts("engageone")["total"] == 0
    assert all(sandbox.state(kind, vendor="engageone") == [] for kind in ("blacklist", "campaigns", "assets", "sends"))
    assert sandbox.settings("engageone")["already_listed"] == "ok"
    engageone.login()
    names = [row["name"] for row in engageone.private.get("/private/campaigns").json()]
    assert names == ["newsletter", "welcome", "always-fails"]


@pytest.mark.parametrize("wrong", [{"token_form": "jwt"}, {"send_delay": -1}, {"send_requires": ["name"]}])
def test_wrong_setting_is_refused(sandbox: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(SandboxError, match="settings of engageone"):
        sandbox.settings("engageone", **wrong)


def test_unknown_kind_of_state_is_refused_with_those_that_exist(sandbox: Any) -> None:
    with pytest.raises(SandboxError, match=r"'bounces'.*assets.*blacklist.*campaigns.*sends"):
        sandbox.state("bounces", vendor="engageone")
    with pytest.raises(SandboxError, match="marigold keeps no"):
        sandbox.state("blacklist", vendor="marigold")
