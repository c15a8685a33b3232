"""Single calls, against the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    ConfigurationError,
    ValidationError,
    VendorError,
)
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import object_storage
from tests.hooks.engageone import Connect, connect, hook, to_sandbox, without_waiting

__all__ = ["connect", "hook", "object_storage", "to_sandbox"]

SEND: dict[str, Any] = {"communication": "Example", "email_json_path": "email", "sender": "shop@example.com"}


def fault(operation: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"vendor": "engageone", "operation": operation, "fault": kind, **more}


def blacklisted(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {row["email"]: row for row in sandbox.state("blacklist", vendor="engageone")}


def test_an_address_is_blacklisted_with_category_and_reason(hook: EngageOneHook, sandbox: Sandbox) -> None:
    assert hook.blacklist("Jörg@BÜCHER.example", "news", "Hard Bounce") == "listed"
    found = blacklisted(sandbox)["Jörg@bücher.example"]
    assert (found["category"], found["reason"]) == ("news", "Hard Bounce")


@pytest.mark.parametrize("already_listed", ["ok", "conflict"])
def test_blacklisting_twice_is_a_success(hook: EngageOneHook, sandbox: Sandbox, already_listed: str) -> None:
    sandbox.settings("engageone", already_listed=already_listed)
    assert hook.blacklist("jane@example.com") == "listed"
    assert hook.blacklist("jane@EXAMPLE.com") == "already_listed"
    assert list(blacklisted(sandbox)) == ["jane@example.com"]


@pytest.mark.parametrize("email", ["jane@example.com", "jörg/x?y#z%@bücher.example"])
def test_an_address_is_taken_off_the_list_and_a_second_time_is_a_success(
    hook: EngageOneHook, sandbox: Sandbox, email: str
) -> None:
    hook.blacklist(email)
    assert hook.unblacklist(email) == "removed"
    assert hook.unblacklist(email) == "not_listed"
    assert not blacklisted(sandbox)


def test_a_removal_over_a_wrong_path_is_an_error_and_no_success(to_sandbox: Connect) -> None:
    elsewhere = {"endpoints": {"unblacklist": "/unsubscribed/{email}"}}
    with to_sandbox(extra=elsewhere) as hook, pytest.raises(VendorError, match="HTTP 404") as caught:
        hook.unblacklist("jane@example.com")
    assert "extra 'endpoints' → 'unblacklist'" in caught.value.setting


UNPUBLISHED: dict[str, Any] = {
    "blacklist": lambda hook: hook.blacklist("jane@example.com"),
    "verify": lambda hook: hook.verify("jane@example.com"),
    "send_status": lambda hook: hook.get_send_status("s"),
    "create_campaign": lambda hook: hook.create_campaign({"name": "x"}),
    "upload_asset": lambda hook: hook.upload_asset(b"x", name="x.txt"),
    "list_campaigns": lambda hook: list(hook.list_campaigns()),
    "get_template": lambda hook: hook.get_template("t"),
}


@pytest.mark.parametrize("operation", UNPUBLISHED)
def test_an_unpublished_path_that_is_wrong_names_the_setting_to_change(to_sandbox: Connect, operation: str) -> None:
    path = "/elsewhere" + {"send_status": "/{send_id}", "get_template": "/{id}"}.get(operation, "")
    with to_sandbox(extra={"endpoints": {operation: path}}) as hook, pytest.raises(VendorError) as caught:
        UNPUBLISHED[operation](hook)
    assert caught.value.status == 404
    assert f"extra 'endpoints' → {operation!r} (its path is unpublished" in str(caught.value)
    assert not caught.value.retryable


def test_a_path_of_ones_own_is_used(to_sandbox: Connect, sandbox: Sandbox) -> None:
    with to_sandbox(extra={"endpoints": {"get_campaign": "/campaigns/{id}", "list_campaigns": "/templates"}}) as hook:
        assert [row["name"] for row in hook.list_campaigns()] == ["plain", "letter"]


@pytest.mark.parametrize(
    ("email", "status"),
    [("jane@example.com", "valid"), ("jane@invalid.test", "invalid"), ("jane@unknown.test", "unknown")],
)
def test_a_verification_gives_the_vendors_word_and_its_whole_answer(
    hook: EngageOneHook, email: str, status: str
) -> None:
    found = hook.verify(email)
    assert (found["email"], found["status"], found["document"]["status"]) == (email, status, status)


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_a_campaign_is_sent_and_its_status_read(hook: EngageOneHook, sandbox: Sandbox, version: Any) -> None:
    sandbox.settings("engageone", send_delay=0)
    hook.blacklist("joe@example.com")
    records = [{"email": "jane@example.com", "reference": "r-1"}, {"email": "joe@example.com"}]
    send_id = hook.send_campaign("newsletter", records, **SEND, version=version)
    status = hook.get_send_status(send_id)
    assert (status["status"], status["sent"], status["suppressed"]) == ("COMPLETED", 1, 1)
    [delivery] = sandbox.deliveries(vendor="engageone")
    assert (delivery["reference"], delivery["recipient"]) == ("r-1", "jane@example.com")


def test_a_lost_answer_of_a_send_is_ambiguous_and_sent_once(hook: EngageOneHook, sandbox: Sandbox) -> None:
    sandbox.faults([fault("send_campaign", "drop", when="after")])
    with pytest.raises(AmbiguousDeliveryError, match="may have been taken") as caught:
        hook.send_campaign("newsletter", [{"email": "jane@example.com"}], **SEND)
    assert not caught.value.retryable
    assert sandbox.counts("engageone")["total"] == 1


def test_a_record_without_an_address_sends_nothing(hook: EngageOneHook, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError, match="1 of 2 rows break the rules"):
        hook.send_campaign("newsletter", [{"email": "jane@example.com"}, {"email": "jane"}], **SEND)
    assert not sandbox.requests()


def test_a_campaign_is_created_once_even_if_the_answer_is_lost(hook: EngageOneHook, sandbox: Sandbox) -> None:
    assert hook.create_campaign({"name": "spring"})["name"] == "spring"
    sandbox.faults([fault("create_campaign", "drop", when="after")])
    with pytest.raises(AmbiguousDeliveryError):
        hook.create_campaign({"name": "summer"})
    names = [row["name"] for row in sandbox.state("campaigns", vendor="engageone")]
    assert names.count("summer") == 1
    assert len(sandbox.requests(operation="create_campaign")) == 2


LISTINGS: list[tuple[str, str, str]] = [
    ("campaigns", "list_campaigns", "get_campaign"),
    ("communications", "list_communications", "get_communication"),
    ("templates", "list_templates", "get_template"),
    ("data", "list_data_sources", "get_data_source"),
]


@pytest.mark.parametrize(("kind", "list_them", "get_one"), LISTINGS)
@pytest.mark.parametrize("list_form", ["array", "items"])
def test_a_listing_is_read_page_by_page_and_each_item_can_be_got(
    hook: EngageOneHook, sandbox: Sandbox, kind: str, list_them: str, get_one: str, list_form: str
) -> None:
    sandbox.settings("engageone", list_form=list_form)
    sandbox.seed_listing(kind, 25, vendor="engageone")
    rows = list(getattr(hook, list_them)(page_size=10))
    assert len(rows) == len({row["id"] for row in rows}) >= 26
    assert getattr(hook, get_one)(rows[-1]["id"]) == rows[-1]
    assert len(sandbox.requests(operation=list_them)) == 3


def test_a_listing_is_read_as_it_is_used(hook: EngageOneHook, sandbox: Sandbox) -> None:
    sandbox.seed_listing("campaigns", 100, vendor="engageone")
    rows = hook.list_campaigns(page_size=10)
    for _ in range(15):
        next(rows)
    assert len(sandbox.requests(operation="list_campaigns")) == 2


def test_a_vendor_that_ignores_paging_is_found_out(hook: EngageOneHook, sandbox: Sandbox) -> None:
    sandbox.settings("engageone", paging="ignored")
    assert len(list(hook.list_campaigns(page_size=2))) == 3
    with pytest.raises(VendorError, match="page_size=None"):
        list(hook.list_campaigns(page_size=3))
    assert len(list(hook.list_campaigns())) == 3


def test_an_item_that_is_not_there_is_a_404(hook: EngageOneHook) -> None:
    with pytest.raises(VendorError) as caught:
        hook.get_campaign("nothing")
    assert caught.value.status == 404


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_an_asset_is_uploaded_from_any_storage(
    hook: EngageOneHook, sandbox: Sandbox, tmp_path: Path, object_storage: None, scheme: str
) -> None:
    from airflow.sdk import ObjectStoragePath

    url = f"file://{tmp_path}/logo ü.png" if scheme == "file" else "memory://assets/logo ü.png"
    content = b"\x89PNG" + bytes(range(256)) * 8_000
    with ObjectStoragePath(url).open("wb") as stream:
        stream.write(content)
    answer = hook.upload_asset(url, fields={"folder": "2026"})
    assert (answer["name"], answer["size"]) == ("logo ü.png", len(content))
    [asset] = sandbox.state("assets", vendor="engageone")
    assert (asset["content_type"], asset["folder"], asset["file_name"]) == ("image/png", "2026", "logo ü.png")


def test_an_asset_of_bytes_has_the_name_and_type_that_it_is_given(hook: EngageOneHook, sandbox: Sandbox) -> None:
    hook.upload_asset(b"a,b\n", name="data.csv", content_type="text/csv")
    [asset] = sandbox.state("assets", vendor="engageone")
    assert (asset["name"], asset["content_type"], asset["size"]) == ("data.csv", "text/csv", 4)


def test_an_upload_that_is_throttled_is_read_anew(hook: EngageOneHook, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 600_000)
    sandbox.faults([fault("upload_asset", "status", status=429, times=2)])
    assert without_waiting(hook).upload_asset(str(tmp_path / "a.bin"))["size"] == 600_000
    assert len(sandbox.requests(operation="upload_asset")) == 3


def test_an_upload_whose_answer_is_lost_is_not_repeated(hook: EngageOneHook, sandbox: Sandbox) -> None:
    sandbox.faults([fault("upload_asset", "drop", when="after")])
    with pytest.raises(AmbiguousDeliveryError):
        hook.upload_asset(b"x", name="x.bin")
    assert len(sandbox.state("assets", vendor="engageone")) == 1


def test_a_file_that_is_not_there_is_named_before_anything_is_sent(hook: EngageOneHook, sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        hook.upload_asset("/no/such/file.png")
    assert not sandbox.requests()
