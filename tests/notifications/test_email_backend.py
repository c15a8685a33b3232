"""Airflow's own mails through Marigold: ``[email] email_backend``."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airflow.utils.email import send_email as airflows_send_email

from airflow_provider_messaging.core.errors import AuthenticationError, ConfigurationError, ValidationError
from airflow_provider_messaging.notifications._email_backend import LARGEST_FILE, as_text
from airflow_provider_messaging.notifications.marigold import send_email
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import fresh_tokens
from tests.notifications.test_marigold_notifier import mails, quickly, recipients, sends

__all__ = ["fresh_tokens", "quickly"]

BACKEND = "airflow_provider_messaging.notifications.marigold.send_email"
SENDS = {"vendor": "marigold", "operation": "send_email"}
MAIL: dict[str, Any] = {"subject": "Alert", "html_content": "<b>It broke</b>", "from_email": "airflow@example.com"}

pytestmark = pytest.mark.usefixtures("marigold_conn")


def test_airflow_sends_through_it_with_one_line_of_configuration(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__EMAIL__EMAIL_BACKEND", BACKEND)
    monkeypatch.setenv("AIRFLOW__EMAIL__FROM_EMAIL", "Airflow <airflow@example.com>")
    airflows_send_email(["ada@example.com", "grace@example.com"], "Alert", "<b>It broke</b>")
    assert recipients(sandbox) == ["ada@example.com", "grace@example.com"]
    [mail, _] = mails(sandbox)
    assert mail["headers"]["subject"] == "Alert"
    assert mail["headers"]["from"] == {"alias": "Airflow", "address": "airflow@example.com"}
    assert mail["content"] == {"html": "<b>It broke</b>", "text": "It broke"}


def test_the_subject_of_an_alert_names_the_task_where_airflow_prints_the_whole_object(sandbox: Sandbox) -> None:
    subject = (
        "Airflow alert: id=UUID('01a2245d-1aaf-7dc8-96be-3ea7df1fe94c') task_id='report' dag_id='campaign' "
        "run_id='manual__1' try_number=2 dag_version_id=None map_index=-1 hostname='vm' task=<Task: report>"
    )
    send_email("a@example.com", **{**MAIL, "subject": subject})
    send_email("a@example.com", **{**MAIL, "subject": subject.replace("map_index=-1", "map_index=7")})
    send_email("a@example.com", **{**MAIL, "subject": "Airflow alert: <TaskInstance: a.b run [failed]>"})
    assert [mail["headers"]["subject"] for mail in mails(sandbox)] == [
        "Airflow alert: campaign.report, try 2, run manual__1",
        "Airflow alert: campaign.report [7], try 2, run manual__1",
        "Airflow alert: <TaskInstance: a.b run [failed]>",
    ]


def test_everybody_gets_a_message_of_their_own_once(sandbox: Sandbox) -> None:
    send_email("a@example.com, b@example.com", cc=["c@example.com", "a@example.com"], bcc="d@example.com", **MAIL)
    assert recipients(sandbox) == [f"{name}@example.com" for name in "abcd"]
    assert len({mail["reference"] for mail in mails(sandbox)}) == 4
    assert all("cc" not in mail["headers"] for mail in mails(sandbox))


def test_the_same_mail_may_be_sent_again(sandbox: Sandbox) -> None:
    for _ in range(2):
        send_email("a@example.com", **MAIL)
    assert recipients(sandbox) == ["a@example.com"] * 2


def test_a_hundred_and_one_recipients_are_two_requests(sandbox: Sandbox) -> None:
    send_email([f"user{number}@example.com" for number in range(101)], **MAIL)
    assert (len(recipients(sandbox)), sends(sandbox)) == (101, 2)


def test_files_are_attached(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes(b"a,b\n1,2\n")
    (tmp_path / "data.gz").write_bytes(b"\x1f\x8b packed")
    send_email("a@example.com", files=[str(tmp_path / "report.csv"), str(tmp_path / "data.gz")], **MAIL)
    [mail] = mails(sandbox)
    files = mail["content"]["attachments"]
    attached = {each["file_name"]: (each["mime_type"], base64.b64decode(each["data"])) for each in files}
    assert attached["report.csv"] == ("text/csv", b"a,b\n1,2\n")
    assert attached["data.gz"][1] == b"\x1f\x8b packed"


@pytest.mark.parametrize("sizes", [(LARGEST_FILE + 1,), (2_000_000, 2_000_000)])
def test_files_beyond_the_vendors_limit_are_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        file.write_bytes(b"x" * size)
    with pytest.raises(ValidationError, match=r"nothing was\s+sent"):
        send_email("a@example.com", files=[str(file) for file in files], **MAIL)
    assert sends(sandbox) == 0


def test_a_file_that_is_not_there_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no file .*to change: files"):
        send_email("a@example.com", files=[str(tmp_path / "none")], **MAIL)
    assert sends(sandbox) == 0


def test_headers_go_where_the_vendor_has_them(sandbox: Sandbox) -> None:
    headers = {"Reply-To": "team@example.com", "List-Unsubscribe": "<mailto:u@example.com>", "X-Team": 7}
    send_email("a@example.com", custom_headers=headers, **MAIL)
    [mail] = mails(sandbox)
    assert mail["headers"]["reply"] == {"address": "team@example.com"}
    assert mail["headers"]["list_unsubscribe"] == "<mailto:u@example.com>"
    assert mail["headers"]["optional"] == [{"name": "X-Team", "value": "7"}]


def test_a_header_that_the_vendor_does_not_take_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(ValidationError, match=r"custom_headers\.Importance INVALID_HEADER_NAME"):
        send_email("a@example.com", custom_headers={"Importance": "high"}, **MAIL)


@pytest.mark.parametrize("conn_id", [None, "smtp_default", "marigold_default"])
def test_airflows_default_connection_means_ours(sandbox: Sandbox, conn_id: str | None) -> None:
    send_email("a@example.com", conn_id=conn_id, **MAIL)
    assert recipients(sandbox) == ["a@example.com"]


def test_another_connection_can_be_named(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    monkeypatch.delenv("AIRFLOW_CONN_MARIGOLD_DEFAULT")
    send_email("a@example.com", conn_id="other", **MAIL)
    assert recipients(sandbox) == ["a@example.com"]


def test_the_sender_that_airflow_makes_up_is_none(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no sender"):
        send_email("a@example.com", **{**MAIL, "from_email": "airflow@airflow"})
    document = json.loads(sandbox.connections["AIRFLOW_CONN_MARIGOLD_DEFAULT"])
    document["extra"]["sender"] = "alerts@example.com"
    monkeypatch.setenv("AIRFLOW_CONN_MARIGOLD_DEFAULT", json.dumps(document))
    send_email("a@example.com", **{**MAIL, "from_email": "airflow@airflow"})
    assert mails(sandbox)[0]["headers"]["from"] == {"address": "alerts@example.com"}


def test_a_dry_run_checks_and_sends_nothing(sandbox: Sandbox) -> None:
    send_email("a@example.com", dryrun=True, **MAIL)
    with pytest.raises(ValidationError):
        send_email("nobody", dryrun=True, **MAIL)
    assert sandbox.requests() == []


def test_nobody_to_send_to_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="nobody to send to"):
        send_email("", **MAIL)


def test_secrets_that_airflow_knows_are_masked(sandbox: Sandbox) -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("open-sesame")
    send_email("a@example.com", **{**MAIL, "subject": "open-sesame", "html_content": "open-sesame sandbox-secret"})
    sent = json.dumps(mails(sandbox))
    assert "open-sesame" not in sent
    assert "sandbox-secret" not in sent


def test_a_vendor_that_takes_nothing_is_an_error(sandbox: Sandbox) -> None:
    sandbox.faults([{**SENDS, "fault": "status", "status": 403}])
    with pytest.raises(AuthenticationError):
        send_email("a@example.com", **MAIL)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_no_reason_for_airflow_to_send_again(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    caplog.set_level(logging.INFO)
    sandbox.faults([{**SENDS, "fault": "drop", "when": when}])
    send_email("a@example.com", **MAIL)
    assert sends(sandbox) == 1
    assert ("may or may not have been sent" in caplog.text) == (when == "before")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Try 1 out of 2<br>Exception:<br>boom &lt;x&gt;<br>", "Try 1 out of 2\nException:\nboom <x>"),
        ('Log: <a href="https://example.com/?a=1&amp;b=2">Link</a>', "Log: Link (https://example.com/?a=1&b=2)"),
        ("<style>p { color: red }</style><p>One</p>\n\n\n<p>Two</p>", "One\n\nTwo"),
        ("", ""),
    ],
)
def test_html_is_told_as_text(html: str, text: str) -> None:
    assert as_text(html) == text
