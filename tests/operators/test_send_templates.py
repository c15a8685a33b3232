"""One subject, HTML and text template for all rows of a send."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging.core.errors import ValidationError
from airflow_provider_messaging.operators._email import make_composer
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.marigold.email import prepare
from tests.contexts import StateStore, TaskInstance, task_context
from tests.operators.archived import Archived
from tests.operators.conftest import Row, Send, read_lines, write_lines

TEMPLATES = {
    "subject": "{{ name }}, your {{ points }} points",
    "html": "<p>Dear {{ name }},</p>",
    "text": "Dear {{ name }},",
}
DEFAULTS = {"from": "News <news@example.com>", "profile": "LIST.1", "archive_enabled": True}
COMPLETE = {**TEMPLATES, "defaults": DEFAULTS}
NAMES = ["Ada", "Grace", "Alan <b>"]


def recipient(number: int, **more: Any) -> Row:
    return {"to": f"user{number}@example.com", "name": f"No. {number}", "points": number, **more}


def recipients(count: int) -> list[Row]:
    return [recipient(number) for number in range(count)]


def by_list(rows: list[Row], _: Path) -> dict[str, Any]:
    return {"messages": rows}


def by_file(rows: list[Row], folder: Path) -> dict[str, Any]:
    return {"messages_path": write_lines(folder / "recipients.ndjson.gz", rows)}


@pytest.mark.parametrize("given", [by_list, by_file])
def test_each_recipient_gets_a_message_of_their_own(
    send: Send, archived: Archived, tmp_path: Path, given: Callable[..., dict[str, Any]], store: StateStore | None
) -> None:
    rows = [recipient(number, name=name) for number, name in enumerate(NAMES)]
    result = send(**given(rows, tmp_path), **COMPLETE, store=store)
    assert (result["messages"], result["accepted"], result["rejected"]) == (3, 3, 0)
    mails = archived()
    assert {to: mail["Subject"] for to, mail in mails.items()} == {
        f"user{number}@example.com": f"{name}, your {number} points" for number, name in enumerate(NAMES)
    }
    html = [mail.get_body(("html",)).get_content().strip() for mail in mails.values()]
    text = [mail.get_body(("plain",)).get_content().strip() for mail in mails.values()]
    assert html == ["<p>Dear Ada,</p>", "<p>Dear Grace,</p>", "<p>Dear Alan &lt;b&gt;,</p>"]
    assert text == ["Dear Ada,", "Dear Grace,", "Dear Alan <b>,"]


def test_templates_may_come_from_files(send: Send, archived: Archived, tmp_path: Path) -> None:
    paths = {}
    for name, text in TEMPLATES.items():
        path = tmp_path / f"letter.{name}"
        path.write_text("\ufeff" + text + "\n", encoding="utf-8")
        paths[f"{name}_path"] = str(path)
    assert send(messages=recipients(2), defaults=DEFAULTS, **paths)["accepted"] == 2
    assert archived()["user1@example.com"]["Subject"] == "No. 1, your 1 points"


def test_airflow_does_not_render_the_templates(marigold_conn: str, archived: Archived) -> None:
    """Airflow would render them once, with its own variables, and take a name that ends in .html for a file."""
    text = {"subject": "{{ name }}", "html": "{{ ds }}.html", "text": "{{ run_id | default('none') }}"}
    defaults = {**DEFAULTS, "tags": ["{{ ds }}"]}
    operator = SendEmailBatchOperator(
        task_id="send", messages=[recipient(0, ds="row's own")], defaults=defaults, **text
    )
    context = task_context(ds="2026-03-10", run_id="manual__1")
    operator.render_template_fields(context)
    assert {name: getattr(operator, name) for name in text} == text
    assert not {"subject", "html", "text"} & set(operator.template_fields)
    assert operator.defaults == {**defaults, "tags": ["2026-03-10"]}
    with pytest.raises(AirflowFailException, match="points UNKNOWN_PROPERTY"):
        operator.execute(context)
    operator.messages = [{"to": "a@example.com", "name": "Ada", "ds": "row's own"}]
    assert operator.execute(context)["accepted"] == 1
    [mail] = archived().values()
    assert mail.get_body(("html",)).get_content().strip() == "row&#39;s own.html"
    assert mail.get_body(("plain",)).get_content().strip() == "none"


def test_a_missing_variable_is_a_reject_with_its_name_and_not_an_empty_greeting(
    send: Send, sandbox: Sandbox, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.ndjson"
    bad = {"to": "user1@example.com", "points": 1, "name": None}
    result = send(
        messages=[recipient(0), bad, recipient(2)], **COMPLETE, on_rejected="continue", rejects_path=str(rejects)
    )
    assert (result["messages"], result["accepted"], result["rejected"]) == (3, 2, 1)
    [line] = read_lines(rejects)
    errors = line.pop("_rejected")
    assert line == bad, "as it was given"
    assert errors == {
        "row": 1,
        "errors": [
            {
                "field": name,
                "code": "MISSING_VARIABLE",
                "message": f"the {name} template, line 1: the variable 'name' is missing",
            }
            for name in TEMPLATES
        ],
    }
    assert [each["recipient"] for each in sandbox.deliveries()] == ["user0@example.com", "user2@example.com"]


def test_a_mended_rejects_file_is_read_again(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    send(messages=[{"to": "a@example.com", "points": 1}], **COMPLETE, on_rejected="continue", rejects_path=str(rejects))
    [line] = read_lines(rejects)
    result = send(messages_path=write_lines(tmp_path / "mended.ndjson", [{**line, "name": "Ada"}]), **COMPLETE)
    assert (result["accepted"], sandbox.counts()["total"]) == (1, 1)


def test_one_bad_row_keeps_everything_from_being_sent_where_that_is_wanted(send: Send, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="1 of 3 rows") as caught:
        send(messages=[recipient(0), recipient(1), {"to": "a@example.com", "points": 2}], **COMPLETE)
    assert isinstance(caught.value.__cause__, ValidationError)
    assert "row 2: subject MISSING_VARIABLE" in str(caught.value)
    assert sandbox.counts()["total"] == 0


def test_a_dry_run_counts_without_sending(send: Send, sandbox: Sandbox, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    rows = [*recipients(149), {"to": "a@example.com"}]
    result = send(messages=rows, **COMPLETE, dry_run=True, on_rejected="continue", rejects_path=str(rejects))
    assert {name: result[name] for name in ("messages", "accepted", "rejected", "requests")} == {
        "messages": 150,
        "accepted": 149,
        "rejected": 1,
        "requests": 2,
    }
    assert len(read_lines(rejects)) == 1
    assert sandbox.requests() == []


def test_no_variable_gets_a_header_into_a_message(send: Send, sandbox: Sandbox) -> None:
    evil = "Ada\r\nBcc: eve@example.com"
    with pytest.raises(AirflowFailException, match="subject INVALID_HEADER_VALUE"):
        send(messages=[recipient(0, name=evil)], **COMPLETE)
    assert sandbox.requests() == []


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("both", {"html": "a", "html_path": "b"}, "html or html_path", "either html or html_path"),
    ("no such file", {"html_path": "/no/such/file.html"}, "html_path", "there is no file"),
    ("no such storage", {"text_path": "nowhere://x"}, "text_path", "can't be used"),
    ("a syntax error", {"html": "<p>\n{% if %}</p>"}, "html", "the html template can't be read: line 2"),
    ("a syntax error in a file", {"subject_path": "{tmp}/broken"}, "subject_path", "the subject template"),
    ("a file that is no text", {"text_path": "{tmp}/binary"}, "text_path", "not in UTF-8"),
    ("a file that is too large", {"text_path": "{tmp}/large"}, "text_path", "more than 4000000 bytes"),
    ("another task's output", {"subject": ["a"]}, "subject", "must be the template itself"),
    ("a default that is no field", {"defaults": {"form": "a@b"}}, "defaults", "form is no field"),
    ("defaults that are a list", {"defaults": ["a"]}, "defaults", "must be an object"),
    ("attachments nowhere", {"attachments_path": "nowhere://x"}, "attachments_path", "can't be used"),
]


@pytest.mark.parametrize(
    ("arguments", "setting", "says"), [row[1:] for row in BAD_ARGUMENTS], ids=[row[0] for row in BAD_ARGUMENTS]
)
def test_arguments_that_can_not_work_fail_for_good_before_anything_is_sent(
    send: Send, sandbox: Sandbox, tmp_path: Path, arguments: dict[str, Any], setting: str, says: str
) -> None:
    (tmp_path / "broken").write_text("{{ name")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * 4_000_001)
    given = {
        name: value.replace("{tmp}", str(tmp_path)) if isinstance(value, str) else value
        for name, value in arguments.items()
    }
    with pytest.raises(AirflowFailException) as caught:
        send(messages=recipients(1), **given)
    assert says in str(caught.value)
    assert f"to change: {setting}]" in str(caught.value)
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ("{{ name.__class__ }}", "TEMPLATE_NOT_ALLOWED"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "TEMPLATE_TOO_LONG"),
        ("{{ points + 'a' }}", "TEMPLATE_ERROR"),
    ],
)
def test_a_template_that_fails_on_a_row_is_that_rows_reject(send: Send, sandbox: Sandbox, html: str, code: str) -> None:
    with pytest.raises(AirflowFailException, match=f"row 0: html {code}"):
        send(messages=recipients(1), **{**COMPLETE, "html": html})
    assert sandbox.requests() == []


# Several tries ------------------------------------------------------------------------------------------------------


def broken_off(send: Send, sandbox: Sandbox, rows: list[Row], **arguments: Any) -> None:
    """Send 200 messages of the rows and fail."""
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 403, "skip": 2}])
    with pytest.raises(AirflowFailException):
        send(messages=rows, max_concurrency=1, **arguments)
    sandbox.clear_faults()
    assert sandbox.counts()["total"] == 200


def test_a_retry_goes_on_where_the_last_try_stopped(send: Send, sandbox: Sandbox) -> None:
    store = StateStore()
    broken_off(send, sandbox, recipients(550), store=store, **COMPLETE)
    result = send(messages=recipients(550), store=store, ti=TaskInstance(try_number=2), **COMPLETE)
    assert (result["accepted"], result["resumed"]) == (550, 200)
    assert sandbox.counts() == {"total": 550, "distinct": 550, "duplicates": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "{{ name }}: {{ points }} points"},
        {"html": "<p>Dear {{ name }}!</p>"},
        {"text": "Dear {{ name }}"},
        {"defaults": {**DEFAULTS, "tags": ["new"]}},
    ],
)
def test_a_retry_with_another_template_or_default_fails_for_good_and_sends_nothing(
    send: Send, sandbox: Sandbox, change: dict[str, Any]
) -> None:
    store = StateStore()
    broken_off(send, sandbox, recipients(550), store=store, **COMPLETE)
    with pytest.raises(AirflowFailException, match=r"the input is not the one .* rows 0 to .* templates"):
        send(messages=recipients(550), store=store, ti=TaskInstance(try_number=2), **{**COMPLETE, **change})
    assert sandbox.counts()["total"] == 200


# What others see ----------------------------------------------------------------------------------------------------


def test_the_log_holds_no_variable(
    send: Send, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    rows = [recipient(0, name="Top secret"), recipient(1, name="Top\nsecret"), recipient(2, name=["secret"])]
    send(messages=rows, **{**COMPLETE, "text": "{{ name[points] }} {{ name + 1 }}"}, on_rejected="continue")
    log = caplog.text + capfd.readouterr().out
    assert "3 rows were rejected" in log
    for word in ("user0", "Top", "secret"):
        assert word not in log.replace("sandbox-secret", "")


def test_rendering_a_row_costs_little(capsys: pytest.CaptureFixture[str]) -> None:
    """A bound that only a mistake exceeds; what it costs is printed."""
    body = "<p>" + "x" * 900 + "{{ name }} {{ points }}{% for o in offers %}<li>{{ o.title }}{% endfor %}</p>"
    composer = make_composer(
        inline={"subject": TEMPLATES["subject"], "html": body, "text": "Dear {{ name }},"},
        paths=dict.fromkeys(TEMPLATES),
        defaults=DEFAULTS,
        attachments_path=None,
    )
    rows = [(number, recipient(number, offers=[{"title": "a"}, {"title": "b"}])) for number in range(10_000)]

    def reference_of(row: int) -> str:
        return f"row-{row}"

    def judge(part: Any) -> Any:
        return prepare(part, reference_of=reference_of, now=datetime.now(UTC))

    began = time.process_time()
    for start in range(0, len(rows), 100):
        list(composer.prepare(rows[start : start + 100], judge, reference_of=reference_of))
    micros = (time.process_time() - began) / len(rows) * 1e6
    with capsys.disabled():
        print(f" {micros:.0f} µs a row", end="")
    assert micros < 300
