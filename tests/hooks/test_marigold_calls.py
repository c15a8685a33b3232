"""The single calls of the hook, against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    AuthenticationError,
    RateLimitedError,
    ValidationError,
    VendorError,
)
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.hooks.conftest import Connect
from tests.hooks.test_marigold_test_connection import without_waiting

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def row(reference: str, to: str = "jane@example.com", **more: Any) -> dict[str, Any]:
    return {"reference": reference, "to": to, "from": "news@example.com", "subject": "Hi", "text": "Hello", **more}


def operations(sandbox: Sandbox) -> list[str]:
    return [request["operation"] for request in sandbox.requests()]


def test_send_email_sends_rows_of_both_forms_and_counts_them(hook: MarigoldHook, sandbox: Sandbox) -> None:
    vendor_form = {
        "reference": "m-2",
        "headers": {"to": {"address": "joe@example.com"}, "from": {"address": "a@example.com"}, "subject": "Hi"},
        "content": {"html": "<p>Hello</p>"},
    }
    assert hook.send_email([row("m-1"), vendor_form]) == 2
    assert {each["reference"]: each["recipient"] for each in sandbox.deliveries()} == {
        "m-1": "jane@example.com",
        "m-2": "joe@example.com",
    }


def test_send_email_splits_what_exceeds_one_request(hook: MarigoldHook, sandbox: Sandbox) -> None:
    assert hook.send_email([row(f"m-{number}") for number in range(101)]) == 101
    assert [request["messages"] for request in sandbox.requests(operation="send_email")] == [100, 1]


def test_send_email_of_nothing_asks_the_vendor_nothing(hook: MarigoldHook, sandbox: Sandbox) -> None:
    assert hook.send_email([]) == 0
    assert sandbox.requests() == []


def test_send_email_sends_nothing_if_a_row_breaks_a_rule(hook: MarigoldHook, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError) as caught:
        hook.send_email([row("m-1"), row("m-2", to="nobody"), row("", tags=[""])])
    found = [(each.row, error.field, error.code) for each in caught.value.rows for error in each.errors]
    assert found == [
        (1, "to", "INVALID_ADDRESS"),
        (2, "reference", "INVALID_REFERENCE_EMPTY"),
        (2, "tags[0]", "INVALID_TAG_EMPTY"),
    ]
    assert "nothing was sent" in str(caught.value)
    assert sandbox.requests() == []


def test_send_email_needs_a_reference_on_every_row(hook: MarigoldHook, sandbox: Sandbox) -> None:
    nameless = row("x")
    del nameless["reference"]
    with pytest.raises(ValidationError, match="break the rules"):
        hook.send_email([nameless])
    assert sandbox.requests() == []


def test_send_email_refuses_a_reference_that_stands_twice(hook: MarigoldHook, sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError) as caught:
        hook.send_email([row("m-1"), row("m-1")])
    assert [error.code for each in caught.value.rows for error in each.errors] == ["REFERENCE_DUPLICATE_DETECTED"]
    assert sandbox.counts()["total"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_send_email_says_when_nobody_knows_and_does_not_repeat(hook: MarigoldHook, sandbox: Sandbox, when: str) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "drop", "when": when}])
    with pytest.raises(AmbiguousDeliveryError, match="may have been taken"):
        without_waiting(hook).send_email([row("m-1")])
    assert operations(sandbox) == ["token", "send_email"]


def test_send_email_waits_and_repeats_what_was_surely_not_taken(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 429, "retry_after": 1, "times": 1}])
    assert hook.send_email([row("m-1")]) == 1
    refused, taken = sandbox.requests(operation="send_email")
    assert (refused["status"], taken["status"]) == (429, 202)
    assert taken["at"] - refused["at"] >= 1.0
    assert sandbox.counts() == {"total": 1, "distinct": 1, "duplicates": 0}


def test_send_email_gives_up_while_the_vendor_throttles_with_the_wait_it_asked_for(
    hook: MarigoldHook, sandbox: Sandbox
) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 429, "retry_after": 7}])
    with pytest.raises(RateLimitedError) as caught:
        without_waiting(hook).send_email([row("m-1")])
    assert caught.value.retry_after == 7
    assert caught.value.retryable


def seeded(sandbox: Sandbox, kind: str) -> None:
    """One row a minute, over three days."""
    sandbox.seed(kind, rows=3 * 1440, start="2026-03-09T00:00:00Z", end="2026-03-11T23:59:00Z")


@pytest.mark.parametrize("kind", ["bounces", "complaints", "list_unsubscribes"])
def test_reads_yield_the_rows_of_the_window_though_the_vendor_filters_by_day(
    hook: MarigoldHook, sandbox: Sandbox, kind: str
) -> None:
    seeded(sandbox, kind)
    read = getattr(hook, f"iter_{kind}")
    rows = list(read(NOON, NOON + timedelta(minutes=90), page_size=500))
    assert len(rows) == 90
    assert rows[0]["timestamp"].startswith("2026-03-10T12:00:00")
    assert rows[-1]["timestamp"].startswith("2026-03-10T13:29:00")


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        pytest.param("2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z", 0, id="empty"),
        pytest.param("2026-03-10T12:00:00Z", "2026-03-10T12:00:00.000001Z", 1, id="start is in"),
        pytest.param("2026-03-10T11:59:00.000001Z", "2026-03-10T12:00:00Z", 0, id="end is out"),
        pytest.param("2026-03-10T23:30:00Z", "2026-03-11T00:30:00Z", 60, id="over midnight"),
        pytest.param("2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z", 1440, id="a day"),
        pytest.param("2026-03-10T13:00:00+01:00", "2026-03-10T13:10:00+01:00", 10, id="another zone"),
        pytest.param("2026-03-11T00:30:00+02:00", "2026-03-11T01:30:00+02:00", 60, id="a zone's other day"),
        pytest.param("2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z", 0, id="later"),
    ],
)
def test_a_window_is_half_open_and_in_utc(
    hook: MarigoldHook, sandbox: Sandbox, start: str, end: str, count: int
) -> None:
    seeded(sandbox, "bounces")
    rows = list(hook.iter_bounces(datetime.fromisoformat(start), datetime.fromisoformat(end), page_size=1000))
    assert len(rows) == count


def test_reads_ask_only_for_the_days_that_the_window_touches(hook: MarigoldHook, sandbox: Sandbox) -> None:
    list(hook.iter_bounces(NOON - timedelta(days=1), datetime(2026, 3, 11, tzinfo=UTC)))
    (request,) = sandbox.requests(operation="bounces")
    assert "start=2026-03-09&end=2026-03-10" in request["query"]


def test_a_window_without_a_time_zone_is_refused(hook: MarigoldHook) -> None:
    with pytest.raises(ValueError, match="aware"):
        list(hook.iter_bounces(datetime(2026, 3, 10), datetime(2026, 3, 11)))  # noqa: DTZ001


@pytest.mark.parametrize(("mode", "count"), [("direct", 45), ("indirect", 45), (None, 90)])
def test_bounces_can_be_read_by_mode(hook: MarigoldHook, sandbox: Sandbox, mode: Any, count: int) -> None:
    seeded(sandbox, "bounces")
    rows = list(hook.iter_bounces(NOON, NOON + timedelta(minutes=90), mode=mode, page_size=1000))
    assert len(rows) == count
    assert mode is None or {each["mode"] for each in rows} == {mode}


def test_another_account_than_the_connections_can_be_read(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.seed("bounces", rows=3, start="2026-03-10T12:00:00Z", end="2026-03-10T12:02:00Z", account="other")
    window = NOON, NOON + timedelta(hours=1)
    assert len(list(hook.iter_bounces(*window))) == 0
    assert len(list(hook.iter_bounces(*window, account_id="other"))) == 3


@pytest.mark.parametrize("links", [False, True])
def test_reads_page_through_with_the_page_size_asked_for(hook: MarigoldHook, sandbox: Sandbox, links: bool) -> None:
    sandbox.settings(feedback_links=links)
    sandbox.seed("bounces", rows=250, start="2026-03-10T12:00:00Z", end="2026-03-10T13:00:00Z")
    rows = list(hook.iter_bounces(NOON, NOON + timedelta(hours=2), page_size=100))
    assert len({each["external_reference"] for each in rows}) == len(rows) == 250
    assert len(sandbox.requests(operation="bounces")) == 3


def test_reads_are_lazy(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.seed("bounces", rows=250, start="2026-03-10T12:00:00Z", end="2026-03-10T13:00:00Z")
    rows = hook.iter_bounces(NOON, NOON + timedelta(hours=2), page_size=10)
    assert sandbox.requests() == []
    next(rows)
    assert len(sandbox.requests(operation="bounces")) == 1
    rows.close()  # type: ignore[attr-defined]


def test_a_read_that_breaks_off_is_repeated(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.seed("bounces", rows=250, start="2026-03-10T12:00:00Z", end="2026-03-10T13:00:00Z")
    sandbox.faults(
        [
            {"operation": "bounces", "fault": "drop", "times": 1},
            {"operation": "bounces", "fault": "truncate", "times": 1},
            {"operation": "bounces", "fault": "malformed", "times": 1},
            {"operation": "bounces", "fault": "status", "status": 502, "times": 1},
        ]
    )
    rows = list(without_waiting(hook).iter_bounces(NOON, NOON + timedelta(hours=2)))
    assert len({each["external_reference"] for each in rows}) == len(rows) == 250


def test_a_wrong_path_is_described_by_the_extra_to_change(to_sandbox: Connect) -> None:
    wrong = {"bounces": "/bounces/v9/bounces"}
    with to_sandbox(extra={"endpoints": wrong}) as hook, pytest.raises(VendorError) as caught:
        list(hook.iter_bounces(NOON, NOON + timedelta(hours=2)))
    assert caught.value.status == 404
    assert caught.value.setting == "extra 'endpoints' → 'bounces' (its path is unpublished, ours is a default)"


def test_get_bounce_returns_the_vendors_row(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1", to="hard-bounce@example.com")])
    bounce = hook.get_bounce("m-1")
    assert bounce is not None
    assert (bounce["external_reference"], bounce["mapping"], bounce["mode"]) == ("m-1", "hard", "direct")


def test_get_bounce_returns_none_where_there_is_none(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1")])
    assert hook.get_bounce("m-1") is None
    assert hook.get_bounce("never-sent") is None


def test_track_returns_the_typed_events_of_a_message(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1")])
    events = hook.track("m-1")
    assert [event.type for event in events] == [
        "sdc.api.email.accepted",
        "sdc.imports.email",
        "sdc.deliveries.email.sent",
    ]
    assert {event.reference for event in events} == {"m-1"}
    assert all(event.timestamp and event.timestamp.tzinfo for event in events)


def test_track_returns_nothing_for_a_message_that_the_vendor_does_not_know(hook: MarigoldHook) -> None:
    assert hook.track("never-sent") == []


@pytest.mark.parametrize("call", ["track", "get_bounce"])
def test_a_token_endpoint_that_is_not_there_is_not_taken_for_an_unknown_message(
    hook: MarigoldHook, sandbox: Sandbox, call: str
) -> None:
    sandbox.faults([{"operation": "token", "fault": "status", "status": 404}])
    with pytest.raises(VendorError, match="marigold token: HTTP 404"):
        getattr(hook, call)("m-1")


@pytest.mark.parametrize("reference", ["", ".", ".."])
def test_a_reference_that_would_change_the_path_is_refused(
    hook: MarigoldHook, sandbox: Sandbox, reference: str
) -> None:
    with pytest.raises(ValidationError):
        hook.track(reference)
    assert sandbox.requests() == []


def test_a_reference_is_one_segment_of_the_path_whatever_it_holds(hook: MarigoldHook, sandbox: Sandbox) -> None:
    assert hook.track("a/../b?c=d#e") == []
    (request,) = sandbox.requests(operation="track")
    assert request["path"].endswith("/tracking/v1/messages/a%2F..%2Fb%3Fc%3Dd%23e")
    assert request["query"] == ""


def test_refused_credentials_name_connection_and_field(to_sandbox: Connect, sandbox: Sandbox) -> None:
    with to_sandbox(password="wr0ng-wr0ng") as hook, pytest.raises(AuthenticationError) as caught:
        hook.send_email([row("m-1")])
    assert "'mailing'" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    assert not caught.value.retryable
    assert operations(sandbox) == ["token"]


def test_a_forbidden_operation_is_an_authentication_error_and_not_repeated(
    hook: MarigoldHook, sandbox: Sandbox
) -> None:
    sandbox.faults([{"operation": "track", "fault": "status", "status": 403}])
    with pytest.raises(AuthenticationError, match="scope"):
        hook.track("m-1")
    assert operations(sandbox) == ["token", "track"]


def test_a_closed_hook_can_be_used_again(hook: MarigoldHook) -> None:
    assert hook.send_email([row("m-1")]) == 1
    hook.close()
    assert len(hook.track("m-1")) == 3


def test_get_conn_returns_the_api(hook: MarigoldHook, sandbox: Sandbox) -> None:
    assert hook.get_conn().base_url == sandbox.vendor_url("marigold") + "/api"


def test_the_read_timeout_of_the_connection_is_obeyed(to_sandbox: Connect, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "hang"}])
    impatient = {"read_timeout": "0.3"}
    with to_sandbox(extra=impatient) as hook, pytest.raises(AmbiguousDeliveryError, match="no answer within the read"):
        hook.send_email([row("m-1")])


def test_the_proxy_of_the_connection_is_taken(to_sandbox: Connect, sandbox: Sandbox) -> None:
    # The sandbox is no proxy: it looks for a vendor of that name instead of another machine.
    host = "http://127.0.0.1:9/elsewhere"
    hook = without_waiting(to_sandbox(host=host, extra={"proxy": sandbox.url}))
    with hook, pytest.raises(VendorError, match="HTTP 404"):
        hook.send_email([row("m-1")])
