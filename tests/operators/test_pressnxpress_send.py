"""Feedback requests through the operator: inputs, tries, files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import RateLimitedError
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import read_lines, write_lines

Enqueue = Callable[..., dict[str, Any]]


@pytest.fixture
def connection(connections: None, sandbox: Sandbox) -> dict[str, Any]:
    """The connection to the sandbox."""
    fields: dict[str, Any] = json.loads(sandbox.connections["AIRFLOW_CONN_PRESSNXPRESS_DEFAULT"])
    return fields


@pytest.fixture
def enqueue(connection: dict[str, Any]) -> Enqueue:
    """Executes an `EnqueueFeedbackOperator` in a context of its own, or in the one given by `ti` and `store`."""

    def run(*, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> dict[str, Any]:
        operator = EnqueueFeedbackOperator(task_id="ask", **arguments)
        return operator.execute(task_context(ti, store=store or StateStore(), task=operator))

    return run


def contacts(count: int) -> list[dict[str, Any]]:
    return [{"email": f"user{number}@example.com", "orderId": number} for number in range(count)]


def delivered(sandbox: Sandbox) -> list[dict[str, Any]]:
    return sandbox.deliveries(vendor="pressnxpress")


def fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"fault": kind, "vendor": "pressnxpress", "operation": "enqueue_email", **more}


def outcomes(path: Path) -> Counter[str]:
    return Counter(line["outcome"] for line in read_lines(path))


# Inputs --------------------------------------------------------------------------------------------------------


def test_the_result_counts_contacts_and_names_the_files(enqueue: Enqueue, tmp_path: Path) -> None:
    manifest, rejects = str(tmp_path / "m.ndjson"), str(tmp_path / "r.ndjson")
    rows = [*contacts(3), {"email": "nobody"}]
    found = enqueue(contacts=rows, manifest_path=manifest, rejects_path=rejects, on_rejected="continue")
    assert found == {
        "contacts": 4,
        "accepted": 3,
        "rejected": 1,
        "ambiguous": 0,
        "reconciled": 0,
        "resumed": 0,
        "requests": 3,
        "manifest_path": manifest,
        "rejects_path": rejects,
    }


def test_contacts_come_from_a_list_from_xcom_as_text_or_from_a_file(
    enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path
) -> None:
    enqueue(contacts=contacts(2))
    enqueue(contacts=json.dumps(contacts(2)))
    enqueue(contacts_path=write_lines(tmp_path / "c.ndjson.gz", contacts(2)))
    assert Counter(found["recipient"] for found in delivered(sandbox)) == {
        "user0@example.com": 3,
        "user1@example.com": 3,
    }


def test_contacts_and_a_path_together_are_an_error(enqueue: Enqueue) -> None:
    with pytest.raises(AirflowFailException, match="give either contacts or contacts_path"):
        enqueue(contacts=[], contacts_path="x.ndjson")


@pytest.mark.parametrize("content_type", ["json", "form"])
def test_an_sms_goes_out_in_either_encoding(enqueue: Enqueue, sandbox: Sandbox, content_type: str) -> None:
    rows = [{"phone": "030 123456", "City": "Köln"}]
    enqueue(contacts=rows, channel="sms", content_type=content_type, default_region="DE")
    [found] = delivered(sandbox)
    assert (found["channel"], found["recipient"], found["extra"]) == ("sms", "+4930123456", {"City": "Köln"})


def test_a_touchpoint_is_chosen_by_its_name_in_the_connection(
    enqueue: Enqueue, connection: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = connection["extra"].pop("touchpoint_token")
    connection["extra"]["touchpoint_tokens"] = {"after-delivery": token}
    monkeypatch.setenv("AIRFLOW_CONN_PRESSNXPRESS_DEFAULT", json.dumps(connection))
    enqueue(contacts=contacts(1), touchpoint="after-delivery")
    assert len(delivered(sandbox)) == 1
    with pytest.raises(AirflowFailException, match="no touchpoint is named; known: after-delivery"):
        enqueue(contacts=contacts(1))


def test_a_dry_run_judges_and_sends_nothing(enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = str(tmp_path / "r.ndjson")
    found = enqueue(
        contacts=[*contacts(2), {"Email": "a@example.com"}], rejects_path=rejects, on_rejected="continue", dry_run=True
    )
    assert (found["contacts"], found["accepted"], found["rejected"]) == (3, 2, 1)
    assert sandbox.requests(vendor="pressnxpress") == []
    assert len(read_lines(rejects)) == 1


# Attributes ----------------------------------------------------------------------------------------------------


def test_the_vendor_sees_one_spelling_of_each_attribute(enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = str(tmp_path / "r.ndjson")
    rows = [{"email": f"user{n}@example.com", ("OrderId" if n % 100 == 7 else "orderId"): n} for n in range(500)]
    found = enqueue(contacts=rows, rejects_path=rejects, on_rejected="continue")
    assert (found["accepted"], found["rejected"]) == (495, 5)
    spellings = {each["name"]: each["spellings"] for each in sandbox.state("attributes", vendor="pressnxpress")}
    assert spellings == {"email": {"email": 495}, "orderid": {"orderId": 495}}
    [error] = read_lines(rejects)[0]["_rejected"]["errors"]
    assert (error["field"], error["code"]) == ("OrderId", "ATTRIBUTE_CASE_MISMATCH")
    assert "'orderId' in row 0" in error["message"]


def test_a_second_spelling_stops_the_send_unless_rejects_may_be(enqueue: Enqueue, sandbox: Sandbox) -> None:
    rows = [{"email": "a@example.com", "orderId": 1}, {"email": "b@example.com", "orderid": 2}]
    with pytest.raises(AirflowFailException, match="ATTRIBUTE_CASE_MISMATCH"):
        enqueue(contacts=rows)
    assert sandbox.requests(vendor="pressnxpress") == []


def test_a_retry_judges_spellings_as_the_first_try_did(enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path) -> None:
    store, rejects = StateStore(), str(tmp_path / "r.ndjson")
    rows = [{"email": f"user{n}@example.com", ("OrderId" if n % 3 else "orderId"): n} for n in range(300)]
    arguments: dict[str, Any] = {"contacts": rows, "rejects_path": rejects, "on_rejected": "continue", "store": store}
    sandbox.faults([fault("status", status=429, retry_after=3600, skip=40)])
    with pytest.raises(RateLimitedError):
        enqueue(**arguments)
    sandbox.clear_faults()
    found = enqueue(**arguments, ti=TaskInstance(try_number=2))
    assert (found["accepted"], found["rejected"], found["resumed"]) == (100, 200, 40)
    assert sandbox.counts("pressnxpress") == {"total": 100, "distinct": 100, "duplicates": 0}
    assert len(read_lines(rejects)) == 200


def test_identifiers_are_made_of_each_contacts_columns(enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path) -> None:
    manifest = tmp_path / "m.ndjson"
    attributes = {"shop": "Berlin", "vars": {"day": "2026-01-01"}}
    enqueue(
        contacts=contacts(2), identifier="{{ day }}-{{ orderId }}", attributes=attributes, manifest_path=str(manifest)
    )
    extras = sorted((found["extra"] for found in delivered(sandbox)), key=itemgetter("orderId"))
    assert extras == [{"shop": "Berlin", "orderId": n, "identifier": f"2026-01-01-{n}"} for n in range(2)]
    assert sorted(line["profile"] for line in read_lines(manifest)) == ["2026-01-01-0", "2026-01-01-1"]


@pytest.mark.parametrize(
    ("identifier", "says"),
    [("{{ order", "the identifier template can't be read: line 1"), (["{{ orderId }}"], "must be a template")],
)
def test_a_template_that_is_none_stops_the_send(enqueue: Enqueue, identifier: Any, says: str) -> None:
    with pytest.raises(AirflowFailException, match=says):
        enqueue(contacts=contacts(1), identifier=identifier)


def test_airflow_renders_contacts_attributes_and_paths_but_not_the_identifier(connection: dict[str, Any]) -> None:
    operator = EnqueueFeedbackOperator(
        task_id="ask",
        contacts=[{"email": "{{ who }}"}],
        attributes={"day": "{{ ds }}"},
        touchpoint="{{ ds }}",
        manifest_path="/m/{{ ds }}",
        rejects_path="/r/{{ ds }}",
        identifier="{{ ds }}-{{ orderId }}",
        pressnxpress_conn_id="{{ conn }}",
    )
    operator.render_template_fields({"who": "a@example.com", "ds": "2026-01-01", "conn": "feedback"})  # type: ignore[typeddict-item]
    assert operator.contacts == [{"email": "a@example.com"}]
    assert operator.attributes == {"day": "2026-01-01"}
    assert operator.touchpoint == "2026-01-01"
    assert (operator.manifest_path, operator.rejects_path) == ("/m/2026-01-01", "/r/2026-01-01")
    assert operator.pressnxpress_conn_id == "feedback"
    assert operator.identifier == "{{ ds }}-{{ orderId }}"


# What may have been taken --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [fault("drop", when="after", times=2, skip=5), fault("status", status=502, when="after", times=2, skip=5)],
    ids=["reset", "502"],
)
def test_ambiguous_contacts_are_reported_apart_and_never_repeated(
    enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path, trouble: dict[str, Any]
) -> None:
    sandbox.faults([trouble])
    manifest = tmp_path / "m.ndjson"
    with pytest.raises(AirflowFailException, match="18 accepted, 2 ambiguous"):
        enqueue(contacts=contacts(20), manifest_path=str(manifest))
    assert sandbox.counts("pressnxpress") == {"total": 20, "distinct": 20, "duplicates": 0}
    assert outcomes(manifest) == {"accepted": 18, "ambiguous": 2}


def test_a_retry_leaves_ambiguous_contacts_ambiguous(enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path) -> None:
    store, manifest = StateStore(), tmp_path / "m.ndjson"
    arguments: dict[str, Any] = {"contacts": contacts(20), "manifest_path": str(manifest), "store": store}
    sandbox.faults([fault("drop", when="after", times=1, skip=5)])
    with pytest.raises(AirflowFailException, match="19 accepted, 1 ambiguous"):
        enqueue(**arguments)
    first = read_lines(manifest)
    with pytest.raises(AirflowFailException, match=r"19 accepted, 19 of them by an earlier try, 1 ambiguous"):
        enqueue(**arguments, ti=TaskInstance(try_number=2))
    assert len(sandbox.requests(vendor="pressnxpress")) == 20
    assert {each["reference"]: each["outcome"] for each in read_lines(manifest)} == {
        each["reference"]: each["outcome"] for each in first
    }


def test_a_task_may_succeed_with_ambiguous_contacts_where_that_is_wanted(enqueue: Enqueue, sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", times=1, skip=5)])
    found = enqueue(contacts=contacts(20), on_ambiguous="continue")
    assert (found["accepted"], found["ambiguous"], found["rejected"]) == (19, 1, 0)


def test_a_retry_without_a_ledger_asks_nobody_and_says_so(connection: dict[str, Any], sandbox: Sandbox) -> None:
    operator = EnqueueFeedbackOperator(task_id="ask", contacts=contacts(5), retries=1)
    second = task_context(TaskInstance(try_number=2, max_tries=1), task=operator)
    with pytest.raises(AirflowFailException, match="5 ambiguous"):
        operator.execute(second)
    assert sandbox.requests(vendor="pressnxpress") == []


# Refusals and throttling ---------------------------------------------------------------------------------------


def test_a_contact_that_the_vendor_refuses_is_a_reject_in_its_words(
    enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path
) -> None:
    rejects = str(tmp_path / "r.ndjson")
    sandbox.faults([fault("status", status=422, times=1, skip=2, body='{"message": "Asked too often."}')])
    found = enqueue(contacts=contacts(5), rejects_path=rejects, on_rejected="continue", max_concurrency=1)
    assert (found["accepted"], found["rejected"]) == (4, 1)
    [line] = read_lines(rejects)
    assert line["orderId"] == 2
    assert line["_rejected"]["errors"] == [{"field": "", "code": "VENDOR_REJECTED", "message": "Asked too often."}]


def test_a_mended_rejects_file_is_a_contacts_file(enqueue: Enqueue, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "r.ndjson"
    rows = [*contacts(2), {"email": "nobody", "orderId": 2}]
    enqueue(contacts=rows, rejects_path=str(rejects), on_rejected="continue")
    rejects.write_text(rejects.read_text().replace("nobody", "user2@example.com"))
    enqueue(contacts_path=str(rejects), ti=TaskInstance(run_id="manual__2"))
    assert [found["recipient"] for found in delivered(sandbox)][-1] == "user2@example.com"


def test_a_wrong_touchpoint_stops_the_send_at_once(
    enqueue: Enqueue, connection: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection["extra"]["touchpoint_token"] = "an0ther-t0ken"
    monkeypatch.setenv("AIRFLOW_CONN_PRESSNXPRESS_DEFAULT", json.dumps(connection))
    with pytest.raises(AirflowFailException, match="There is no such touchpoint"):
        enqueue(contacts=contacts(500))
    assert len(sandbox.requests(vendor="pressnxpress")) <= 4


def test_a_send_that_the_vendor_refuses_to_the_last_contact_is_given_up(enqueue: Enqueue, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=400, body='{"message": "The account is locked."}')])
    with pytest.raises(AirflowFailException, match="The account is locked"):
        enqueue(contacts=contacts(500), on_rejected="continue")
    assert len(sandbox.requests(vendor="pressnxpress")) < 50


def test_throttling_slows_the_send_down_and_loses_nobody(enqueue: Enqueue, sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", status=429, retry_after=1, times=3, skip=50)])
    found = enqueue(contacts=contacts(200))
    assert found["accepted"] == 200
    assert sandbox.counts("pressnxpress") == {"total": 200, "distinct": 200, "duplicates": 0}
