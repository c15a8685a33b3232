"""Links beside a task: made in its process, when it succeeds and when it fails, and read from XCom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_messaging import links
from airflow_provider_messaging.core import errors
from airflow_provider_messaging.core.documentation import documentation
from airflow_provider_messaging.core.errors import ChangedInputError
from airflow_provider_messaging.operators.engageone import BlacklistAddressOperator, VerifyAddressOperator
from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator, SendPushBatchOperator
from airflow_provider_messaging.operators.messangi import SendMessageOperator, UpsertSubscribersOperator
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.sandbox.process import Sandbox
from tests.contexts import StateStore, TaskInstance, fresh_tokens, task_context

__all__ = ["fresh_tokens"]

ROW = {"to": "user1@example.com", "from": "shop@example.com", "subject": "Hello", "text": "Hello"}

Try = Callable[..., dict[str, str]]


@pytest.fixture
def tried(marigold_conn: str, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Runs a try of a send and returns the links that it leaves."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/")

    def run(*, ti: TaskInstance | None = None, store: StateStore | None = None, **arguments: Any) -> dict[str, str]:
        operator = SendEmailBatchOperator(task_id="send", **{"messages": [ROW], **arguments})
        ti = ti or TaskInstance()
        with suppress(AirflowFailException, errors.MessagingError):
            operator.execute(task_context(ti, store=store, task=operator))
        found: dict[str, str] = ti.xcoms.get(links.XCOM_KEY, {})
        return found

    return run


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://lake/a/b c.ndjson", "https://console.aws.amazon.com/s3/object/lake?prefix=a%2Fb+c.ndjson"),
        ("s3a://conn@lake/a#1?.ndjson", "https://console.aws.amazon.com/s3/object/lake?prefix=a%231%3F.ndjson"),
        ("gs://lake/a/b.ndjson", "https://console.cloud.google.com/storage/browser/_details/lake/a/b.ndjson"),
        ("gcs://conn@lake/ä.ndjson", "https://console.cloud.google.com/storage/browser/_details/lake/%C3%A4.ndjson"),
        ("abfs://box@account.dfs.core.windows.net/a/b.txt", "https://account.blob.core.windows.net/box/a/b.txt"),
        ("abfs://conn@box/a/b.txt", ""),
        ("s3://lake", ""),
        ("file:///tmp/a.ndjson", ""),
        ("/tmp/a.ndjson", ""),
        ("memory://a/b.ndjson", ""),
    ],
)
def test_a_file_on_object_storage_is_shown_by_its_console(path: str, url: str) -> None:
    assert links.storage_url(path) == url


def test_a_send_links_to_its_files_and_the_vendor(tried: Try, tmp_path: Path) -> None:
    found = tried(manifest_path=str(tmp_path / "manifest"), rejects_path=str(tmp_path / "rejects"))
    page = "https://airflow.example.com/dags/mailing/runs/manual__1/tasks/send/rendered_templates"
    assert found == {"manifest": page, "rejects": page, "vendor": "https://meetmarigold.com/"}


def test_a_mapped_task_links_to_its_own_page(tried: Try, tmp_path: Path) -> None:
    found = tried(ti=TaskInstance(map_index=2), rejects_path=str(tmp_path / "rejects"))
    assert found["rejects"].endswith("/tasks/send/mapped/2/rendered_templates")


def test_there_is_no_link_to_a_manifest_that_is_not_written(tried: Try, tmp_path: Path) -> None:
    assert "manifest" not in tried(manifest_path=str(tmp_path / "manifest"), dry_run=True)


def test_rejected_rows_lead_to_the_catalogue(tried: Try, tmp_path: Path) -> None:
    found = tried(messages=[{**ROW, "to": "nobody"}], rejects_path=str(tmp_path / "rejects"))
    assert found["runbook"] == documentation("errors", "validationerror")
    assert set(found) == {"rejects", "runbook", "vendor"}


def test_an_ambiguous_send_leads_to_the_catalogue(tried: Try, sandbox: Sandbox) -> None:
    sandbox.faults([{"operation": "send_email", "fault": "drop", "when": "after"}])
    assert tried(on_ambiguous="fail")["runbook"] == documentation("errors", "ambiguousdeliveryerror")


def test_a_changed_input_leads_to_the_catalogue(tried: Try, sandbox: Sandbox) -> None:
    store = StateStore()
    sandbox.faults([{"operation": "send_email", "fault": "status", "status": 429, "retry_after": 3600}])
    tried(store=store)
    sandbox.clear_faults()
    found = tried(store=store, ti=TaskInstance(try_number=2), messages=[{**ROW, "subject": "Other"}])
    assert found["runbook"] == documentation("errors", "changedinputerror")


def test_errors_of_others_are_not_in_the_catalogue(marigold_conn: str) -> None:
    ti = TaskInstance()
    with pytest.raises(KeyError), links.links_of(task_context(ti), "marigold"):
        raise KeyError("amount")
    assert set(ti.xcoms[links.XCOM_KEY]) == {"vendor"}


def test_a_send_does_not_fail_for_want_of_xcom(tried: Try, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise ConnectionError("the API server is away")

    tried(ti=Broken())
    assert sandbox.counts()["total"] == 1
    assert "has no links" in caplog.text


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        (links.ManifestLink(), "manifest"),
        (links.RejectsLink(), "rejects"),
        (links.RunbookLink(), "runbook"),
        (links.VendorLink(), "vendor"),
    ],
)
def test_a_link_is_what_the_task_has_pushed_and_empty_otherwise(
    link: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: Any = {"manifest": "m", "rejects": "r", "runbook": "b", "vendor": "v"}
    ti, asked = TaskInstance(), []

    def get_value(*, key: str, ti_key: Any) -> Any:
        asked.append((key, ti_key))
        return pushed

    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom.get_value", get_value)
    assert link.get_link(None, ti_key=ti) == pushed[kind]
    pushed = None
    assert link.get_link(None, ti_key=ti) == ""
    assert asked == [(links.XCOM_KEY, ti)] * 2


@pytest.mark.parametrize(
    "operator",
    [
        SendEmailBatchOperator,
        SendPushBatchOperator,
        BlacklistAddressOperator,
        VerifyAddressOperator,
        SendMessageOperator,
        UpsertSubscribersOperator,
        EnqueueFeedbackOperator,
    ],
)
def test_every_sending_operator_has_the_links(operator: Any) -> None:
    assert [link.name for link in operator.operator_extra_links] == ["Manifest", "Rejects", "What to do", "Vendor"]


def test_airflow_knows_the_links_by_their_names() -> None:
    named = {f"{type(link).__module__}.{type(link).__name__}" for link in links.SEND_LINKS}
    assert set(get_provider_info()["extra-links"]) == named


def test_the_error_is_found_behind_airflows_own_exception() -> None:
    failed = AirflowFailException("no retry")
    failed.__cause__ = ChangedInputError("another input")
    assert links.runbook_of(failed) == documentation("errors", "changedinputerror")
    assert links.runbook_of(ValueError()) == links.runbook_of(None) == ""


def test_documentation_is_linked_by_page_and_section() -> None:
    assert documentation("errors", "a").endswith("/docs/errors.md#a")
    assert documentation("errors").endswith("/docs/errors.md")
