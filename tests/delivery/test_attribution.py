"""Whom feedback comes from, and whom it suppresses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.attribution import Attribution, Counts, Policy, Sent

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ADA, GRACE = "ada@example.com", "grace@example.com"
Event = dict[str, Any]


def event(number: int, reference: str | None = "m-1", *, days: float = 0, **more: Any) -> Event:
    """A hard bounce, unless told otherwise."""
    return {
        "event_id": f"{number:032x}",
        "kind": "bounce",
        "bounce_type": "hard",
        "reference": reference,
        "recipient": None,
        "occurred_at": NOON + timedelta(days=days),
        **more,
    }


def soft(number: int, reference: str | None = "m-1", *, days: float = 0, **more: Any) -> Event:
    return event(number, reference, days=days, bounce_type="soft", **more)


def complaint(number: int, reference: str | None = "m-1", **more: Any) -> Event:
    return event(number, reference, kind="complaint", bounce_type=None, **more)


def unsubscribe(number: int, reference: str | None = "m-1", **more: Any) -> Event:
    return event(number, reference, kind="list_unsubscribe", bounce_type=None, **more)


class Found:
    """All that an attribution gives."""

    def __init__(
        self,
        sent: Mapping[str, str] | Iterable[Sent],
        events: Iterable[Event],
        category: str | None = None,
        **policy: Any,
    ) -> None:
        if isinstance(sent, Mapping):
            sent = [Sent(reference, recipient, True) for reference, recipient in sent.items()]
        with Attribution(Policy(**policy), keep_events=True) as attribution:
            attribution.add_messages(sent)
            attribution.add_events(events)
            self.counts: Counts = attribution.join()
            self.lines = list(attribution.addresses(category=category))
            self.unattributed = list(attribution.unattributed())
            self.reached = list(attribution.reached())

    @property
    def suppressed(self) -> dict[str, str]:
        """Reasons by address."""
        return {line["email"]: line["reason"] for line in self.lines}

    @property
    def problems(self) -> dict[str, str]:
        """Codes by event."""
        return {each["event_id"].lstrip("0"): each["_unattributed"]["code"] for each in self.unattributed}


# ------------------------------------------------------------------------------------------------------ the policy


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (event, "Hard Bounce"),
        (complaint, "Complaint"),
        (unsubscribe, "Recipient Unsubscribed"),
    ],
)
def test_one_event_suppresses_its_recipient(made: Any, reason: str) -> None:
    assert Found({"m-1": ADA, "m-2": GRACE}, [made(1)]).suppressed == {ADA: reason}


@pytest.mark.parametrize(
    ("made", "policy"),
    [
        (event, {"hard": False}),
        (complaint, {"complaints": False}),
        (unsubscribe, {"unsubscribes": False}),
        (soft, {"soft_bounces": None}),
        (soft, {"soft_bounces": 2}),
    ],
)
def test_what_the_policy_leaves_out_suppresses_nobody(made: Any, policy: dict[str, Any]) -> None:
    found = Found({"m-1": ADA}, [made(1)], **policy)
    assert found.suppressed == {}
    assert found.counts.attributed == 1


@pytest.mark.parametrize("bounce_type", ["spam", "Martian", None])
def test_a_bounce_that_says_nothing_of_the_recipient_suppresses_nobody(bounce_type: str | None) -> None:
    found = Found({"m-1": ADA}, [event(1, bounce_type=bounce_type)], soft_bounces=1)
    assert found.suppressed == {}
    assert found.counts.attributed == 1


def test_spam_bounces_may_count_as_hard_ones() -> None:
    assert Found({"m-1": ADA}, [event(1, bounce_type="spam")], spam_bounces="hard").suppressed == {ADA: "Spam Bounce"}


def test_spam_bounces_may_count_as_soft_ones() -> None:
    events = [event(1, "m-1", bounce_type="spam"), soft(2, "m-2")]
    found = Found({"m-1": ADA, "m-2": ADA}, events, spam_bounces="soft", soft_bounces=2)
    assert found.suppressed == {ADA: "Soft Bounce"}


SOFT: list[tuple[str, list[tuple[str, float]], bool]] = [
    ("three messages", [("a", 0), ("b", 1), ("c", 2)], True),
    ("two messages", [("a", 0), ("b", 1)], False),
    ("two messages, one of them twice", [("a", 0), ("a", 1), ("b", 2)], False),
    ("three at once", [("a", 0), ("b", 0), ("c", 0)], True),
    ("just within the window", [("a", 0), ("b", 1), ("c", 7)], True),
    ("just beyond the window", [("a", 0), ("b", 1), ("c", 7.000001)], False),
    ("within a later window", [("a", 0), ("b", 7), ("c", 8), ("d", 9)], True),
    ("once a week", [("a", 0), ("b", 4), ("c", 8), ("d", 12)], False),
    ("the first one again, later", [("a", 0), ("b", 6), ("a", 8), ("c", 10)], True),
    ("an old one behind one that came again", [("a", 0), ("b", 1), ("a", 6), ("c", 9)], False),
    ("the first one again, too early", [("a", 0), ("a", 1), ("b", 6), ("c", 8.5)], False),
]


@pytest.mark.parametrize(("bounces", "enough"), [row[1:] for row in SOFT], ids=[row[0] for row in SOFT])
def test_soft_bounces_of_three_messages_within_a_week_suppress(bounces: list[tuple[str, float]], enough: bool) -> None:
    events = [soft(number, reference, days=days) for number, (reference, days) in enumerate(bounces)]
    found = Found(dict.fromkeys("abcd", ADA), events, soft_bounces=3, soft_window=timedelta(days=7))
    assert found.suppressed == ({ADA: "Soft Bounce"} if enough else {})


def test_soft_bounces_of_several_recipients_are_not_added_up() -> None:
    events = [soft(1, "a"), soft(2, "b"), soft(3, "c")]
    assert Found({"a": ADA, "b": ADA, "c": GRACE}, events, soft_bounces=3).suppressed == {}


def test_soft_bounces_without_a_reference_count_as_one_message() -> None:
    events = [soft(number, None, recipient=ADA, days=number) for number in range(5)]
    assert Found({}, events, soft_bounces=2).suppressed == {}
    assert Found({"a": ADA}, [*events, soft(9, "a")], soft_bounces=2).suppressed == {ADA: "Soft Bounce"}


def test_copies_of_a_soft_bounce_count_once() -> None:
    events = [soft(1, "a"), soft(2, "b")] * 3
    found = Found({"a": ADA, "b": ADA}, events, soft_bounces=2)
    [line] = found.lines
    assert line["events"] == 2
    assert (found.counts.events, found.counts.copies) == (2, 4)


def test_of_several_reasons_the_recipients_own_word_comes_first() -> None:
    softs = [soft(number, f"s-{number}") for number in range(3)]
    events = [*softs, event(10, "h", bounce_type="spam"), event(11, "h"), unsubscribe(12, "u"), complaint(13, "c")]
    sent = {f"s-{number}": ADA for number in range(3)} | {"h": ADA, "u": ADA, "c": ADA}
    expected = ["Soft Bounce", "Spam Bounce", "Hard Bounce", "Recipient Unsubscribed", "Complaint"]
    reasons = [Found(sent, events[:number], spam_bounces="hard").suppressed[ADA] for number in (3, 4, 5, 6, 7)]
    assert reasons == expected


# ----------------------------------------------------------------------------------------------------------- since


def test_events_before_since_suppress_nobody_and_are_not_counted() -> None:
    events = [event(1, "a", days=-0.000001), complaint(2, "a", occurred_at=NOON - timedelta(days=1)), event(3, "b")]
    found = Found({"a": ADA, "b": GRACE}, events, since=NOON)
    assert found.suppressed == {GRACE: "Hard Bounce"}
    assert found.counts.events == 1


def test_earlier_soft_bounces_count_once_another_one_comes_after_since() -> None:
    sent = dict.fromkeys("abc", ADA)
    before = [soft(1, "a", days=-2), soft(2, "b", days=-1), soft(3, "c", days=-0.5)]
    assert Found(sent, before, soft_bounces=3, since=NOON).suppressed == {}
    found = Found({**sent, "d": ADA}, [*before, soft(4, "d")], soft_bounces=3, since=NOON)
    assert found.suppressed == {ADA: "Soft Bounce"}
    assert found.counts.events == 1, "those before are history"
    assert found.lines[0]["references"] == ["a", "b", "c", "d"]


def test_soft_bounces_older_than_the_window_before_since_do_not_count() -> None:
    events = [soft(1, "a", days=-8), soft(2, "b", days=-1), soft(3, "c")]
    week = timedelta(days=7)
    assert Found(dict.fromkeys("abc", ADA), events, soft_bounces=3, soft_window=week, since=NOON).suppressed == {}


@pytest.mark.parametrize("since", [None, datetime.min.replace(tzinfo=UTC), NOON - timedelta(days=3)])
def test_a_since_before_everything_changes_nothing(since: datetime | None) -> None:
    assert Found({"m-1": ADA}, [event(1)], since=since).suppressed == {ADA: "Hard Bounce"}


# --------------------------------------------------------------------------------------------------- the recipient


def test_the_recipient_comes_from_the_manifest_in_one_spelling() -> None:
    assert Found({"m-1": " ada@EXAMPLE.com"}, [event(1)]).suppressed == {ADA: "Hard Bounce"}


def test_spellings_of_one_address_are_one_recipient() -> None:
    sent = [Sent("a", "ada@EXAMPLE.com", True), Sent("a", ADA, True), Sent("b", "ada@Example.com", True)]
    found = Found(sent, [event(1, "a"), event(2, "b")])
    assert found.suppressed == {ADA: "Hard Bounce"}
    assert found.lines[0]["events"] == 2


def test_a_reference_with_two_recipients_is_ambiguous_and_suppresses_nobody() -> None:
    found = Found([Sent("m-1", ADA, True), Sent("m-1", GRACE, True)], [event(1), complaint(2)])
    assert found.suppressed == {}
    assert found.problems == {"1": "AMBIGUOUS_REFERENCE", "2": "AMBIGUOUS_REFERENCE"}
    assert (found.counts.ambiguous, found.counts.unattributed) == (2, 0)


def test_two_recipients_that_differ_in_the_case_of_the_local_part_are_two() -> None:
    sent = [Sent("m-1", "Ada@example.com", True), Sent("m-1", ADA, True)]
    assert Found(sent, [event(1)]).counts.ambiguous == 1


def test_the_events_own_recipient_is_enough() -> None:
    assert Found({}, [event(1, recipient="ada@EXAMPLE.com")]).suppressed == {ADA: "Hard Bounce"}
    assert Found({}, [event(1, None, recipient=ADA)]).suppressed == {ADA: "Hard Bounce"}


def test_the_events_own_recipient_has_to_agree_with_the_manifest() -> None:
    assert Found({"m-1": ADA}, [event(1, recipient="ada@Example.com")]).suppressed == {ADA: "Hard Bounce"}
    found = Found({"m-1": ADA}, [event(1, recipient=GRACE)])
    assert found.suppressed == {}
    assert found.problems == {"1": "AMBIGUOUS_REFERENCE"}


def test_an_event_that_names_another_recipient_makes_the_others_of_its_reference_ambiguous() -> None:
    found = Found({"m-1": ADA}, [event(1), event(2, recipient=GRACE), event(3, "m-2", recipient=GRACE)])
    assert found.suppressed == {GRACE: "Hard Bounce"}
    assert found.problems == {"1": "AMBIGUOUS_REFERENCE", "2": "AMBIGUOUS_REFERENCE"}
    assert found.lines[0]["references"] == ["m-2"]


def test_a_recipient_that_agrees_with_one_of_two_is_ambiguous() -> None:
    sent = [Sent("m-1", ADA, True), Sent("m-1", GRACE, True)]
    assert Found(sent, [event(1, recipient=ADA)]).problems == {"1": "AMBIGUOUS_REFERENCE"}


# --------------------------------------------------------------------------------------------- what stays unknown


UNKNOWN: list[tuple[str, Event, str]] = [
    ("no reference", event(1, None), "MISSING_REFERENCE"),
    ("empty reference", event(1, ""), "MISSING_REFERENCE"),
    ("unknown reference", event(1, "m-9"), "UNKNOWN_REFERENCE"),
    ("no time", event(1, occurred_at=None), "MISSING_TIME"),
    ("not an address in the manifest", event(1, "odd"), "INVALID_EMAIL"),
    ("not an address in the event", event(1, None, recipient="nobody"), "INVALID_EMAIL"),
    ("neither an address nor a time", event(1, "odd", occurred_at=None), "INVALID_EMAIL"),
]


@pytest.mark.parametrize(("given", "code"), [row[1:] for row in UNKNOWN], ids=[row[0] for row in UNKNOWN])
def test_what_can_not_be_attributed_is_reported_with_the_reason(given: Event, code: str) -> None:
    found = Found({"m-1": ADA, "odd": "not an address"}, [given, event(2)])
    assert found.suppressed == {ADA: "Hard Bounce"}
    [line] = found.unattributed
    assert line["_unattributed"]["code"] == code
    assert line["_unattributed"]["message"]
    when = given["occurred_at"]
    assert {**line, "_unattributed": None} == {
        **given,
        "occurred_at": when and when.isoformat().replace("+00:00", "Z"),
        "_unattributed": None,
    }
    assert found.counts.problems == {code: 1}
    assert (found.counts.attributed, found.counts.unattributed, found.counts.ambiguous) == (1, 1, 0)


def test_events_without_a_time_are_reported_whatever_since_says() -> None:
    assert Found({"m-1": ADA}, [event(1, occurred_at=None)], since=NOON).problems == {"1": "MISSING_TIME"}


def test_unattributed_events_are_sorted_by_time() -> None:
    given = [event(1, "x", days=2), event(2, "y", days=1), event(3, "z", occurred_at=None), event(4, "x", days=1)]
    assert list(Found({}, given).problems) == ["3", "2", "4", "1"]


# ------------------------------------------------------------------------------------------------------- the lines


def test_a_line_tells_the_evidence_for_its_reason() -> None:
    events = [
        soft(1, "s"),
        event(2, "b", days=2, occurred_at=NOON + timedelta(days=2, microseconds=5)),
        event(3, "a", days=1),
        event(4, "a", days=3),
    ]
    assert Found(dict.fromkeys("sab", ADA), events, category="news").lines == [
        {
            "email": ADA,
            "reason": "Hard Bounce",
            "category": "news",
            "references": ["a", "b"],
            "events": 3,
            "first_at": NOON + timedelta(days=1),
            "last_at": NOON + timedelta(days=3),
        }
    ]


def test_a_line_names_the_first_twenty_messages() -> None:
    references = [f"m-{number:02}" for number in range(30)]
    events = [event(number, reference, days=number) for number, reference in enumerate(references)]
    [line] = Found(dict.fromkeys(references, ADA), reversed(events)).lines
    assert line["references"] == references[:20]
    assert line["events"] == 30


def test_lines_are_sorted_by_address_whatever_the_order_of_the_input() -> None:
    sent = {f"m-{number}": f"user{number}@example.com" for number in range(30)}
    events = [event(number, f"m-{number}") for number in range(30)]
    found = Found(sent, events)
    assert [line["email"] for line in found.lines] == sorted(sent.values())
    assert Found(dict(reversed(sent.items())), reversed(events)).lines == found.lines


def test_counts_add_up() -> None:
    sent = [Sent("a", ADA, True), Sent("b", ADA, False), Sent("c", ADA, True), Sent("c", GRACE, True)]
    given = [event(1, "a"), event(1, "a"), complaint(2, "b"), event(3, "c"), event(4, "d"), event(5, None)]
    counts = Found(sent, given).counts
    assert counts.as_dict() == {
        "messages": 4,
        "events": 5,
        "copies": 1,
        "attributed": 2,
        "ambiguous": 1,
        "unattributed": 2,
        "problems": {"AMBIGUOUS_REFERENCE": 1, "MISSING_REFERENCE": 1, "UNKNOWN_REFERENCE": 1},
        "addresses": 1,
        "reasons": {"Complaint": 1},
    }


# ------------------------------------------------------------------------------------------------------ the reached


def test_reached_are_the_accepted_messages_of_which_nothing_came_back() -> None:
    sent = [Sent("b", GRACE, True), Sent("a", ADA, True), Sent("c", "alan@Example.com", True)]
    found = Found(sent, [event(1, "a")])
    assert found.reached == [{"email": "alan@example.com", "reference": "c"}, {"email": GRACE, "reference": "b"}]


@pytest.mark.parametrize("made", [event, soft, complaint, unsubscribe])
def test_who_wrote_back_about_one_message_is_not_reached_by_another(made: Any) -> None:
    assert Found({"a": ADA, "b": ADA}, [made(1, "a")], hard=False, soft_bounces=None, complaints=False).reached == []


def test_messages_that_may_not_have_been_taken_are_not_reached() -> None:
    assert Found([Sent("a", ADA, False)], []).reached == []
    assert Found([Sent("a", ADA, False), Sent("a", ADA, True)], []).reached == [{"email": ADA, "reference": "a"}]


def test_an_ambiguous_message_that_came_back_reached_nobody() -> None:
    sent = [Sent("a", ADA, True), Sent("a", GRACE, True), Sent("b", GRACE, True)]
    assert Found(sent, [event(1, "a")]).reached == [{"email": GRACE, "reference": "b"}]


# ----------------------------------------------------------------------------------------------------- the machine


@pytest.mark.parametrize(
    ("policy", "setting"),
    [
        ({"soft_bounces": 0}, "soft_bounces"),
        ({"soft_window": timedelta(0)}, "soft_window"),
        ({"spam_bounces": "maybe"}, "spam_bounces"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Found({}, [], **policy)
    assert error.value.setting == setting


def test_several_manifests_and_feedback_files_are_one() -> None:
    with Attribution(Policy()) as attribution:
        attribution.add_messages([Sent("a", ADA, True)])
        attribution.add_messages([Sent("a", GRACE, True), Sent("b", GRACE, True)])
        attribution.add_events([event(1, "a"), event(2, "b")])
        attribution.add_events([event(2, "b"), event(3, "x", recipient=ADA)])
        counts = attribution.join()
        assert [line["email"] for line in attribution.addresses()] == [ADA, GRACE]
    assert (counts.events, counts.copies, counts.ambiguous) == (3, 1, 1)


KILLED = """
import os, signal
from airflow_provider_messaging.delivery.attribution import Attribution, Policy, Sent
attribution = Attribution(Policy(), keep_events=True)
attribution.add_messages(Sent(f"m-{n}", f"user{n}@example.com", True) for n in range(500_000))
assert any(os.readlink(f"/proc/self/fd/{fd}").endswith("(deleted)") for fd in os.listdir("/proc/self/fd")
           if os.path.islink(f"/proc/self/fd/{fd}"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
def test_a_killed_attribution_leaves_no_file_behind(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env={**os.environ, "TMPDIR": str(tmp_path), "SQLITE_TMPDIR": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr.decode()
    assert list(tmp_path.iterdir()) == []
