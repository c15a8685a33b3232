"""Wallet templates and requests of any kind, as tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.operators.messangi import CreateWalletTemplateOperator, MessangiApiOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.messangi import LIST, VENDOR, Connect, fault, messangi, no_tokens

__all__ = ["messangi", "no_tokens"]

TEMPLATE = {"name": "Store card", "type": "storecard", "description": "A card", "organization": "Shop"}


def create(template: Any, *, ti: TaskInstance | None = None, store: StateStore | None = None) -> dict[str, Any]:
    operator = CreateWalletTemplateOperator(task_id="create", template=template)
    return operator.execute(task_context(ti, store=store or StateStore(), task=operator))


def templates(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.state("wallet_templates", vendor=VENDOR)


def call(**arguments: Any) -> Any:
    operator = MessangiApiOperator(task_id="call", **arguments)
    return operator.execute(task_context(task=operator))


# Wallet templates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [TEMPLATE, json.dumps(TEMPLATE)], ids=["object", "text"])
def test_a_template_is_created_and_its_id_returned(messangi: Connect, sandbox: Sandbox, template: Any) -> None:
    found = create(template)
    [kept] = templates(sandbox)
    assert kept["template"] == TEMPLATE
    assert found == {"template_id": kept["id"]}


def test_a_retry_after_success_returns_the_same_id(messangi: Connect, sandbox: Sandbox) -> None:
    ti, store = TaskInstance(max_tries=1), StateStore()
    first = create(TEMPLATE, ti=ti, store=store)
    assert create(TEMPLATE, ti=ti, store=store) == first
    assert len(templates(sandbox)) == 1


def test_a_lost_reply_makes_no_second_template(messangi: Connect, sandbox: Sandbox) -> None:
    ti, store = TaskInstance(max_tries=2), StateStore()
    sandbox.faults([fault("drop", "create_wallet_template", when="after", times=1)])
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="Nobody can say"):
            create(TEMPLATE, ti=ti, store=store)
    assert len(templates(sandbox)) == 1


def test_a_throttled_template_is_sent_again(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "create_wallet_template", status=503, times=2)])
    assert create(TEMPLATE)["template_id"]
    assert len(templates(sandbox)) == 1


@pytest.mark.parametrize("template", ["no json", "[]", None, 7])
def test_what_is_no_template_fails_for_good(messangi: Connect, sandbox: Sandbox, template: Any) -> None:
    with pytest.raises(AirflowFailException, match="template must be a JSON object"):
        create(template)


def test_a_template_that_the_vendor_rejects_fails_for_good(messangi: Connect, sandbox: Sandbox) -> None:
    body = '{"status": "REJECTED", "description": "no such type"}'
    sandbox.faults([fault("status", "create_wallet_template", status=200, body=body)])
    with pytest.raises(AirflowFailException, match="no such type"):
        create(TEMPLATE)


# Any request ---------------------------------------------------------------------------------------------------


def test_any_resource_can_be_reached(messangi: Connect, sandbox: Sandbox, tmp_path: Path) -> None:
    owners = "/dothraki/v1/owners"
    made = call(method="POST", path=owners, json={"name": "Ada"})["data"]
    call(method="PUT", path=f"{owners}/{made['id']}", json={"name": "Ada L."})
    assert call(path=owners, query_params={"limit": 5})["items"] == [{"id": made["id"], "name": "Ada L."}]
    told = call(path=owners, response_path=str(tmp_path / "owners.json"))
    assert told["bytes"] == (tmp_path / "owners.json").stat().st_size
    assert call(method="DELETE", path=f"{owners}/{made['id']}") is None
    assert not sandbox.state("owners", vendor=VENDOR)


def test_a_path_that_the_vendor_does_not_know_fails_for_good(messangi: Connect) -> None:
    with pytest.raises(AirflowFailException, match=r"HTTP 404.*path, or host of the connection"):
        call(path="/nowhere/v1")


def test_a_lost_reply_to_a_post_fails_for_good(messangi: Connect, sandbox: Sandbox) -> None:
    sandbox.seed_listing("subscribers", 1, vendor=VENDOR, list=LIST)
    sandbox.faults([fault("drop", "create_list", when="after", times=1)])
    with pytest.raises(AirflowFailException, match="may have been taken"):
        call(method="POST", path="/dothraki/v1/lists", json={"name": "news"})
    assert len(sandbox.state("lists", vendor=VENDOR)) == 2
