"""Deleting the archive of profiles, with a receipt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import VendorError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.operators.marigold import DeleteProfileArchiveOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.archive.conftest import row
from tests.contexts import task_context

Delete = Callable[..., dict[str, Any]]


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    return tmp_path / "receipt.ndjson"


@pytest.fixture
def delete(marigold_conn: str, receipt: Path) -> Delete:
    def run(**arguments: Any) -> dict[str, Any]:
        defaults = {"profile_ids": ["p-1"], "receipt_path": str(receipt), "poll_interval": 0.1}
        operator = DeleteProfileArchiveOperator(task_id="delete", **{**defaults, **arguments})
        return operator.execute(task_context())

    return run


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_receipt_verifies_that_the_messages_are_gone(
    hook: MarigoldHook, sandbox: Sandbox, delete: Delete, receipt: Path
) -> None:
    sandbox.settings(archive_delete_delay=1)
    hook.send_email([row("m-1"), row("m-2"), row("m-3", "p-2"), row("m-4", "p-3")])
    result = delete(profile_ids=["p-1", "p-2"])
    assert result == {"profiles": 2, "listed": 3, "verified": 2, "receipt_path": str(receipt)}
    assert not list(hook.list_archive("p-1"))
    assert len(list(hook.list_archive("p-3"))) == 1
    first = lines(receipt)[0]
    assert (first["profile"], first["listed"], first["verified"], first["remaining"]) == ("p-1", 2, True, 0)
    assert first["requested_at"] < first["verified_at"]
    assert (first["dag_id"], first["run_id"], first["task_id"]) == ("mailing", "manual__1", "send")
    assert len(sandbox.requests(operation="archive_list")) > 6  # it was waited for


def test_a_deletion_that_takes_too_long_is_no_success_and_the_receipt_says_so(
    hook: MarigoldHook, sandbox: Sandbox, delete: Delete, receipt: Path
) -> None:
    sandbox.settings(archive_delete_delay=60)
    hook.send_email([row("m-1"), row("m-2")])
    with pytest.raises(VendorError, match=r"of 1 profiles 0 could not be deleted and 1 are still listed") as caught:
        delete(verify_timeout=0.5)
    assert caught.value.retryable
    (line,) = lines(receipt)
    assert (line["verified"], line["remaining"], line["verified_at"]) == (False, 2, None)
    sandbox.settings(archive_delete_delay=0)
    assert delete()["verified"] == 1


def test_without_verification_nothing_is_waited_for(
    hook: MarigoldHook, sandbox: Sandbox, delete: Delete, receipt: Path
) -> None:
    sandbox.settings(archive_delete_delay=60)
    hook.send_email([row("m-1")])
    assert delete(verify=False)["verified"] == 0
    assert lines(receipt)[0]["requested_at"]


def test_a_profile_without_messages_is_verified(delete: Delete) -> None:
    assert delete(profile_ids=["nobody"]) == {**delete(profile_ids=["nobody"]), "listed": 0, "verified": 1}


def test_a_listing_that_never_worked_proves_nothing(sandbox: Sandbox, delete: Delete, receipt: Path) -> None:
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 404}])
    with pytest.raises(AirflowFailException, match="extra 'endpoints' → 'archive_list'"):
        delete()
    assert lines(receipt)[0]["verified"] is False
    assert not sandbox.requests(operation="archive_delete_profile")


def test_a_404_of_a_listing_that_has_worked_means_nothing_is_left(
    hook: MarigoldHook, sandbox: Sandbox, delete: Delete
) -> None:
    hook.send_email([row("m-1")])
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 404, "skip": 1}])
    assert delete()["verified"] == 1


@pytest.mark.parametrize("body", ["{}", "<html>", '{"items": []}'])
def test_an_answer_that_is_no_listing_verifies_nothing(
    hook: MarigoldHook, sandbox: Sandbox, delete: Delete, receipt: Path, body: str
) -> None:
    hook.send_email([row("m-1")])
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 200, "body": body, "skip": 1}])
    with pytest.raises(VendorError):
        delete(verify_timeout=0.3)
    assert lines(receipt)[0]["verified"] is False


def test_one_profile_that_fails_does_not_keep_the_others(
    hook: MarigoldHook, sandbox: Sandbox, delete: Delete, receipt: Path
) -> None:
    hook.send_email([row("m-1", "p-1"), row("m-2", "p-2")])
    sandbox.faults([{"operation": "archive_delete_profile", "fault": "status", "status": 400, "times": 1}])
    with pytest.raises(AirflowFailException, match="1 could not be deleted"):
        delete(profile_ids=["p-1", "p-2"], max_concurrency=1)
    assert [(line["verified"], bool(line["error"])) for line in lines(receipt)] == [(False, True), (True, False)]


def test_a_refused_credential_ends_it_at_once_with_a_receipt(sandbox: Sandbox, delete: Delete, receipt: Path) -> None:
    sandbox.faults([{"operation": "archive_list", "fault": "status", "status": 403}])
    with pytest.raises(AirflowFailException, match="refuses the credentials"):
        delete(profile_ids=["p-1", "p-2", "p-3"], max_concurrency=1)
    assert len(sandbox.requests(operation="archive_list")) == 1
    assert [line["requested_at"] for line in lines(receipt)] == [None] * 3


def test_a_lost_answer_is_no_matter_for_a_deletion(hook: MarigoldHook, sandbox: Sandbox, delete: Delete) -> None:
    hook.send_email([row("m-1")])
    sandbox.faults([{"operation": "archive_delete_profile", "fault": "drop", "when": "after", "times": 1}])
    assert delete()["verified"] == 1
    assert len(sandbox.requests(operation="archive_delete_profile")) == 2
