"""Requests that carry CloudEvents, made by the SDK where it can make them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from airflow_provider_messaging.vendors.marigold.cloudevents_http import (
    BATCHED,
    PLAIN,
    STRUCTURED,
    MalformedEvent,
    UnsupportedMode,
    parse_request,
)

EVENT: dict[str, Any] = {"id": "1", "source": "/sdc", "type": "com.sdc.deliveries.email.sent", "specversion": "1.0"}


def parse(document: Any, content_type: str = PLAIN) -> list[dict[str, Any]]:
    return parse_request({"content-type": content_type}, json.dumps(document).encode())


def sdk_event() -> CloudEvent:
    return CloudEvent({**EVENT, "subject": "Grüße", "tenant": "a"}, {"recipient": "jane@example.com"})


def test_a_structured_event_of_the_sdk_comes_through() -> None:
    message = to_structured_event(sdk_event())
    assert parse_request(message.headers, message.body) == [json.loads(message.body)]


def test_a_binary_event_of_the_sdk_becomes_the_same_in_structured_form() -> None:
    event = sdk_event()
    binary, structured = to_binary_event(event), to_structured_event(event)
    found = parse_request(binary.headers, binary.body)
    assert found[0].pop("time").startswith("2")
    assert found == [{name: value for name, value in json.loads(structured.body).items() if name != "time"}]


def test_binary_data_that_is_no_json_is_kept_in_base64() -> None:
    headers = {f"ce-{name}": value for name, value in EVENT.items()} | {"content-type": "text/plain"}
    assert parse_request(headers, b"hello")[0]["data_base64"] == "aGVsbG8="


def test_a_batch_is_its_events() -> None:
    other = {**EVENT, "id": "2"}
    assert parse([EVENT, other], BATCHED) == [EVENT, other]
    assert parse([], BATCHED) == []


def test_plain_json_is_taken_for_what_it_holds() -> None:
    assert parse(EVENT, "application/json; charset=utf-8") == [EVENT]
    assert parse([EVENT]) == [EVENT]


def test_unknown_attributes_nulls_and_numbers_are_kept_as_they_came() -> None:
    event = {**EVENT, "subject": None, "time": None, "traceParent": "x", "n": 1, "data": {"big": 10**30, "half": 0.5}}
    assert parse(event) == [event]


@pytest.mark.parametrize(
    "time", ["2022-03-16T12:56:04.8111884Z", "2022-03-16T12:56:04.8111884", "2022-03-16T12:56:04+01:00"]
)
def test_the_vendors_times_pass(time: str) -> None:
    assert parse({**EVENT, "time": time})[0]["time"] == time


@pytest.mark.parametrize(
    ("document", "content_type", "says"),
    [
        ({}, PLAIN, "the event has no 'id'"),
        ({**EVENT, "source": None}, PLAIN, "the event has no 'source'"),
        ({**EVENT, "id": ""}, PLAIN, "'id' must not be None or empty"),
        ({**EVENT, "id": 5}, PLAIN, "'id' must be"),
        ({**EVENT, "specversion": "0.3"}, PLAIN, "'specversion' must be '1.0'"),
        ({**EVENT, "time": "yesterday"}, PLAIN, "'time' is no RFC 3339 timestamp"),
        ({**EVENT, "time": 5}, PLAIN, "'time' is no RFC 3339 timestamp"),
        ([EVENT, {**EVENT, "type": ""}], BATCHED, "event 1: "),
        ([EVENT, 5], BATCHED, "event 1 is not a JSON object"),
        (EVENT, BATCHED, "must be a JSON array"),
        ([EVENT], STRUCTURED, "must be a JSON object"),
        ("text", PLAIN, "is not a JSON object"),
    ],
)
def test_a_malformed_event_is_told_what_is_wrong(document: Any, content_type: str, says: str) -> None:
    with pytest.raises(MalformedEvent, match=says.replace("(", r"\(")):
        parse(document, content_type)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"a":1}garbage', b'{"a":NaN}'])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEvent, match="not JSON"):
        parse_request({"content-type": PLAIN}, body)


@pytest.mark.parametrize("levels", [32, 100_000])
def test_deep_nesting_is_refused_without_exhausting_the_stack(levels: int) -> None:
    body = json.dumps(EVENT)[:-1].encode() + b', "data": ' + b"[" * levels + b"]" * levels + b"}"
    with pytest.raises(MalformedEvent, match="nested more than 32 levels"):
        parse_request({"content-type": PLAIN}, body)


def test_as_deep_as_allowed_is_taken() -> None:
    body = json.dumps(EVENT)[:-1].encode() + b', "data": ' + b"[" * 31 + b"]" * 31 + b"}"
    assert parse_request({"content-type": PLAIN}, body)
    assert parse_request({"content-type": BATCHED}, b"[" + body + b"]")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/xml", "application/json; charset=latin-1"])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMode):
        parse(EVENT, content_type)
