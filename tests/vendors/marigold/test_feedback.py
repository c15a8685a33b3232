"""Feedback rows, their identity, and the event they become."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_messaging.core.feedback import EVENT_KINDS, FEEDBACK, SCHEMA_VERSION
from airflow_provider_messaging.vendors.marigold.feedback import (
    Bounce,
    Complaint,
    Kind,
    ListUnsubscribe,
    event_id,
    normalise,
    read_row,
)

BOUNCE: dict[str, Any] = {
    "account_id": "3822afb319684af18b9664ee327b7c44",
    "mapping": "hard",
    "mode": "direct",
    "external_reference": "674d25d7319b4549a88cefdda049989e",
    "timestamp": "2023-07-25T19:19:00.0378723+00:00",
    "finalize_reason": "hardBounce",
    "outcome": "452 System is busy",
    "outcome_category": "exclusion",
    "domain": "example.com",
}
UNSUBSCRIBE: dict[str, Any] = {
    "account_id": "3822afb319684af18b9664ee327b7c44",
    "external_reference": "674d25d7319b4549a88cefdda049989e",
    "timestamp": "2023-07-25T19:19:00.0378723+00:00",
    "mailbox": "unsubscribe@example.com",
    "list_unsubscribe_header": "<http://www.example.com/u?ID=1>",
    "domain": "example.com",
}
MOMENT = datetime(2023, 7, 25, 19, 19, 0, 37872, tzinfo=UTC)


def test_a_bounce_becomes_a_flat_event() -> None:
    event = normalise("bounces", {**BOUNCE, "new_field": [1]})
    assert event == {
        "event_id": event_id("bounces", BOUNCE),
        "schema_version": SCHEMA_VERSION,
        "vendor": "marigold",
        "kind": "bounce",
        "bounce_type": "hard",
        "mode": "direct",
        "category": "exclusion",
        "reason": "hardBounce",
        "outcome": "452 System is busy",
        "reference": BOUNCE["external_reference"],
        "recipient": None,
        "domain": "example.com",
        "mailbox": None,
        "account_id": BOUNCE["account_id"],
        "occurred_at": MOMENT,
        "raw": event["raw"],
    }
    assert msgspec.json.decode(event["raw"]) == {**BOUNCE, "new_field": [1]}


@pytest.mark.parametrize(
    ("kind", "singular", "model"),
    [
        ("bounces", "bounce", Bounce),
        ("complaints", "complaint", Complaint),
        ("list_unsubscribes", "list_unsubscribe", ListUnsubscribe),
    ],
)
def test_every_kind_has_the_same_columns(kind: str, singular: str, model: type) -> None:
    event = normalise(kind, UNSUBSCRIBE)
    assert list(event) == list(normalise("bounces", BOUNCE))
    assert event["kind"] == singular
    assert event["mailbox"] == "unsubscribe@example.com"
    assert event["bounce_type"] is None
    row = read_row(Kind(kind), UNSUBSCRIBE)
    assert type(row) is model
    assert row.raw is UNSUBSCRIBE
    assert row.timestamp == MOMENT


@pytest.mark.parametrize("kind", Kind)
def test_an_event_keeps_the_data_contract(kind: Kind) -> None:
    types = {"text": str, "integer": int, "timestamp": datetime}
    event: dict[str, Any] = {**normalise(kind, {**BOUNCE, **UNSUBSCRIBE})}
    assert list(event) == [column.name for column in FEEDBACK]
    for column in FEEDBACK:
        value = event[column.name]
        assert isinstance(value, types[column.type]) or (value is None and not column.required), column.name
    assert event["kind"] in EVENT_KINDS


def test_domains_are_in_lower_case() -> None:
    assert normalise("complaints", {"domain": "Example.COM"})["domain"] == "example.com"


def test_what_a_bounce_alone_has_is_not_read_from_another_kind() -> None:
    event = normalise("complaints", BOUNCE)
    assert {event["bounce_type"], event["mode"], event["category"], event["reason"], event["outcome"]} == {None}


def test_an_unknown_kind_is_an_error() -> None:
    for call in (read_row, event_id, normalise):
        with pytest.raises(ValueError, match="openings"):
            call("openings", BOUNCE)


def test_enums_get_their_documented_case_and_unknown_ones_keep_theirs() -> None:
    event = normalise(
        "bounces",
        {
            **BOUNCE,
            "mapping": "HARD",
            "mode": "Indirect",
            "outcome_category": "BadUser",
            "finalize_reason": "Brand New",
        },
    )
    assert (event["bounce_type"], event["mode"]) == ("hard", "indirect")
    assert (event["category"], event["reason"]) == ("badUser", "Brand New")


def test_given_raw_text_is_kept() -> None:
    assert normalise("bounces", BOUNCE, raw="{ }")["raw"] == "{ }"


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2023-07-25T19:19:00.0378723Z"},
        {"timestamp": "2023-07-25T19:19:00.0378723"},
        {"timestamp": "2023-07-25T21:19:00.0378723+02:00"},
        {"mapping": "Hard", "mode": "DIRECT"},
        {"mailbox": None},
        {"mailbox": ""},
        {"outcome": "other words", "outcome_category": "none"},
        {"a_new_field": 1},
    ],
)
def test_copies_of_an_event_have_one_id(change: dict[str, Any]) -> None:
    assert event_id("bounces", {**BOUNCE, **change}) == event_id(Kind.BOUNCES, BOUNCE)


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "2023-07-25T19:19:01Z"},
        {"timestamp": "unreadable"},
        {"external_reference": "other"},
        {"account_id": "other"},
        {"mode": "indirect"},
        {"mapping": "soft"},
        {"domain": "example.org"},
        {"mailbox": "example.com", "domain": None},
    ],
)
def test_different_events_have_different_ids(change: dict[str, Any]) -> None:
    assert event_id("bounces", {**BOUNCE, **change}) != event_id("bounces", BOUNCE)


def test_the_kind_is_part_of_the_identity() -> None:
    assert len({event_id(kind, UNSUBSCRIBE) for kind in Kind}) == 3


def test_an_id_never_changes_between_releases() -> None:
    assert event_id("bounces", BOUNCE) == "b94824ae1b5fddb598e854c9ff02edfe"


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(BOUNCE)), inner),
    max_leaves=8,
)


@given(row=st.dictionaries(st.sampled_from([*BOUNCE, *UNSUBSCRIBE]), json), kind=st.sampled_from(list(Kind)))
def test_nothing_that_comes_makes_it_fail(row: dict[str, Any], kind: Kind) -> None:
    event = normalise(kind, row)
    assert msgspec.json.decode(event["raw"]) == row
    assert len(event["event_id"]) == 32
    assert event["occurred_at"] is None or event["occurred_at"].utcoffset() is not None


@pytest.mark.parametrize("call", [normalise, event_id])
def test_rows_are_not_changed(call: Callable[..., object]) -> None:
    row = dict(BOUNCE)
    call("bounces", row)
    assert row == BOUNCE
