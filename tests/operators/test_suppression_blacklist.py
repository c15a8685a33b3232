"""Feedback on its way to EngageOne's blacklist, from messages that the sandbox bounced."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.operators.engageone import BlacklistAddressOperator
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.transfers.marigold import FeedbackToObjectStorageOperator
from tests.contexts import StateStore, TaskInstance
from tests.operators.conftest import message, read_lines
from tests.operators.suppressing import attribute, bounce, feedback, land, manifest, run, suppress

pytestmark = pytest.mark.usefixtures("connections")
ADA, GRACE, ALAN = "ada@example.com", "grace@example.com", "alan@example.com"
REASONS = {
    "complaint": "Complaint",
    "unsubscribe": "Recipient Unsubscribed",
    "hard-bounce": "Hard Bounce",
    "indirect-bounce": "Hard Bounce",
}


def blacklist(sandbox: Sandbox) -> dict[str, str]:
    """Reasons by address."""
    return {row["email"]: row["reason"] for row in sandbox.state("blacklist", vendor="engageone")}


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Any]:
    """One manifest, landed feedback, and where the results go."""
    recipients = {"m-1": ADA, "m-2": GRACE, "m-3": ALAN}
    land(tmp_path / "feedback", [bounce("m-1"), bounce("m-9"), bounce("m-3", mapping="soft")])
    land(tmp_path / "feedback", [feedback("m-2")], kind="complaints")
    return {
        "manifest_path": manifest(tmp_path / "manifest.ndjson", recipients),
        "source_path": str(tmp_path / "feedback"),
        "addresses_path": str(tmp_path / "addresses.ndjson"),
    }


# -------------------------------------------------------------------------------- from sending to the blacklist


@pytest.fixture
def sent(sandbox: Sandbox, tmp_path: Path) -> dict[str, list[str]]:
    """What three mailings of messages came to: for each recipient, the outcome of each message that was sent.

    Manifests are in the folder ``manifests``, landed feedback is in the folder ``feedback``.
    """
    sandbox.settings(clock_skew=-5.0)
    rng = random.Random(7)
    kinds = ["hard-bounce", "soft-bounce", "spam-bounce", "indirect-bounce", "complaint", "unsubscribe", "user"]
    people = [f"{kind}+{number}@example.com" for kind in kinds for number in range(20)]
    outcomes: dict[str, list[str]] = {}
    for mailing in range(3):
        chosen = rng.sample(people, 90)
        for address in chosen:
            outcomes.setdefault(address, []).append(address.partition("+")[0])
        rows = [message(number, to=address) for number, address in enumerate(chosen)]
        run(
            SendEmailBatchOperator,
            TaskInstance(run_id=f"manual__{mailing}"),
            StateStore(),
            messages=rows,
            manifest_path=str(tmp_path / "manifests" / f"{mailing}.ndjson.gz"),
        )
    run(FeedbackToObjectStorageOperator, path=str(tmp_path / "feedback"), lag=0)
    return outcomes


def expected(sent: dict[str, list[str]], soft_bounces: int) -> dict[str, str]:
    """The policy, in the words of what was ordered from the sandbox."""
    found = {address: REASONS[came[0]] for address, came in sent.items() if came[0] in REASONS}
    softly = [address for address, came in sent.items() if came.count("soft-bounce") >= soft_bounces]
    return found | dict.fromkeys(softly, "Soft Bounce")


@pytest.mark.parametrize("soft_bounces", [1, 2, 3])
def test_the_blacklist_is_what_the_policy_makes_of_what_the_messages_came_to(
    sandbox: Sandbox, sent: dict[str, list[str]], tmp_path: Path, soft_bounces: int
) -> None:
    result = suppress(
        manifest_path=str(tmp_path / "manifests"),
        source_path=str(tmp_path / "feedback"),
        addresses_path=str(tmp_path / "addresses.ndjson"),
        reached_path=str(tmp_path / "reached.ndjson"),
        soft_bounces=soft_bounces,
    )
    answer = expected(sent, soft_bounces)
    assert blacklist(sandbox) == answer
    assert 60 < len(answer) < 120
    assert result["addresses"] == result["accepted"] == result["outcomes"]["listed"] == len(answer)
    assert (
        result["events"] == result["attributed"] == sum(came.count("user") == 0 and len(came) for came in sent.values())
    )
    reached = [line["email"] for line in read_lines(tmp_path / "reached.ndjson")]
    assert sorted(reached) == sorted(address for address, came in sent.items() for each in came if each == "user")


def test_one_operator_and_two_give_the_same_list(sandbox: Sandbox, sent: dict[str, list[str]], tmp_path: Path) -> None:
    where = {"manifest_path": str(tmp_path / "manifests"), "source_path": str(tmp_path / "feedback")}
    policy = {"soft_bounces": 2, "category": "news"}
    suppress(**where, **policy, addresses_path=str(tmp_path / "one.ndjson"))
    one = [(row["email"], row["reason"], row["category"]) for row in sandbox.state("blacklist", vendor="engageone")]
    sandbox.reset("engageone")
    attribute(**where, **policy, addresses_path=str(tmp_path / "two.ndjson"))
    run(BlacklistAddressOperator, emails_path=str(tmp_path / "two.ndjson"))
    two = [(row["email"], row["reason"], row["category"]) for row in sandbox.state("blacklist", vendor="engageone")]
    assert (tmp_path / "one.ndjson").read_bytes() == (tmp_path / "two.ndjson").read_bytes()
    assert sorted(one) == sorted(two)
    assert {category for _, _, category in one} == {"news"}


def test_suppressing_twice_changes_nothing(sandbox: Sandbox, paths: dict[str, Any]) -> None:
    first = suppress(**paths)
    listed = blacklist(sandbox)
    second = suppress(**paths)
    assert blacklist(sandbox) == listed
    assert (first.pop("outcomes"), second.pop("outcomes")) == ({"listed": 2}, {"already_listed": 2})
    assert first == second


# ------------------------------------------------------------------------------------------------------- the result


def test_the_result_is_that_of_both_steps(sandbox: Sandbox, paths: dict[str, Any], tmp_path: Path) -> None:
    more = {
        "suppressed_path": str(tmp_path / "suppressed.ndjson"),
        "rejects_path": str(tmp_path / "rejects.ndjson"),
        "unattributed_path": str(tmp_path / "unattributed.ndjson"),
    }
    assert suppress(**paths, **more) == {
        **{"messages": 3, "events": 4, "copies": 0, "attributed": 3, "ambiguous": 0, "unattributed": 1},
        **{"problems": {"UNKNOWN_REFERENCE": 1}, "reasons": {"Complaint": 1, "Hard Bounce": 1}, "addresses": 2},
        **{"duplicates": 0, "accepted": 2, "rejected": 0, "resumed": 0, "requests": 2, "outcomes": {"listed": 2}},
        **{"addresses_path": paths["addresses_path"], "reached_path": None, **more},
    }
    assert {line["recipient"]: line["outcome"] for line in read_lines(more["suppressed_path"])} == {
        ADA: "accepted",
        GRACE: "accepted",
    }
    assert read_lines(more["rejects_path"]) == []


def test_where_nobody_is_to_be_suppressed_nothing_is_asked_of_the_vendor(
    sandbox: Sandbox, paths: dict[str, Any]
) -> None:
    result = suppress(**paths, hard=False, complaints=False)
    assert (result["attributed"], result["addresses"], result["requests"]) == (3, 0, 0)
    assert blacklist(sandbox) == {}


def test_a_dry_run_writes_the_addresses_and_suppresses_nobody(sandbox: Sandbox, paths: dict[str, Any]) -> None:
    result = suppress(**paths, dry_run=True)
    assert [line["email"] for line in read_lines(paths["addresses_path"])] == [ADA, GRACE]
    assert result["accepted"] == 2
    assert blacklist(sandbox) == {}


REFUSED = {"vendor": "engageone", "operation": "blacklist", "fault": "status", "status": 422, "times": 1}


def test_what_the_vendor_refuses_is_written_down_and_does_not_fail_the_task(
    sandbox: Sandbox, paths: dict[str, Any], tmp_path: Path
) -> None:
    sandbox.faults([REFUSED])
    result = suppress(**paths, rejects_path=str(tmp_path / "rejects.ndjson"), max_concurrency=1)
    assert (result["accepted"], result["rejected"]) == (1, 1)
    [reject] = read_lines(tmp_path / "rejects.ndjson")
    assert (reject["email"], reject["reason"], reject["references"]) == (ADA, "Hard Bounce", ["m-1"])


def test_what_the_vendor_refuses_fails_the_task_where_that_is_wanted(sandbox: Sandbox, paths: dict[str, Any]) -> None:
    sandbox.faults([REFUSED])
    with pytest.raises(AirflowFailException, match="1 rejected"):
        suppress(**paths, on_rejected="fail")
    assert len(blacklist(sandbox)) == 1


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"emails": [ADA]}, "emails"),
        ({"emails_path": "x"}, "emails_path"),
        ({"reason": "Complaint"}, "reason"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"suppressed_path": "nowhere://x"}, "suppressed_path"),
        ({"soft_bounces": 0}, "soft_bounces"),
        ({"addresses_path": "nowhere://x"}, "addresses_path"),
    ],
)
def test_arguments_that_make_no_sense_fail_the_task_before_anything_is_written(
    sandbox: Sandbox, paths: dict[str, Any], arguments: dict[str, Any], setting: str
) -> None:
    with pytest.raises(AirflowFailException, match=rf"to change: {setting}\]"):
        suppress(**{**paths, **arguments})
    assert not Path(paths["addresses_path"]).exists()
    assert blacklist(sandbox) == {}


# --------------------------------------------------------------------------------------------------- several tries

DENIED = {"vendor": "engageone", "operation": "blacklist", "fault": "status", "status": 403}


def fail_after(sandbox: Sandbox, number: int, paths: dict[str, Any], store: StateStore | None) -> None:
    """Make a try in which the vendor refuses us after that many addresses."""
    sandbox.faults([{**DENIED, "skip": number}])
    with pytest.raises(AirflowFailException):
        suppress(**paths, max_concurrency=1, store=store)
    sandbox.clear_faults()


def test_a_retry_goes_on_with_the_addresses_of_the_first_try_whatever_landed_since(
    sandbox: Sandbox, paths: dict[str, Any], tmp_path: Path
) -> None:
    store = StateStore()
    fail_after(sandbox, 1, paths, store)
    first = read_lines(paths["addresses_path"])
    land(tmp_path / "feedback", [bounce("m-3", day=11)], day=11)
    result = suppress(**paths, ti=TaskInstance(try_number=2), store=store)
    assert blacklist(sandbox) == {ADA: "Hard Bounce", GRACE: "Complaint"}
    assert read_lines(paths["addresses_path"]) == first
    assert (result["events"], result["addresses"], result["accepted"]) == (4, 2, 2)


def test_without_a_state_store_a_retry_attributes_anew(sandbox: Sandbox, paths: dict[str, Any], tmp_path: Path) -> None:
    fail_after(sandbox, 1, paths, None)
    land(tmp_path / "feedback", [bounce("m-3", day=11)], day=11)
    assert suppress(**paths, ti=TaskInstance(try_number=2))["accepted"] == 3
    assert blacklist(sandbox).keys() == {ADA, GRACE, ALAN}


def test_a_clear_attributes_anew(sandbox: Sandbox, paths: dict[str, Any], tmp_path: Path) -> None:
    store = StateStore()
    assert suppress(**paths, store=store)["accepted"] == 2
    land(tmp_path / "feedback", [bounce("m-3", day=11)], day=11)
    assert suppress(**paths, ti=TaskInstance(try_number=2, max_tries=1), store=store)["accepted"] == 3
    assert blacklist(sandbox).keys() == {ADA, GRACE, ALAN}


def test_the_state_of_a_task_holds_no_address(sandbox: Sandbox, paths: dict[str, Any]) -> None:
    store = StateStore()
    suppress(**paths, store=store)
    assert "@" not in str(store.values)
