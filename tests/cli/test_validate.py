"""``airflow-messaging validate`` judges as the operators do, and sends nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_messaging.cli.validate import KINDS
from tests.cli.commands import read, run, write

EMAIL = {"to": "ada@example.com", "from": "shop@example.com", "subject": "Order", "html": "<p>On its way</p>"}


def test_rejects_are_counted_by_code_and_written_with_their_reasons(tmp_path: Path) -> None:
    bad_tag = {**EMAIL, "tags": ["a/b"]}
    messages = write(tmp_path / "messages.ndjson", EMAIL, {**EMAIL, "to": "nobody"}, "not json", bad_tag, bad_tag)
    rejects = tmp_path / "rejects.ndjson"
    found = run("validate", "email", messages, "--rejects", rejects, "--json", code=1).json
    assert (found["rows"], found["valid"], found["rejected"], found["requests"]) == (5, 1, 4, 1)
    assert {code: each["count"] for code, each in found["codes"].items()} == {
        "INVALID_TAG_CHAR": 2,
        "INVALID_ADDRESS": 1,
        "INVALID_JSON": 1,
    }
    assert found["codes"]["INVALID_TAG_CHAR"]["first_row"] == 3
    assert found["codes"]["INVALID_ADDRESS"]["fields"] == ["to"]
    assert sorted(line["_rejected"]["row"] for line in read(rejects)) == [1, 2, 3, 4]


def test_people_get_a_summary_and_a_line_for_each_code(tmp_path: Path) -> None:
    messages = write(tmp_path / "messages.ndjson", EMAIL, {**EMAIL, "to": "nobody"})
    out = run("validate", "email", messages, code=1).out
    assert out.startswith("2 rows: 1 valid, 1 rejected; 1 requests. Nothing was sent.\n")
    assert "1  INVALID_ADDRESS  to  first in row 1: " in out


def test_a_file_without_rejects_is_a_success_also_when_it_is_packed(tmp_path: Path) -> None:
    messages = tmp_path / "messages.ndjson.gz"
    messages.write_bytes(gzip.compress(json.dumps(EMAIL).encode()))
    assert run("validate", "email", messages, "--json").json["valid"] == 1


ROWS: dict[str, tuple[Any, Any, list[str]]] = {
    "email": (EMAIL, {**EMAIL, "to": ""}, []),
    "push": ({"token": "t", "title": "Hi", "body": "you"}, {"token": "t"}, []),
    "blacklist": ("ada@example.com", "nobody", []),
    "unblacklist": ("ada@example.com", "nobody", []),
    "verify": ("ada@example.com", "nobody", []),
    "campaign": (
        {"mail": "ada@example.com"},
        {"mail": "nobody"},
        ["campaign=spring", "communication=hello", "email_json_path=mail"],
    ),
    "messangi": ({"to": "+4915112345678", "text": "Hi"}, {"to": "1", "text": "Hi"}, ["channel=sms", "sender=ACME"]),
    "subscribers": ({"id": "1"}, {"name": "Ada"}, ["list_id=l"]),
    "feedback-requests": ({"email": "ada@example.com"}, {"email": "nobody"}, []),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_tells_a_good_row_from_a_bad_one_without_a_connection(kind: str, tmp_path: Path) -> None:
    good, bad, arguments = ROWS[kind]
    options = [word for argument in arguments for word in ("--arg", argument)]
    found = run("validate", kind, write(tmp_path / "rows.ndjson", good, bad), *options, "--json", code=1).json
    assert (found["valid"], found["rejected"]) == (1, 1), found


def test_arguments_of_the_operator_count_as_in_a_dag(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.ndjson", {"to": "ada@example.com", "name": "Ada"}, {"to": "bob@example.com"})
    defaults = json.dumps({"from": "shop@example.com", "html": "<p>Hello</p>"})
    arguments = ("--arg", f"defaults={defaults}", "--arg", "subject=For {{ name }}")
    found = run("validate", "email", rows, *arguments, "--json", code=1).json
    assert (found["valid"], list(found["codes"])) == (1, ["MISSING_VARIABLE"]), found


def test_an_argument_that_the_operator_has_not_is_named_beside_those_that_it_has(tmp_path: Path) -> None:
    done = run("validate", "email", tmp_path / "x", "--arg", "chanel=sms", code=2)
    assert "SendEmailBatchOperator has no argument 'chanel'" in done.err
    assert "subject_path" in done.err


def test_a_required_argument_is_asked_for(tmp_path: Path) -> None:
    done = run("validate", "subscribers", tmp_path / "x", code=2)
    assert "UpsertSubscribersOperator needs list_id: --arg list_id=…" in done.err


def test_a_connection_lends_what_rules_depend_on(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.ndjson", {"to": "0151 12345678", "text": "Hi"})
    arguments = ("validate", "messangi", rows, "--arg", "channel=sms", "--json")
    assert run(*arguments, code=1).json["rejected"] == 1
    connection = {"conn_type": "messangi", "extra": {"api_key": "a-long-key", "default_region": "DE", "sender": "ACME"}}
    env = {"AIRFLOW_CONN_MINE": json.dumps(connection)}
    assert run(*arguments, "--conn", "mine", env=env).json["valid"] == 1


def test_a_connection_of_another_vendor_is_refused(tmp_path: Path) -> None:
    env = {"AIRFLOW_CONN_MINE": json.dumps({"conn_type": "messangi", "extra": {"api_key": "a-long-key"}})}
    done = run("validate", "email", tmp_path / "x", "--conn", "mine", env=env, code=2)
    assert "email goes over a connection of type 'marigold', 'mine' has the type 'messangi'" in done.err


def test_nothing_reaches_the_vendor(sandbox: Any, connections: None, tmp_path: Path) -> None:
    messages = write(tmp_path / "messages.ndjson", EMAIL)
    assert run("validate", "email", messages, "--conn", "marigold_default", "--json").json["valid"] == 1
    assert sandbox.requests() == []
