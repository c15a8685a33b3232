"""The hook's single calls to the archive."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from airflow_provider_messaging.core.errors import ConfigurationError, ValidationError, VendorError
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sandbox.process import Sandbox
from airflow_provider_messaging.vendors.marigold.archive import TooLargeError
from tests.archive.conftest import attachment, row

PROFILE = "LIST/1 ä"


@pytest.fixture(autouse=True)
def sent(hook: MarigoldHook) -> None:
    hook.send_email([row("m-1", PROFILE, attachments=[attachment("../a b.txt")])])


def test_metadata_come_with_tracking_if_asked_for(hook: MarigoldHook) -> None:
    plain, tracked = (hook.get_archived_message(PROFILE, "m-1", tracking=wanted) for wanted in (False, True))
    assert plain is not None
    assert tracked is not None
    assert "tracking" not in plain
    assert {**plain, "tracking": tracked["tracking"]} == tracked
    assert hook.get_archived_message(PROFILE, "m-2") is None


def test_ids_are_percent_encoded_segments(hook: MarigoldHook, sandbox: Sandbox) -> None:
    hook.download_attachment(PROFILE, "m-1", "../a b.txt")
    (request,) = sandbox.requests(operation="archive_attachment")
    assert request["path"].endswith("/archive/v1/LIST%2F1%20%C3%A4/m-1/download/..%2Fa%20b.txt")


def test_a_download_is_bytes_a_file_or_a_stream(hook: MarigoldHook, tmp_path: Path) -> None:
    whole = hook.download_message(PROFILE, "m-1")
    assert (whole.size, whole.media_type) == (len(whole.content), "application/octet-stream")
    assert b"Subject: Hi" in whole.content
    for target in (tmp_path / "a" / "m.eml", str(tmp_path / "b.eml"), f"file://{tmp_path}/c.eml"):
        document = hook.download_message(PROFILE, "m-1", target)
        assert (document.size, document.content) == (whole.size, b"")
        assert Path(str(target).removeprefix("file://")).read_bytes() == whole.content
    stream = io.BytesIO()
    hook.download_message(PROFILE, "m-1", stream)
    assert stream.getvalue() == whole.content


@pytest.mark.parametrize("to_file", [True, False])
def test_the_size_is_capped(hook: MarigoldHook, tmp_path: Path, to_file: bool) -> None:
    target = tmp_path / "a.txt" if to_file else None
    with pytest.raises(TooLargeError, match="more than 4 bytes") as caught:
        hook.download_attachment(PROFILE, "m-1", "../a b.txt", target, max_bytes=4)
    assert not caught.value.retryable
    assert hook.download_attachment(PROFILE, "m-1", "../a b.txt", target, max_bytes=5).size == 5


def test_previews_are_html_or_pdf(hook: MarigoldHook) -> None:
    html, pdf = hook.preview_message(PROFILE, "m-1"), hook.preview_message(PROFILE, "m-1", as_="pdf")
    assert (html.media_type, html.content) == ("text/html", b"<p>Hello</p>")
    assert (pdf.media_type, pdf.content[:4]) == ("application/pdf", b"%PDF")
    with pytest.raises(ConfigurationError, match="html, pdf"):
        hook.preview_message(PROFILE, "m-1", as_="docx")  # type: ignore[arg-type]


def test_what_is_not_there_is_an_error_that_names_the_path_to_change(hook: MarigoldHook) -> None:
    with pytest.raises(VendorError, match="extra 'endpoints' → 'archive_download'"):
        hook.download_message(PROFILE, "m-2")


def test_a_message_is_deleted_at_once(hook: MarigoldHook) -> None:
    assert hook.delete_archived_message(PROFILE, "m-1") is True
    assert hook.delete_archived_message(PROFILE, "m-1") is False
    assert hook.get_archived_message(PROFILE, "m-1") is None


def test_a_profile_is_deleted_some_time_later(hook: MarigoldHook, sandbox: Sandbox) -> None:
    sandbox.settings(archive_delete_delay=60)
    hook.delete_profile_archive(PROFILE)
    assert len(list(hook.list_archive(PROFILE))) == 1
    sandbox.settings(archive_delete_delay=0)
    hook.delete_profile_archive(PROFILE)
    assert not list(hook.list_archive(PROFILE))


@pytest.mark.parametrize("segment", ["..", ".", ""])
def test_a_segment_that_would_lead_elsewhere_is_refused(hook: MarigoldHook, sandbox: Sandbox, segment: str) -> None:
    before = len(sandbox.requests())
    for call in (
        lambda: hook.get_archived_message(segment, "m-1"),
        lambda: hook.delete_archived_message(PROFILE, segment),
        lambda: hook.delete_profile_archive(segment),
        lambda: hook.download_attachment(PROFILE, "m-1", segment),
    ):
        with pytest.raises(ValidationError, match="must not be"):
            call()
    assert len(sandbox.requests()) == before
