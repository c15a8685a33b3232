"""Where the messages come from, and what the result of a send says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, ObjectStoragePath

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.conftest import Row, Send, message, messages, read_lines, write_lines

RESULT = (
    "messages",
    "accepted",
    "rejected",
    "ambiguous",
    "reconciled",
    "resumed",
    "requests",
    "manifest_path",
    "rejects_path",
)


def on_object_storage(rows: list[Row]) -> str:
    path = ObjectStoragePath("memory://bucket/in/messages.ndjson")
    with path.open("wb") as stream:
        stream.writelines(json.dumps(row).encode() + b"\n" for row in rows)
    return str(path)


GIVEN: dict[str, Callable[[list[Row], Path], dict[str, Any]]] = {
    "list": lambda rows, _: {"messages": rows},
    "tuple": lambda rows, _: {"messages": tuple(rows)},
    "JSON text": lambda rows, _: {"messages": json.dumps(rows)},
    "file": lambda rows, folder: {"messages_path": write_lines(folder / "m.ndjson", rows)},
    "file URI": lambda rows, folder: {"messages_path": "file://" + write_lines(folder / "m.ndjson", rows)},
    "gzip": lambda rows, folder: {"messages_path": write_lines(folder / "m.ndjson.gz", rows)},
    "object storage": lambda rows, _: {"messages_path": on_object_storage(rows)},
}


@pytest.mark.usefixtures("object_storage")
@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_messages_can_be_given_in_many_ways(
    send: Send, sandbox: Sandbox, tmp_path: Path, given: Callable[..., Any], store: StateStore | None
) -> None:
    result = send(store=store, **given(messages(3), tmp_path))
    assert result == {**dict.fromkeys(RESULT, 0), "messages": 3, "accepted": 3, "requests": 1} | {
        "manifest_path": None,
        "rejects_path": None,
    }
    assert [each["recipient"] for each in sandbox.deliveries()] == [f"user{number}@example.com" for number in range(3)]


def test_the_result_has_exactly_the_documented_keys_with_plain_integers(send: Send, tmp_path: Path) -> None:
    paths = {"manifest_path": str(tmp_path / "manifest.ndjson"), "rejects_path": str(tmp_path / "rejects.ndjson")}
    result = send(messages=messages(2), **paths)
    assert tuple(result) == RESULT
    assert {name: type(value) for name, value in result.items()} == {
        name: str if name.endswith("_path") else int for name in RESULT
    }
    assert json.loads(json.dumps(result)) == result
    assert {name: result[name] for name in paths} == paths


@pytest.mark.parametrize(
    ("count", "requests"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])]
)
def test_requests_hold_at_most_a_hundred_messages_and_none_is_lost(
    send: Send, sandbox: Sandbox, count: int, requests: list[int], store: StateStore | None
) -> None:
    result = send(messages=messages(count), max_concurrency=1, store=store)
    assert (result["messages"], result["accepted"], result["requests"]) == (count, count, len(requests))
    assert [each["messages"] for each in sandbox.requests(operation="send_email")] == requests
    assert {each["recipient"] for each in sandbox.deliveries()} == {each["to"] for each in messages(count)}
    assert sandbox.counts()["duplicates"] == 0


def test_a_message_that_alone_crosses_the_byte_limit_of_its_request_opens_the_next(
    send: Send, sandbox: Sandbox
) -> None:
    large = "x" * 1_500_000
    result = send(messages=[message(0), message(1, text=large), message(2, text=large), message(3, text=large)])
    assert result["accepted"] == 4
    sizes = {
        (each["messages"], each["request_bytes"] <= 4_000_000) for each in sandbox.requests(operation="send_email")
    }
    assert sizes == {(3, True), (1, True)}


def test_both_forms_of_a_row_may_stand_in_one_file(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    vendor_form = {
        "headers": {"to": {"address": "joe@example.com"}, "from": {"address": "a@example.com"}, "subject": "Hi"},
        "content": {"html": "<p>Hello</p>"},
        "context": {"tags": ["spring"], "profile": "LIST.1"},
    }
    path = write_lines(tmp_path / "m.ndjson", [vendor_form, message(1, tags=["spring"], profile="LIST.1")])
    assert send(messages_path=path)["accepted"] == 2
    assert [(each["recipient"], each["tags"], each["profile"]) for each in sandbox.deliveries()] == [
        ("joe@example.com", ["spring"], "LIST.1"),
        ("user1@example.com", ["spring"], "LIST.1"),
    ]


def test_blank_lines_of_a_file_are_no_rows(send: Send, tmp_path: Path) -> None:
    path = tmp_path / "m.ndjson"
    path.write_text(f"\n{json.dumps(message(0))}\r\n\n   \n{json.dumps(message(1))}")
    assert send(messages_path=str(path))["messages"] == 2


def test_the_rows_of_a_list_are_not_changed(send: Send) -> None:
    rows = messages(2)
    send(messages=rows)
    assert rows == messages(2)


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("neither", {}, "messages or messages_path"),
    ("both", {"messages": [], "messages_path": "x"}, "messages or messages_path"),
    ("an object", {"messages": message(0)}, "messages"),
    ("a number", {"messages": 5}, "messages"),
    ("bytes", {"messages": b"[]"}, "messages"),
    ("broken JSON", {"messages": "[{"}, "messages"),
    ("JSON of an object", {"messages": "{}"}, "messages"),
    ("a list as Python text", {"messages": "[{'to': 'a@example.com'}]"}, "messages"),
    ("no such file", {"messages_path": "/no/such/file.ndjson"}, "messages_path"),
    ("no such storage", {"messages_path": "nowhere://bucket/file"}, "messages_path"),
    ("a storage that no installed provider brings", {"messages_path": "s3://bucket/file"}, "messages_path"),
    ("a file as a folder", {"messages_path": f"{__file__}/file.ndjson"}, "messages_path"),
    ("a folder", {"messages_path": "/"}, "messages_path"),
    ("on_rejected", {"messages": [], "on_rejected": "skip"}, "on_rejected"),
    ("on_ambiguous", {"messages": [], "on_ambiguous": "retry"}, "on_ambiguous"),
    ("max_concurrency", {"messages": [], "max_concurrency": 0}, "max_concurrency"),
    ("rate_limit", {"messages": [], "rate_limit": 0}, "rate_limit"),
    ("reconcile_window", {"messages": [], "reconcile_window": -1}, "reconcile_window"),
    ("clock_skew", {"messages": [], "clock_skew": -1}, "clock_skew"),
    ("manifest_path", {"messages": [], "manifest_path": "nowhere://bucket/file"}, "manifest_path"),
    ("rejects_path", {"messages": [], "rejects_path": "nowhere://bucket/file"}, "rejects_path"),
]


@pytest.mark.parametrize(
    ("arguments", "setting"), [row[1:] for row in BAD_ARGUMENTS], ids=[row[0] for row in BAD_ARGUMENTS]
)
def test_arguments_that_make_no_sense_fail_the_task_for_good_and_send_nothing(
    send: Send, sandbox: Sandbox, arguments: dict[str, Any], setting: str
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        send(**arguments)
    assert f"to change: {setting}]" in str(caught.value)
    assert sandbox.requests() == []


def test_arguments_are_judged_at_run_time_only() -> None:
    operator = SendEmailBatchOperator(task_id="send", messages="{{ broken", on_rejected="{{ x }}", rate_limit=-1)  # type: ignore[arg-type]
    assert operator.messages == "{{ broken"


def test_all_arguments_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        SendEmailBatchOperator([message(0)], task_id="send")  # type: ignore[misc]


def test_paths_messages_and_connection_are_templates(send: Send) -> None:
    operator = SendEmailBatchOperator(
        task_id="send",
        messages="{{ params.rows }}",
        messages_path="in/{{ ds }}.ndjson",
        manifest_path="out/{{ ds }}/manifest.ndjson",
        rejects_path="out/{{ ds }}/rejects.ndjson",
        marigold_conn_id="marigold_{{ params.brand }}",
        subject_path="in/{{ ds }}.subject",
        html_path="in/{{ ds }}.html",
        text_path="in/{{ ds }}.txt",
        defaults={"tags": ["{{ params.brand }}"]},
        attachments_path="in/{{ ds }}",
    )
    operator.render_template_fields({"ds": "2026-03-10", "params": {"rows": "[]", "brand": "shoes"}})  # type: ignore[typeddict-unknown-key]
    assert {name: getattr(operator, name) for name in operator.template_fields} == {
        "messages": "[]",
        "messages_path": "in/2026-03-10.ndjson",
        "manifest_path": "out/2026-03-10/manifest.ndjson",
        "rejects_path": "out/2026-03-10/rejects.ndjson",
        "marigold_conn_id": "marigold_shoes",
        "subject_path": "in/2026-03-10.subject",
        "html_path": "in/2026-03-10.html",
        "text_path": "in/2026-03-10.txt",
        "defaults": {"tags": ["shoes"]},
        "attachments_path": "in/2026-03-10",
    }


def test_a_rendered_manifest_path_is_where_the_manifest_is(marigold_conn: str, tmp_path: Path) -> None:
    operator = SendEmailBatchOperator(
        task_id="send", messages=messages(1), manifest_path=f"{tmp_path}/{{{{ ds }}}}/manifest.ndjson"
    )
    context = task_context(ds="2026-03-10")
    operator.render_template_fields(context)
    result = operator.execute(context)
    assert result["manifest_path"] == f"{tmp_path}/2026-03-10/manifest.ndjson"
    assert len(read_lines(result["manifest_path"])) == 1


@pytest.mark.parametrize("name", ["messages", "messages_path"])
def test_the_operator_can_be_mapped(name: str) -> None:
    with DAG("mapped", schedule=None) as dag:
        mapped = SendEmailBatchOperator.partial(task_id="send", on_rejected="continue", retries=2).expand(
            **{name: [["a"], ["b"]]}
        )
    assert dag.get_task("send") is mapped
    assert mapped.is_mapped
    assert mapped.partial_kwargs["on_rejected"] == "continue"


def test_mapped_instances_give_their_rows_references_of_their_own(send: Send, sandbox: Sandbox) -> None:
    for index in range(3):
        send(messages=messages(1), ti=TaskInstance(map_index=index))
    assert sandbox.counts() == {"total": 3, "distinct": 3, "duplicates": 0}


def test_another_connection_can_be_named(send: Send, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOES", sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    monkeypatch.delenv("AIRFLOW_CONN_MARIGOLD_DEFAULT")
    assert send(messages=messages(1), marigold_conn_id="shoes")["accepted"] == 1


def test_a_rate_limit_spaces_the_requests(send: Send) -> None:
    began = time.monotonic()
    assert send(messages=messages(300), rate_limit=200, max_concurrency=4)["requests"] == 3
    assert time.monotonic() - began >= 1.0


def test_max_concurrency_bounds_the_requests_in_flight(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "latency", "delay": 0.3}])
    send(messages=messages(800), max_concurrency=2)
    spans = [(each["at"], each["at"] + each["duration"]) for each in sandbox.requests(operation="send_email")]
    most = max(sum(start <= at < end for start, end in spans) for at, _ in spans)
    assert len(spans) == 8
    assert most == 2


def test_requests_go_out_at_the_same_time(send: Send, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "latency", "delay": 1.0}])
    send(messages=messages(400), max_concurrency=4)
    requests = sandbox.requests(operation="send_email")
    assert len(requests) == 4
    assert max(each["at"] for each in requests) < min(each["at"] + each["duration"] for each in requests)
