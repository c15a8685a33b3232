"""The request that reaches every service of the vendor's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, ConfigurationError, VendorError
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.engageone.endpoints import SERVICES
from tests.hooks.engageone import Connect, connect, hook, to_sandbox

__all__ = ["connect", "hook", "to_sandbox"]

ECHOING = ["document-channel", "chat-channel", "video-channel", "archiving", "push-notification", "nlu", "transfer"]


@pytest.mark.parametrize("service", ECHOING)
def test_a_service_gets_the_request_with_the_connections_credentials(hook: EngageOneHook, service: str) -> None:
    answer = hook.request(service, "POST", "/v1/things", params={"q": ["ä", "b"]}, json={"a": [1]})
    assert (answer["service"], answer["method"], answer["path"]) == (service, "POST", "/v1/things")
    assert (answer["query"], answer["body"]) == ([["q", "ä"], ["q", "b"]], {"a": [1]})
    assert answer["authorization"]
    assert answer["customer_id"]


def test_the_video_player_gets_no_credentials(hook: EngageOneHook, sandbox: Sandbox) -> None:
    answer = hook.request("video_delivery", "GET", "/v1/videos/1")
    assert not answer["authorization"]
    assert not answer["customer_id"]
    assert not sandbox.requests(operation="token")


def test_the_public_service_gets_no_credentials(hook: EngageOneHook, sandbox: Sandbox) -> None:
    assert hook.request("public", "POST", "/verify", json={"email": "jane@example.com"})["status"] == "valid"
    assert not sandbox.requests(operation="token")


@pytest.mark.parametrize("service", ["private", "api"])
def test_the_private_service_and_campaign_sending_are_reached_as_well(hook: EngageOneHook, service: str) -> None:
    assert len(hook.request(service, "GET", "/campaigns")) == 3


def test_every_service_of_the_page_has_a_name() -> None:
    assert SERVICES.keys() == {"public", "private", "users", "api", "video-delivery", *ECHOING}


def test_a_form_with_files_arrives(hook: EngageOneHook, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    answer = hook.request(
        "document-channel", "POST", "/v1/x", data={"n": "1"}, files={"doc": str(tmp_path / "a.pdf"), "raw": b"\0"}
    )
    parts = {part["name"]: part for part in answer["body"]["parts"]}
    assert parts.keys() == {"n", "doc", "raw"}
    assert (parts["doc"]["file_name"], parts["doc"]["content_type"]) == ("a.pdf", "application/pdf")


def test_a_binary_answer_goes_to_a_file(hook: EngageOneHook, tmp_path: Path) -> None:
    path = tmp_path / "answer.bin"
    found = hook.request("archiving", "GET", "/v1/x", params={"binary": 100_000}, response_path=str(path))
    assert (found["bytes"], found["content_type"]) == (100_000, "application/octet-stream")
    assert path.stat().st_size == 100_000


@pytest.mark.parametrize("name", ["PB-Customer-Id", "pb-customer-id", "Authorization"])
def test_credentials_can_not_be_replaced_by_a_header(hook: EngageOneHook, sandbox: Sandbox, name: str) -> None:
    with pytest.raises(ConfigurationError, match="not yours to set"):
        hook.request("nlu", "GET", "/x", headers={name: "other"})
    assert not sandbox.requests()


@pytest.mark.parametrize("service", ["fax", "", "public/../private"])
def test_an_unknown_service_is_refused(hook: EngageOneHook, service: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no service"):
        hook.request(service, "GET", "/x")


@pytest.mark.parametrize(
    ("with_host", "setting"), [(True, "path, or host"), (False, "path, or extra 'services' → 'nlu'")]
)
def test_a_path_that_is_not_there_names_path_and_base_url(
    to_sandbox: Connect, sandbox: Sandbox, with_host: bool, setting: str
) -> None:
    url = sandbox.vendor_url("engageone")
    urls = {"host": "", "extra": {"users_url": f"{url}/users", "services": {"nlu": f"{url}/nlu/"}}}
    fields: dict[str, Any] = {} if with_host else urls
    sandbox.faults([{"vendor": "engageone", "operation": "request", "fault": "status", "status": 404}])
    with to_sandbox(**fields) as hook, pytest.raises(VendorError) as caught:
        hook.request("nlu", "GET", "/v9/x")
    assert caught.value.setting == setting
    assert caught.value.connection == "letters"


def test_a_lost_answer_of_a_post_is_ambiguous(hook: EngageOneHook, sandbox: Sandbox) -> None:
    sandbox.faults([{"vendor": "engageone", "operation": "request", "fault": "drop", "when": "after"}])
    with pytest.raises(AmbiguousDeliveryError):
        hook.request("transfer", "POST", "/v1/communications", json={})
    assert len(sandbox.requests(operation="request")) == 1
