"""Sending a campaign in chunks, each once; creating campaigns, uploading assets, and the general request."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, RateLimitedError
from airflow_provider_messaging.operators.engageone import (
    CreateCampaignOperator,
    EngageOneApiOperator,
    SendCampaignOperator,
    UploadAssetOperator,
)
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import read_lines, write_lines

pytestmark = pytest.mark.usefixtures("connections")
CAMPAIGN = {
    "campaign": "newsletter",
    "communication": "Example",
    "email_json_path": "$.customer.email",
    "sender": "shop@example.com",
    "chunk_size": 10,
}


def record(number: int, **more: Any) -> dict[str, Any]:
    return {"customer": {"email": f"user{number}@example.com"}, "reference": f"r-{number}", **more}


def records(count: int) -> list[dict[str, Any]]:
    return [record(number) for number in range(count)]


def run(kind: type[Any], *, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> Any:
    operator = kind(task_id="send", **arguments)
    return operator.execute(task_context(ti, store=store or StateStore(), task=operator))


def send(**arguments: Any) -> Any:
    return run(SendCampaignOperator, **{**CAMPAIGN, **arguments})


def fault(kind: str, operation: str = "send_campaign", **more: Any) -> dict[str, Any]:
    return {"vendor": "engageone", "operation": operation, "fault": kind, **more}


def delivered(sandbox: Sandbox) -> Counter[str]:
    return Counter(each["reference"] for each in sandbox.deliveries(vendor="engageone"))


def once(numbers: Any) -> Counter[str]:
    return Counter(f"r-{number}" for number in numbers)


def sends(sandbox: Sandbox) -> list[str]:
    return [row["send_id"] for row in sandbox.state("sends", vendor="engageone")]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_a_dataset_goes_out_in_chunks_with_a_send_id_each(sandbox: Sandbox, version: str, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.ndjson"
    result = send(dataset=records(25), version=version, manifest_path=str(manifest))
    send_ids = result.pop("send_ids")
    assert result == {
        "records": 25,
        "accepted": 25,
        "rejected": 0,
        "ambiguous": 0,
        "resumed": 0,
        "requests": 3,
        "manifest_path": str(manifest),
        "rejects_path": None,
    }
    assert sorted(send_ids) == sorted(sends(sandbox))
    assert delivered(sandbox) == once(range(25))
    lines = read_lines(manifest)
    assert {line["reference"] for line in lines} == {f"r-{number}" for number in range(25)}
    by_recipient = {each["recipient"]: each["extra"]["send_id"] for each in sandbox.deliveries(vendor="engageone")}
    assert {line["recipient"]: line["send_id"] for line in lines} == by_recipient
    operation = "send_campaign" if version == "v2" else "send_campaign_v1"
    assert len(sandbox.requests(operation=operation)) == 3


def test_a_dataset_can_be_read_from_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "dataset.ndjson.gz", records(25))
    assert send(dataset_path=path)["accepted"] == 25
    assert delivered(sandbox) == once(range(25))


def test_a_request_has_no_more_bytes_than_allowed(sandbox: Sandbox) -> None:
    dataset = [record(number, text="x" * 1_000) for number in range(20)]
    assert send(dataset=dataset, chunk_size=1_000, max_bytes=5_000)["requests"] == 5
    assert all(request["request_bytes"] <= 5_000 for request in sandbox.requests(operation="send_campaign"))


def test_records_without_an_address_are_rejects_and_nothing_is_sent_by_default(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    dataset = [
        record(0),
        {"reference": "r-1"},
        {"customer": {"email": "nobody"}, "reference": "r-2"},
        "text",
        record(0),
    ]
    rejects = tmp_path / "rejects.ndjson"
    with pytest.raises(AirflowFailException, match="4 of 5 rows"):
        send(dataset=dataset)
    assert not delivered(sandbox)
    result = send(dataset=dataset, on_rejected="continue", rejects_path=str(rejects))
    assert (result["accepted"], result["rejected"]) == (1, 4)
    errors = [line["_rejected"]["errors"][0] for line in read_lines(rejects)]
    assert [(error["field"], error["code"]) for error in errors] == [
        ("$.customer.email", "REQUIRED_PROPERTY"),
        ("$.customer.email", "INVALID_EMAIL"),
        ("", "INVALID_TYPE"),
        ("reference", "REFERENCE_DUPLICATE_DETECTED"),
    ]


def test_two_records_of_one_recipient_are_two_letters(sandbox: Sandbox) -> None:
    dataset = [{"customer": {"email": "jane@example.com"}, "n": number} for number in range(2)]
    assert send(dataset=dataset)["accepted"] == 2
    assert sandbox.counts("engageone")["total"] == 2


def test_a_lost_answer_is_ambiguous_reported_and_never_sent_again(sandbox: Sandbox, tmp_path: Path) -> None:
    store, manifest = StateStore(), tmp_path / "manifest.ndjson"
    sandbox.faults([fault("drop", when="after", skip=1, times=1)])
    with pytest.raises(AirflowFailException, match="10 ambiguous") as caught:
        send(dataset=records(30), store=store, max_concurrency=1, manifest_path=str(manifest))
    assert isinstance(caught.value.__cause__, AmbiguousDeliveryError)
    assert Counter(line["outcome"] for line in read_lines(manifest)) == {"accepted": 20, "ambiguous": 10}
    assert {line["reference"] for line in read_lines(manifest) if line["outcome"] == "ambiguous"} == set(
        once(range(10, 20))
    )
    with pytest.raises(AirflowFailException, match="10 ambiguous"):
        send(dataset=records(30), store=store, max_concurrency=1, ti=TaskInstance(try_number=2))
    assert delivered(sandbox) == once(range(30))


def test_ambiguity_may_be_left_to_the_result(sandbox: Sandbox) -> None:
    sandbox.faults([fault("drop", when="after", times=1)])
    result = send(dataset=records(30), max_concurrency=1, on_ambiguous="continue")
    assert (result["accepted"], result["ambiguous"], len(result["send_ids"])) == (20, 10, 2)


@pytest.mark.parametrize("trouble", [{"fault": "truncate"}, {"fault": "malformed"}])
def test_an_answer_without_a_send_id_is_acceptance_and_told(
    sandbox: Sandbox, trouble: dict[str, Any], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults([fault(**{"kind": trouble["fault"]}, times=1)])
    result = send(dataset=records(30), max_concurrency=1)
    assert (result["accepted"], len(result["send_ids"])) == (30, 2)
    assert "10 records without a send_id" in capfd.readouterr().out + caplog.text
    assert delivered(sandbox) == once(range(30))


def broken_off(sandbox: Sandbox, store: StateStore, count: int) -> list[str]:
    """A try that the vendor throttles to death after two requests; return their send ids."""
    sandbox.faults([fault("status", status=429, retry_after=3600, skip=2)])
    with pytest.raises(RateLimitedError):
        send(dataset=records(count), store=store, max_concurrency=1)
    sandbox.clear_faults()
    return sends(sandbox)


def test_a_retry_sends_no_request_again_and_asks_how_the_earlier_ones_go(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    store = StateStore()
    earlier = broken_off(sandbox, store, 45)
    assert len(earlier) == 2
    result = send(dataset=records(45), store=store, ti=TaskInstance(try_number=2))
    assert (result["accepted"], result["resumed"], result["requests"]) == (45, 20, 3)
    assert result["send_ids"][:2] == earlier
    assert sorted(result["send_ids"]) == sorted(sends(sandbox))
    assert delivered(sandbox) == once(range(45))
    asked = [request["path"].split("/")[-2] for request in sandbox.requests(operation="send_status")]
    assert asked == earlier
    assert "2 sends of earlier tries are not repeated" in capfd.readouterr().out + caplog.text


def test_a_status_that_can_not_be_read_does_not_hinder_the_retry(sandbox: Sandbox) -> None:
    store = StateStore()
    broken_off(sandbox, store, 45)
    sandbox.faults([fault("status", "send_status", status=404)])
    assert send(dataset=records(45), store=store, ti=TaskInstance(try_number=2))["accepted"] == 45
    assert len(sandbox.requests(operation="send_status")) == 1
    assert delivered(sandbox) == once(range(45))


def test_a_retry_with_another_dataset_sends_nothing_new(sandbox: Sandbox) -> None:
    store = StateStore()
    broken_off(sandbox, store, 45)
    with pytest.raises(AirflowFailException, match="not the one"):
        send(dataset=records(45)[::-1], store=store, ti=TaskInstance(try_number=2))
    assert len(sends(sandbox)) == 2


def test_a_retry_without_a_state_store_sends_nothing_and_says_so(sandbox: Sandbox) -> None:
    operator = SendCampaignOperator(task_id="send", **CAMPAIGN, dataset=records(20), retries=1)
    operator.execute(task_context(TaskInstance(max_tries=1), task=operator))
    with pytest.raises(AirflowFailException, match="20 ambiguous"):
        operator.execute(task_context(TaskInstance(max_tries=1, try_number=2), task=operator))
    assert delivered(sandbox) == once(range(20))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"campaign": ""}, "campaign must be"),
        ({"email_json_path": "a[*]"}, "email_json_path"),
        ({"sender": "nobody"}, "sender is not an e-mail address"),
        ({"version": "v3"}, "version is 'v3'"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"max_bytes": 10}, "max_bytes"),
        ({"dataset": None}, "give either dataset or dataset_path"),
        ({"on_ambiguous": "hope"}, "on_ambiguous"),
    ],
)
def test_an_argument_that_can_not_work_fails_for_good(sandbox: Sandbox, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(AirflowFailException, match=says):
        send(**{"dataset": records(1), **arguments})
    assert not sandbox.requests()


def test_an_unknown_campaign_fails_for_good(sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="There is no campaign nowhere"):
        send(dataset=records(30), campaign="nowhere")
    assert not sends(sandbox)


def test_a_campaign_is_created(sandbox: Sandbox) -> None:
    answer = run(CreateCampaignOperator, campaign={"name": "spring", "communication": "Example"})
    assert answer["name"] == "spring"
    assert "spring" in {row["name"] for row in sandbox.state("campaigns", vendor="engageone")}


@pytest.mark.parametrize("campaign", [{}, "spring", ["spring"]])
def test_a_campaign_without_members_is_refused(campaign: Any) -> None:
    with pytest.raises(AirflowFailException, match="campaign must be"):
        run(CreateCampaignOperator, campaign=campaign)


@pytest.mark.parametrize("status", [500, 504])
def test_a_creation_that_nobody_can_be_sure_of_is_not_retried_and_says_so(sandbox: Sandbox, status: int) -> None:
    sandbox.faults([fault("status", "create_campaign", status=status, when="after")])
    with pytest.raises(AirflowFailException, match="may have been taken"):
        run(CreateCampaignOperator, campaign={"name": "spring"})
    assert len(sandbox.requests(operation="create_campaign")) == 1


def test_a_creation_that_was_surely_not_made_is_worth_a_retry(sandbox: Sandbox) -> None:
    sandbox.faults([fault("status", "create_campaign", status=429, retry_after=3600)])
    with pytest.raises(RateLimitedError) as caught:
        run(CreateCampaignOperator, campaign={"name": "spring"})
    assert not isinstance(caught.value, AirflowException)


def test_an_asset_is_uploaded(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"x" * 300_000)
    answer = run(UploadAssetOperator, path=str(tmp_path / "logo.png"), name="spring.png", fields={"folder": "2026"})
    assert (answer["name"], answer["size"]) == ("spring.png", 300_000)
    [asset] = sandbox.state("assets", vendor="engageone")
    assert (asset["folder"], asset["content_type"]) == ("2026", "image/png")


def test_an_upload_that_nobody_can_be_sure_of_is_not_retried(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"x")
    sandbox.faults([fault("drop", "upload_asset", when="after")])
    with pytest.raises(AirflowFailException, match="may have been taken"):
        run(UploadAssetOperator, path=str(tmp_path / "logo.png"))
    assert len(sandbox.state("assets", vendor="engageone")) == 1


def test_a_file_that_is_not_there_fails_for_good(sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="no such file"):
        run(UploadAssetOperator, path="/no/such/file")
    assert not sandbox.requests()


def test_the_general_request_reaches_any_service(tmp_path: Path) -> None:
    answer = run(EngageOneApiOperator, service="nlu", method="POST", path="/v1/x", json={"a": 1})
    assert (answer["service"], answer["body"], answer["authorization"]) == ("nlu", {"a": 1}, True)
    path = str(tmp_path / "a.bin")
    found = run(
        EngageOneApiOperator, service="archiving", path="/v1/x", query_params={"binary": 1000}, response_path=path
    )
    assert (found["path"], found["bytes"]) == (path, 1000)


def test_a_general_request_to_an_unknown_service_fails_for_good(sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="there is no service 'fax'"):
        run(EngageOneApiOperator, service="fax", path="/x")
    assert not sandbox.requests()
