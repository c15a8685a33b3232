"""The policy against one that was written on its own, naively: every rule a set, every window tried out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_messaging.delivery.attribution import Attribution, Policy, Sent

START = datetime(2026, 3, 1, tzinfo=UTC)
Event = dict[str, Any]

# Spelling and the address that it is, None for none.
SPELLINGS = {
    "ada@example.com": "ada@example.com",
    "ada@EXAMPLE.com": "ada@example.com",
    " ada@Example.COM ": "ada@example.com",
    "Ada@example.com": "Ada@example.com",
    "grace@example.com": "grace@example.com",
    "grete@b\u00fccher.example": "grete@b\u00fccher.example",
    "grete@bu\u0308cher.example": "grete@b\u00fccher.example",
    "alan@example.org": "alan@example.org",
    "nobody": None,
    "two@at@example.com": None,
}
REASONS = {0: "Complaint", 1: "Recipient Unsubscribed", 2: "Hard Bounce", 3: "Spam Bounce", 4: "Soft Bounce"}


def who(spelling: str) -> tuple[str, str]:
    address = SPELLINGS[spelling]
    return ("address", address) if address is not None else ("none", spelling)


def meaning(event: Event, policy: Policy) -> int | None:
    if event["kind"] == "complaint":
        return 0 if policy.complaints else None
    if event["kind"] == "list_unsubscribe":
        return 1 if policy.unsubscribes else None
    if event["bounce_type"] == "hard" and policy.hard:
        return 2
    if event["bounce_type"] == "spam" and policy.spam_bounces == "hard":
        return 3
    is_soft = event["bounce_type"] == "soft" or (event["bounce_type"] == "spam" and policy.spam_bounces == "soft")
    return 4 if is_soft and policy.soft_bounces is not None else None


def expected(sent: list[Sent], landed: list[Event], policy: Policy) -> dict[str, Any]:
    """The answer, by comparing everything with everything."""
    known: list[Event] = []
    for event in landed:
        at = event["occurred_at"]
        old = at is not None and policy.since is not None and at < policy.since
        history = (
            old and meaning(event, policy) == 4 and at >= policy.since - policy.soft_window  # type: ignore[operator]
        )
        if (not old or history) and all(event["event_id"] != other["event_id"] for other in known):
            known.append({**event, "new": not old})

    def recipients(event: Event) -> set[tuple[str, str]]:
        if not event["reference"]:
            return {who(event["recipient"])} if event["recipient"] else set()
        named = {who(each.recipient) for each in sent if each.reference == event["reference"]}
        return named | {
            who(other["recipient"])
            for other in known
            if other["reference"] == event["reference"] and other["recipient"]
        }

    problems: dict[str, str] = {}
    against: dict[str, list[Event]] = {}
    for event in known:
        found = recipients(event)
        if len(found) > 1:
            code = "AMBIGUOUS_REFERENCE"
        elif not found:
            code = "UNKNOWN_REFERENCE" if event["reference"] else "MISSING_REFERENCE"
        elif next(iter(found))[0] == "none":
            code = "INVALID_EMAIL"
        elif event["occurred_at"] is None:
            code = "MISSING_TIME"
        else:
            against.setdefault(next(iter(found))[1], []).append(event)
            continue
        if event["new"]:
            problems[event["event_id"]] = code

    lines: dict[str, tuple[str, int]] = {}
    for address, events in against.items():
        signs = [(event["new"], meaning(event, policy)) for event in events]
        true = [sign for new, sign in signs if new and sign is not None and sign != 4]
        softs = [event for event in events if meaning(event, policy) == 4]
        for last in softs:
            window = {
                each["reference"] or ""
                for each in softs
                if last["occurred_at"] - policy.soft_window <= each["occurred_at"] <= last["occurred_at"]
            }
            if last["new"] and policy.soft_bounces is not None and len(window) >= policy.soft_bounces:
                true.append(4)
        if true:
            counted = [e for e in events if meaning(e, policy) == min(true) and (e["new"] or min(true) == 4)]
            lines[address] = (REASONS[min(true)], len(counted))
    attributed = sum(event["new"] for events in against.values() for event in events)
    return {"lines": lines, "problems": problems, "attributed": attributed}


references = st.sampled_from(["a", "b", "c", "d", "e", "f"])
spellings = st.sampled_from(sorted(SPELLINGS))
addresses = st.sampled_from(["ada@example.com", "ada@EXAMPLE.com", "grace@example.com"])
# Mostly one recipient a reference, so that not everything is ambiguous.
honest = st.fixed_dictionaries(dict.fromkeys("abcdef", addresses)).map(
    lambda owners: [Sent(reference, owner, True) for reference, owner in owners.items()]
)
odd = st.lists(st.builds(Sent, references, spellings, st.booleans()), max_size=2)
kinds = st.sampled_from(
    [
        ("bounce", "hard"),
        *[("bounce", "soft")] * 6,
        ("bounce", "spam"),
        ("bounce", "odd"),
        ("bounce", None),
        ("complaint", None),
        ("list_unsubscribe", None),
    ]
)
moments = st.integers(0, 40).map(lambda hours: START + timedelta(hours=hours))


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 11).flatmap(lambda number: rare if number == 7 else usual)


events = st.builds(
    lambda kind, **members: {"kind": kind[0], "bounce_type": kind[1], **members},
    kinds,
    reference=mostly(references, st.none()),
    recipient=mostly(st.none(), st.one_of(addresses, spellings)),
    occurred_at=mostly(moments, st.none()),
)
histories = st.one_of(st.lists(events, max_size=6), st.lists(events, min_size=15, max_size=40))
policies = st.builds(
    Policy,
    hard=st.booleans(),
    soft_bounces=st.sampled_from([None, 1, 2, 3, 4]),
    soft_window=st.sampled_from([timedelta(hours=hours) for hours in (1, 5, 12, 100)]),
    spam_bounces=st.sampled_from(["ignore", "soft", "hard"]),
    complaints=st.booleans(),
    unsubscribes=st.booleans(),
    since=st.one_of(st.none(), moments),
)


ADA = "ada@example.com"
softs = st.builds(
    lambda reference, hours: {
        **{"kind": "bounce", "bounce_type": "soft", "reference": reference, "recipient": None},
        "occurred_at": START + timedelta(hours=hours),
    },
    st.sampled_from("abcd"),
    st.integers(0, 12),
)
patience = st.builds(
    Policy,
    soft_bounces=st.integers(2, 4),
    soft_window=st.integers(1, 5).map(lambda hours: timedelta(hours=hours)),
    since=mostly(st.none(), moments) | st.integers(0, 12).map(lambda hours: START + timedelta(hours=hours)),
)


@settings(max_examples=400, deadline=None)
@given(honest=honest, odd=odd, made=histories, policy=policies, shuffle=st.randoms(use_true_random=False))
def test_the_answer_is_that_of_a_naive_policy_whatever_the_order_and_the_copies(
    honest: list[Sent], odd: list[Sent], made: list[Event], policy: Policy, shuffle: Any
) -> None:
    compare([*honest, *odd], made, policy, shuffle)


@settings(max_examples=600, deadline=None)
@given(made=st.lists(softs, min_size=2, max_size=8), policy=patience, shuffle=st.randoms(use_true_random=False))
def test_soft_bounces_suppress_exactly_where_a_window_holds_enough_messages(
    made: list[Event], policy: Policy, shuffle: Any
) -> None:
    compare([Sent(reference, ADA, True) for reference in "abcd"], made, policy, shuffle)


def compare(sent: list[Sent], made: list[Event], policy: Policy, shuffle: Any) -> None:
    landed = [{**event, "event_id": f"{number:032x}"} for number, event in enumerate(made)]
    answer = expected(sent, landed, policy)
    copied = [*landed, *(event for event in landed if shuffle.random() < 0.3)]
    shuffle.shuffle(copied)
    shuffle.shuffle(sent)
    cut = shuffle.randint(0, len(copied))
    with Attribution(policy, keep_events=True) as attribution:
        attribution.add_messages(sent[:2])
        attribution.add_messages(sent[2:])
        attribution.add_events(copied[:cut])
        attribution.add_events(copied[cut:])
        counts = attribution.join()
        lines = list(attribution.addresses())
        problems = {line["event_id"]: line["_unattributed"]["code"] for line in attribution.unattributed()}
    assert {line["email"]: (line["reason"], line["events"]) for line in lines} == answer["lines"]
    assert [line["email"] for line in lines] == sorted(answer["lines"], key=lambda text: text.encode())
    assert problems == answer["problems"]
    assert counts.attributed == answer["attributed"]
    assert counts.events == counts.attributed + counts.ambiguous + counts.unattributed
    assert counts.addresses == len(lines) == counts.reasons.total()
