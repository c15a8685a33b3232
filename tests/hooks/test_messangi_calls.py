"""The hook's calls against the sandbox."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    ConfigurationError,
    ValidationError,
    VendorError,
)
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.messangi import LIST, SMS, UNREACHABLE, VENDOR, Connect, delivered, fault, messangi, no_tokens, requests

__all__ = ["messangi", "no_tokens"]

EMAIL = {"to": "ada@example.com", "from": "shop@example.com", "subject": "Hi", "text": "Hello"}
NOTIFICATION = {"channel": "PUSH", "request": {"to": "device-1", "body": "Hello"}}
MESSAGES: dict[str, dict[str, Any]] = {"sms": SMS, "email": EMAIL, "whatsapp": SMS, "notification": NOTIFICATION}


@pytest.fixture
def hook(messangi: Connect) -> MessangiHook:
    return messangi()


def subscribers(sandbox: Sandbox, count: int) -> None:
    sandbox.seed_listing("subscribers", count, vendor=VENDOR, list=LIST)


# Messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["flat", "envelope"])
@pytest.mark.parametrize("status", ["ACCEPTED", "QUEUE"])
@pytest.mark.parametrize("channel", MESSAGES)
def test_a_message_is_sent_and_its_id_returned(
    hook: MessangiHook, sandbox: Sandbox, channel: Any, status: str, form: str
) -> None:
    sandbox.settings(VENDOR, accepted_status=status, send_form=form)
    message_id = hook.send_message(channel, MESSAGES[channel])
    [found] = delivered(sandbox)
    assert found["extra"]["message_id"] == message_id
    assert found["channel"] == channel


@pytest.mark.parametrize("form", ["flat", "envelope"])
def test_a_rejection_with_status_200_is_one(hook: MessangiHook, sandbox: Sandbox, form: str) -> None:
    sandbox.settings(VENDOR, send_form=form)
    with pytest.raises(ValidationError, match="The recipient cannot be reached") as caught:
        hook.send_message("sms", {**SMS, "to": UNREACHABLE})
    assert bool(caught.value.trace_id) is (form == "envelope")
    assert not delivered(sandbox)


def test_a_message_that_breaks_a_rule_is_not_sent(hook: MessangiHook, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError, match="to INVALID_PHONE_NUMBER") as caught:
        hook.send_message("sms", {**SMS, "to": "12"})
    assert caught.value.rows[0].errors[0].field == "to"
    assert not sandbox.requests(vendor=VENDOR)


def test_a_lost_reply_is_ambiguous_and_nothing_is_sent_again(hook: MessangiHook, sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after")])
    with pytest.raises(AmbiguousDeliveryError):
        hook.send_message("sms", SMS)
    assert len(delivered(sandbox)) == 1


@pytest.mark.parametrize("body", ["<h1>Hello</h1>", '{"status": "PARKED"}', '{"errors": {"reason": "odd"}}'])
def test_an_answer_that_says_neither_is_ambiguous(hook: MessangiHook, sandbox: Sandbox, body: str) -> None:
    sandbox.faults([fault("status", status=200, body=body, when="after")])
    with pytest.raises(AmbiguousDeliveryError):
        hook.send_message("sms", SMS)


@pytest.mark.parametrize("body", ["", "{}", '{"data": {"id": "m-1", "status": "DELIVERED"}}'])
def test_a_status_of_success_without_more_is_acceptance(hook: MessangiHook, sandbox: Sandbox, body: str) -> None:
    sandbox.faults([fault("status", status=200, body=body, when="after")])
    assert hook.send_message("sms", SMS) in {"", "m-1"}


def test_sender_and_region_come_from_the_call_or_the_connection(messangi: Connect, sandbox: Sandbox) -> None:
    hook = messangi(extra={"sender": "777", "default_region": "DE"})
    national = {"to": "0151 23456789", "text": "Hello"}
    hook.send_message("sms", national)
    hook.send_message("sms", {**national, "to": "85 98888-7777"}, sender="888", default_region="BR")
    assert [found["recipient"] for found in delivered(sandbox)] == ["4915123456789", "5585988887777"]


def test_the_connections_sender_is_not_one_of_emails(messangi: Connect) -> None:
    hook = messangi(extra={"sender": "777"})
    with pytest.raises(ValidationError, match="from REQUIRED_PROPERTY"):
        hook.send_message("email", {**EMAIL, "from": None})


def test_a_message_is_looked_up_by_the_vendors_id(hook: MessangiHook, sandbox: Sandbox) -> None:
    message_id = hook.send_message("sms", SMS)
    found = hook.get_message(message_id)
    assert found is not None
    assert found["status"] == "ACCEPTED"
    assert hook.get_message("nobody's") is None


def test_what_a_look_up_says_of_a_rejected_message_is_no_error(hook: MessangiHook, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "get_message", status=200, body='{"status": "REJECTED", "messageId": "m-1"}')])
    found = hook.get_message("m-1")
    assert found is not None
    assert found["status"] == "REJECTED"


def test_the_transaction_is_in_the_error(hook: MessangiHook, sandbox: Sandbox) -> None:
    for call in (
        lambda: hook.get_list("nowhere"),
        lambda: hook.request("GET", "/dothraki/v1/lists/nowhere"),
        lambda: hook.send_message("notification", {"channel": "PUSH", "request": {}}),
    ):
        with pytest.raises(VendorError, match=r"trace id [0-9a-f-]{36}"):
            call()


# Listings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["null", "empty", "missing"])
def test_every_subscriber_is_read_once_and_in_order(hook: MessangiHook, sandbox: Sandbox, end: str) -> None:
    sandbox.settings(VENDOR, next_at_end=end)
    subscribers(sandbox, 25)
    found = list(hook.list_subscribers(LIST, page_size=10))
    assert [row["data"]["number"] for row in found] == list(range(25))
    assert len(requests(sandbox, "list_subscribers")) == 3


def test_the_page_size_may_be_left_to_the_vendor(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 25)
    assert len(list(hook.list_subscribers(LIST, page_size=None))) == 25
    assert "limit" not in requests(sandbox, "list_subscribers")[0]["query"]


@pytest.mark.parametrize("repeat", [True, "first"])
def test_pages_that_never_end_are_an_error(hook: MessangiHook, sandbox: Sandbox, repeat: bool | str) -> None:
    subscribers(sandbox, 25)
    sandbox.settings(VENDOR, repeat_page=repeat)
    with pytest.raises(VendorError, match=r"same page again|named before"):
        list(hook.list_subscribers(LIST, page_size=10))
    assert len(requests(sandbox, "list_subscribers")) <= 4


def test_only_what_is_asked_for_is_read(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 25)
    assert len(list(islice(hook.list_subscribers(LIST, page_size=10), 5))) == 5
    assert len(requests(sandbox, "list_subscribers")) == 1


def test_a_page_leaves_no_more_in_memory_than_its_digest_and_name(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 12_000)

    def peak(pages: int) -> int:
        tracemalloc.start()
        try:
            assert sum(1 for _ in islice(hook.list_subscribers(LIST, page_size=20), 20 * pages)) == 20 * pages
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(5)
    # Enough pages that the standard library's caches of URLs are full in both.
    few, many = peak(150), peak(600)
    assert many - few < 450 * 300


def test_any_listing_can_be_paged_through(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 25)
    path = f"/dothraki/v1/lists/{LIST}/subscribers"
    assert len(list(hook.paginate(path, page_size=7))) == 25
    assert requests(sandbox, "list_subscribers")[0]["query"] == "limit=7"


def test_lists_and_owners_are_listed(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 1)
    hook.request("POST", "/dothraki/v1/owners", json={"name": "Ada"})
    assert [found["id"] for found in hook.list_lists()] == [LIST]
    assert [found["name"] for found in hook.list_owners()] == ["Ada"]


# Resources --------------------------------------------------------------------------------------------------------


def test_a_list_is_made_read_and_deleted(hook: MessangiHook, sandbox: Sandbox) -> None:
    made = hook.create_list({"name": "news"})
    assert hook.get_list(made["id"]) == made
    hook.delete_list(made["id"])
    assert not sandbox.state("lists", vendor=VENDOR)


def test_a_subscriber_is_written_changed_and_removed(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 1)
    who = "crm/4711 ü"
    hook.upsert_subscriber(LIST, who, {"email": "ada@example.com", "data": {"city": "London"}})
    hook.upsert_subscriber(LIST, who, {"email": "ada@example.com"})
    hook.update_subscriber(LIST, who, {"data": {"city": "Turin"}})
    assert hook.get_subscriber(LIST, who) == {"id": who, "email": "ada@example.com", "data": {"city": "Turin"}}
    assert hook.delete_subscriber(LIST, who)
    assert not hook.delete_subscriber(LIST, who)
    assert hook.get_subscriber(LIST, who) is None


def test_a_subscriber_without_an_id_gets_one(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 1)
    made = hook.create_subscriber(LIST, {"email": "ada@example.com"})
    assert hook.get_subscriber(LIST, made["id"]) == made


def test_the_reply_to_an_added_subscriber_is_not_asked_for_twice(hook: MessangiHook, sandbox: Sandbox) -> None:
    subscribers(sandbox, 1)
    sandbox.faults([fault("drop", "create_subscriber", when="after")])
    with pytest.raises(AmbiguousDeliveryError):
        hook.create_subscriber(LIST, {"email": "ada@example.com"})
    assert len(sandbox.state("subscribers", vendor=VENDOR)) == 2


CALLS: dict[str, Callable[[MessangiHook], Any]] = {
    "get": lambda hook: hook.get_subscriber("nowhere", "1"),
    "delete": lambda hook: hook.delete_subscriber("nowhere", "1"),
    "upsert": lambda hook: hook.upsert_subscriber("nowhere", "1", {"email": "a@example.com"}),
    "list": lambda hook: list(hook.list_subscribers("nowhere")),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_list_that_is_not_there_is_no_list_without_subscribers(hook: MessangiHook, call: str) -> None:
    with pytest.raises(VendorError) as caught:
        CALLS[call](hook)
    assert "extra 'subscribers_prefix'" in caught.value.setting


def test_a_wallet_template_is_sent_as_a_form(hook: MessangiHook, sandbox: Sandbox) -> None:
    template = {"name": "Kärtchen", "type": "storecard", "organization": "Shop"}
    made = hook.create_wallet_template(template)
    [kept] = sandbox.state("wallet_templates", vendor=VENDOR)
    assert (kept["template"], kept["id"]) == (template, made["id"])


# Any request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_reaches_every_path(hook: MessangiHook, sandbox: Sandbox, method: str) -> None:
    subscribers(sandbox, 1)
    [given] = sandbox.state("subscribers", vendor=VENDOR)
    path = f"/dothraki/v1/lists/{LIST}/subscribers"
    body = {"email": "ada@example.com"} if method in {"POST", "PUT", "PATCH"} else None
    answer = hook.request(method, path if method == "POST" else f"{path}/{given['id']}", json=body)
    if method == "DELETE":
        assert answer is None
    else:
        assert answer["data"]["email"] == "ada@example.com" if body else given["email"]


def test_a_rejection_of_any_request_is_one(hook: MessangiHook, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError, match="cannot be reached"):
        hook.request("POST", "/raven/v2/messages", json={"from": "1", "to": "4915123450000", "text": "x", "type": "MT"})


def test_an_answer_can_go_to_a_file(hook: MessangiHook, sandbox: Sandbox, tmp_path: Path) -> None:
    subscribers(sandbox, 3)
    path = tmp_path / "answer.json"
    told = hook.request("GET", f"/dothraki/v1/lists/{LIST}/subscribers", response_path=str(path))
    assert told["status"] == 200
    assert len(json.loads(path.read_bytes())["items"]) == 3


def test_a_path_that_leads_elsewhere_is_refused(hook: MessangiHook) -> None:
    for path in ("https://example.com/x", "//example.com/x", "/a/../b"):
        with pytest.raises(ConfigurationError):
            hook.request("GET", path)
