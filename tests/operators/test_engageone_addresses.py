"""Suppressing, releasing and verifying addresses."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_messaging.core.errors import MessagingError, VendorError
from airflow_provider_messaging.operators.engageone import (
    BlacklistAddressOperator,
    UnblacklistAddressOperator,
    VerifyAddressOperator,
)
from airflow_provider_messaging.sandbox.process import Sandbox
from dev.processes import wait_until
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import read_lines, write_lines

pytestmark = pytest.mark.usefixtures("connections")
Run = Callable[..., dict[str, Any]]


def run(kind: type[Any], *, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> Any:
    operator = kind(task_id="addresses", **arguments)
    return operator.execute(task_context(ti, store=store or StateStore(), task=operator))


def blacklist(**arguments: Any) -> Any:
    return run(BlacklistAddressOperator, **arguments)


def addresses(count: int) -> list[str]:
    return [f"user{number}@example.com" for number in range(count)]


def listed(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {row["email"]: row for row in sandbox.state("blacklist", vendor="engageone")}


def fault(operation: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"vendor": "engageone", "operation": operation, "fault": kind, **more}


def test_a_list_is_suppressed_and_reported(sandbox: Sandbox) -> None:
    assert blacklist(emails=addresses(50)) == {
        "addresses": 50,
        "duplicates": 0,
        "accepted": 50,
        "rejected": 0,
        "resumed": 0,
        "requests": 50,
        "outcomes": {"listed": 50},
        "manifest_path": None,
        "rejects_path": None,
    }
    assert listed(sandbox).keys() == set(addresses(50))


@pytest.mark.parametrize("already_listed", ["ok", "conflict"])
def test_who_is_on_the_list_already_is_counted_apart_and_a_success(sandbox: Sandbox, already_listed: str) -> None:
    sandbox.settings("engageone", already_listed=already_listed)
    blacklist(emails=addresses(10))
    result = blacklist(emails=addresses(30))
    assert (result["accepted"], result["outcomes"]) == (30, {"already_listed": 10, "listed": 20})
    assert len(listed(sandbox)) == 30


def test_spellings_of_one_address_are_sent_once(sandbox: Sandbox) -> None:
    given = [
        "jane@example.com",
        " jane@EXAMPLE.COM ",
        {"recipient": "jane@example.com"},
        "Jane@example.com",
        "ju\u0308rgen@bücher.example",
        "jürgen@xn--bcher-kva.example",
        "JÜRGEN@bücher.example",
    ]
    result = blacklist(emails=given)
    assert (result["addresses"], result["duplicates"], result["requests"]) == (4, 3, 4)
    assert set(listed(sandbox)) == {
        "jane@example.com",
        "Jane@example.com",
        "jürgen@bücher.example",
        "JÜRGEN@bücher.example",
    }


def test_category_and_reason_are_the_rows_or_the_tasks(sandbox: Sandbox) -> None:
    rows = ["a@example.com", {"email": "b@example.com", "category": "news", "reason": "Hard Bounce"}]
    blacklist(emails=rows, category="shop", reason="Complaint")
    assert {email: (row["category"], row["reason"]) for email, row in listed(sandbox).items()} == {
        "a@example.com": ("shop", "Complaint"),
        "b@example.com": ("news", "Hard Bounce"),
    }


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.ndjson.gz"])
def test_a_file_may_have_addresses_objects_and_plain_lines(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    lines = '\ufeffa@example.com\n"b@example.com"\n\n{"email": "c@example.com"}\r\n d@example.com \ne@example.com'
    path = tmp_path / name
    path.write_bytes(gzip.compress(lines.encode()) if name.endswith("gz") else lines.encode())
    assert blacklist(emails_path=str(path))["accepted"] == 5
    assert set(listed(sandbox)) == {f"{letter}@example.com" for letter in "abcde"}


def test_a_manifest_can_be_given(sandbox: Sandbox, tmp_path: Path) -> None:
    line = {"reference": "r-1", "recipient": "jane@example.com", "outcome": "accepted", "row": 0, "tags": ["a"]}
    assert blacklist(emails_path=write_lines(tmp_path / "manifest.ndjson", [line]))["accepted"] == 1
    assert list(listed(sandbox)) == ["jane@example.com"]


BAD = ["a@example.com", "nobody", {"email": "b@example.com", "note": "kept"}, {"note": "none"}, 7, '{"broken']


def test_a_bad_row_suppresses_nothing_unless_the_others_are_to_go_on(sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    with pytest.raises(AirflowFailException, match="4 of 6 rows"):
        blacklist(emails=BAD, rejects_path=str(rejects))
    assert not listed(sandbox)
    assert len(read_lines(rejects)) == 4
    result = blacklist(emails=BAD, rejects_path=str(rejects), on_rejected="continue")
    assert (result["addresses"], result["accepted"], result["rejected"]) == (6, 2, 4)
    assert len(listed(sandbox)) == 2


def test_rejects_can_be_mended_and_given_again(sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    blacklist(emails=BAD, rejects_path=str(rejects), on_rejected="continue")
    text, none, number, broken = read_lines(rejects)
    assert (text["_raw"], none["note"], number["_raw"], broken["_raw"]) == ("nobody", "none", 7, '{"broken')
    assert [line["_rejected"]["row"] for line in (text, none, number, broken)] == [1, 3, 4, 5]
    mended = [text | {"_raw": "c@example.com"}, none | {"email": "d@example.com"}]
    assert blacklist(emails_path=write_lines(tmp_path / "mended.ndjson", mended))["accepted"] == 2
    assert {"c@example.com", "d@example.com"} <= listed(sandbox).keys()


def test_an_address_that_the_vendor_refuses_is_a_reject_with_its_code(sandbox: Sandbox, tmp_path: Path) -> None:
    body = '{"message": "no such thing", "code": "NOT_ALLOWED"}'
    sandbox.faults([fault("blacklist", "status", status=422, body=body, skip=1, times=1)])
    rejects = tmp_path / "rejects.ndjson"
    result = blacklist(emails=addresses(5), max_concurrency=1, on_rejected="continue", rejects_path=str(rejects))
    assert (result["accepted"], result["rejected"], result["outcomes"]) == (4, 1, {"listed": 4})
    [line] = read_lines(rejects)
    assert line["_rejected"]["errors"] == [{"field": "", "code": "NOT_ALLOWED", "message": "no such thing"}]


def test_a_wrong_path_fails_for_good_after_few_requests_and_names_the_setting(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = sandbox.connections["AIRFLOW_CONN_ENGAGEONE_DEFAULT"]
    wrong = good.replace('"extra": {', '"extra": {"endpoints": {"blacklist": "/unsubscribe"}, ')
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEONE_DEFAULT", wrong)
    with pytest.raises(AirflowFailException, match="extra 'endpoints' → 'blacklist'"):
        blacklist(emails=addresses(1_000))
    assert len(sandbox.requests()) <= 4


def test_a_missing_public_url_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    document = '{"conn_type": "engageone", "login": "a", "password": "b-b-b", "extra": {"customer_id": "c"}}'
    monkeypatch.setenv("AIRFLOW_CONN_ENGAGEONE_DEFAULT", document)
    with pytest.raises(AirflowFailException, match="extra 'public_url'"):
        blacklist(emails=addresses(1))


@pytest.mark.parametrize(
    "trouble",
    [
        {"fault": "drop", "when": "after"},
        {"fault": "drop", "when": "before"},
        {"fault": "status", "status": 500, "when": "after"},
        {"fault": "status", "status": 429, "retry_after": 1},
        {"fault": "truncate"},
        {"fault": "malformed"},
    ],
    ids=lambda trouble: "-".join(str(value) for value in trouble.values()),
)
def test_trouble_on_the_way_leaves_every_address_on_the_list(sandbox: Sandbox, trouble: dict[str, Any]) -> None:
    sandbox.faults([{"vendor": "engageone", "operation": "blacklist", **trouble, "skip": 20, "times": 3}])
    result = blacklist(emails=addresses(100))
    assert result["accepted"] == sum(result["outcomes"].values()) == 100
    assert listed(sandbox).keys() == set(addresses(100))


def test_a_try_that_broke_off_is_continued(sandbox: Sandbox) -> None:
    store = StateStore()
    sandbox.faults([fault("blacklist", "status", status=403, skip=150)])
    with pytest.raises(AirflowFailException):
        blacklist(emails=addresses(400), store=store)
    sandbox.clear_faults()
    before = len(listed(sandbox))
    result = blacklist(emails=addresses(400), store=store, ti=TaskInstance(try_number=2))
    assert 100 < result["resumed"] <= before == 150
    assert result["accepted"] == sum(result["outcomes"].values()) == 400
    assert result["requests"] < 320
    assert listed(sandbox).keys() == set(addresses(400))


def test_without_a_state_store_a_retry_suppresses_all_of_them_again(sandbox: Sandbox) -> None:
    operator = BlacklistAddressOperator(task_id="addresses", emails=addresses(20), retries=1)
    operator.execute(task_context(TaskInstance(max_tries=1), task=operator))
    result = operator.execute(task_context(TaskInstance(max_tries=1, try_number=2), task=operator))
    assert (result["accepted"], result["outcomes"]) == (20, {"already_listed": 20})


def test_a_killed_task_starts_no_new_request(sandbox: Sandbox) -> None:
    sandbox.faults([fault("blacklist", "latency", delay=0.05)])
    operator, store = BlacklistAddressOperator(task_id="addresses", emails=addresses(2_000)), StateStore()

    def kill() -> None:
        wait_until(lambda: len(listed(sandbox)) > 20, timeout=20, what="the moment to kill", every=0.02)
        operator.on_kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(AirflowException, match="asked to end"):
        operator.execute(task_context(store=store))
    killer.join()
    assert len(listed(sandbox)) < 2_000
    sandbox.clear_faults()
    result = blacklist(emails=addresses(2_000), store=store, ti=TaskInstance(try_number=2))
    assert result["accepted"] == sum(result["outcomes"].values()) == 2_000


def test_the_rate_is_kept(sandbox: Sandbox) -> None:
    blacklist(emails=addresses(30), rate_limit=20, max_concurrency=10)
    moments = [request["at"] for request in sandbox.requests(operation="blacklist")]
    assert moments[-1] - moments[0] >= 1.2


def test_a_dry_run_judges_and_sends_nothing(sandbox: Sandbox) -> None:
    result = blacklist(emails=[*BAD, "a@example.com"], dry_run=True, on_rejected="continue")
    assert (result["addresses"], result["duplicates"], result["rejected"]) == (6, 1, 4)
    assert not sandbox.requests()


def test_a_manifest_names_each_address(tmp_path: Path) -> None:
    path = tmp_path / "manifest.ndjson"
    blacklist(emails=["a@example.com", {"email": "B@EXAMPLE.com", "category": "news"}], manifest_path=str(path))
    first, second = sorted(read_lines(path), key=itemgetter("row"))
    assert (first["recipient"], first["outcome"], first["row"]) == ("a@example.com", "accepted", 0)
    assert (second["recipient"], second["row"]) == ("B@example.com", 1)


@pytest.mark.parametrize("arguments", [{}, {"emails": [], "emails_path": "x"}])
def test_rows_are_given_one_way(arguments: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="give either emails or emails_path"):
        blacklist(**arguments)


def test_addresses_are_taken_off_the_list_and_absent_ones_are_a_success(sandbox: Sandbox) -> None:
    blacklist(emails=addresses(5))
    result = run(UnblacklistAddressOperator, emails=addresses(8))
    assert (result["accepted"], result["outcomes"]) == (8, {"not_listed": 3, "removed": 5})
    assert not listed(sandbox)


def test_a_web_servers_404_is_no_removal(sandbox: Sandbox) -> None:
    sandbox.faults([fault("unblacklist", "status", status=404, body="<h1>Not Found</h1>")])
    with pytest.raises(AirflowFailException, match="unblacklist_verified"):
        run(UnblacklistAddressOperator, emails=addresses(3))


VERIFIED = ["a@example.com", "b@invalid.test", "c@unknown.test", "A@example.com", "a@EXAMPLE.com"]


def test_verifications_are_counted_and_returned(sandbox: Sandbox) -> None:
    result = run(VerifyAddressOperator, emails=VERIFIED, max_concurrency=1)
    assert {name: result[name] for name in result.keys() - {"results"}} == {
        "addresses": 4,
        "duplicates": 1,
        "accepted": 4,
        "rejected": 0,
        "requests": 4,
        "statuses": {"invalid": 1, "unknown": 1, "valid": 2},
        "results_path": None,
        "rejects_path": None,
    }
    assert [(line["email"], line["status"], line["row"]) for line in result["results"]] == [
        ("a@example.com", "valid", 0),
        ("b@invalid.test", "invalid", 1),
        ("c@unknown.test", "unknown", 2),
        ("A@example.com", "valid", 3),
    ]
    assert result["results"][1]["document"]["reason"] == "The domain takes no mail."


def test_verifications_of_a_large_list_go_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "results.ndjson.gz"
    result = run(VerifyAddressOperator, emails=addresses(1_200), results_path=str(path), max_concurrency=8)
    assert (result["results"], result["statuses"], result["results_path"]) == (None, {"valid": 1_200}, str(path))
    lines = read_lines(path)
    assert sorted(line["row"] for line in lines) == list(range(1_200))
    assert all(line["document"]["email"] == line["email"] == f"user{line['row']}@example.com" for line in lines)


def test_more_than_500_verifications_are_not_returned() -> None:
    result = run(VerifyAddressOperator, emails=addresses(501))
    assert (result["accepted"], result["results"]) == (501, None)


def test_a_retry_verifies_anew_and_a_try_that_broke_off_leaves_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    path, store = tmp_path / "results.ndjson", StateStore()
    sandbox.faults([fault("verify", "status", status=429, retry_after=3600, skip=10)])
    with pytest.raises(MessagingError):
        run(VerifyAddressOperator, emails=addresses(50), results_path=str(path), store=store)
    assert not path.exists()
    sandbox.clear_faults()
    result = run(
        VerifyAddressOperator,
        emails=addresses(50),
        results_path=str(path),
        store=store,
        ti=TaskInstance(try_number=2),
    )
    assert result["requests"] == len(read_lines(path)) == 50


def test_a_verification_that_can_not_be_read_is_asked_for_again(sandbox: Sandbox) -> None:
    sandbox.faults([fault("verify", "malformed", times=2)])
    assert run(VerifyAddressOperator, emails=addresses(5))["statuses"] == {"valid": 5}
    sandbox.faults([fault("verify", "malformed")])
    with pytest.raises(VendorError):
        run(VerifyAddressOperator, emails=addresses(5))


def test_a_verification_has_results_and_no_manifest() -> None:
    with pytest.raises(AirflowFailException, match="results_path"):
        run(VerifyAddressOperator, emails=[], manifest_path="/tmp/x")
