"""The function behind Airflow's ``[email] email_backend``."""

from __future__ import annotations

import base64
import logging
import mimetypes
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.providers.common.compat.sdk import redact

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, ConfigurationError, ValidationError
from airflow_provider_messaging.hooks._storage import storage_path
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.notifications._common import recipients
from airflow_provider_messaging.notifications._delivery import deliver
from airflow_provider_messaging.notifications._mail import clean, one_line
from airflow_provider_messaging.notifications._marigold import QuickMarigoldHook, sender_of

if TYPE_CHECKING:
    from airflow_provider_messaging.hooks._base import Client

log = logging.getLogger(__name__)

AIRFLOWS_CONN_ID = "smtp_default"
"""What Airflow passes where ``[email] email_conn_id`` is not set."""
LARGEST_FILE = 3_000_000
"""Bytes of a file, which in Base64 fill a request."""
_PRINTED = re.compile(
    r"(?P<before>.{0,80}?)id=UUID\('[^']*'\) task_id='(?P<task_id>[^']*)' dag_id='(?P<dag_id>[^']*)' "
    r"run_id='(?P<run_id>[^']*)' try_number=(?P<try_number>\d+)(?:.*? map_index=(?P<map_index>-?\d+))?"
)
_KNOWN_HEADERS = {"reply-to": "reply", "list-unsubscribe": "list_unsubscribe"}
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table"})


def send_email(
    to: str | Iterable[str],
    subject: str,
    html_content: str,
    files: list[str] | None = None,
    dryrun: bool = False,
    cc: str | Iterable[str] | None = None,
    bcc: str | Iterable[str] | None = None,
    mime_subtype: str = "mixed",
    mime_charset: str = "utf-8",
    conn_id: str | None = None,
    from_email: str | None = None,
    custom_headers: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Send a mail of Airflow's through Marigold Engage Delivery Cloud, as ``airflow.utils.email.send_email`` asks.

    The vendor's messages have one recipient each: everybody in `to`, `cc` and `bcc` gets a message of their own, in
    which nobody else is named. Secrets that Airflow knows are masked.

    :param files: paths, local or on object storage; the vendor takes 4 MB a message, in Base64.
    :param dryrun: check everything, send nothing.
    :param conn_id: a connection of type ``marigold``; Airflow's own default, ``smtp_default``, means
        ``marigold_default``.
    :param from_email: the sender; by default the connection's extra ``sender``.
    :param custom_headers: names start with ``X-``; ``Reply-To`` and ``List-Unsubscribe`` are known as well.
    :raises ConfigurationError: if there is no recipient, sender or file.
    :raises ValidationError: if the mail breaks the vendor's rules, too large ones included; nothing was sent then.
    :raises MessagingError: if the vendor took no message at all. Otherwise what was not, or may not have been, taken is
        logged: Airflow 3.1 sends a mail again when this raises.
    """
    conn_id = MarigoldHook.default_conn_name if conn_id in {None, "", AIRFLOWS_CONN_ID} else conn_id
    with QuickMarigoldHook(conn_id) as hook:
        client = hook.client
        everybody = [one for part in (to, cc, bcc) for one in _listed(part)]
        row = _row(client, subject, html_content, files or [], from_email, custom_headers or {})
        rows = [
            {**row, "to": one, "reference": uuid4().hex} for one in recipients(everybody, vendor=MarigoldHook.conn_type)
        ]
        channel = hook.email_channel(client)
        messages = channel.judged(rows)
        if dryrun:
            log.info("Dry run: %d messages, nothing was sent", len(messages))
            return
        since = datetime.now(UTC) - timedelta(minutes=1)
        outcome = hook.run(deliver(channel, messages, since=since))
    for error in outcome.failed:
        what = "may or may not have been sent" if isinstance(error, AmbiguousDeliveryError) else "was not sent"
        log.error("The mail %s to one of %d recipients: %s", what, len(messages), error)
    # Airflow 3.1 sends a mail again, to everybody, when this raises.
    surely = [error for error in outcome.failed if not isinstance(error, AmbiguousDeliveryError)]
    if len(surely) == len(messages):
        raise surely[0]
    log.info("The mail was accepted for %d of %d recipients", outcome.accepted, len(messages))


def _row(
    client: Client,
    subject: str,
    html: str,
    files: Iterable[str],
    from_email: str | None,
    custom_headers: Mapping[str, Any],
) -> dict[str, Any]:
    def hidden(text: object) -> str:
        return clean(str(text), lambda plain: client.api.redact(str(redact(plain))))

    html = hidden(html)
    row: dict[str, Any] = {
        "from": sender_of(from_email, client),
        "subject": one_line(_readable(hidden(subject))),
        "html": html,
        "text": as_text(html) or None,
    }
    headers = dict(custom_headers)
    for name in list(headers):
        if place := _KNOWN_HEADERS.get(name.lower()):
            row[place] = str(headers.pop(name))
    if headers:
        row["custom_headers"] = {name: str(value) for name, value in headers.items()}
    if attachments := [_attachment(str(path)) for path in files]:
        row["attachments"] = attachments
    return row


def _readable(subject: str) -> str:
    """Return the subject of Airflow's own alerts as people read it: Airflow 3.3 prints the whole task instance."""
    found = _PRINTED.match(subject)
    if found is None:
        return subject
    mapped = f" [{found['map_index']}]" if found["map_index"] not in {None, "-1"} else ""
    task = f"{found['dag_id']}.{found['task_id']}{mapped}"
    return f"{found['before']}{task}, try {found['try_number']}, run {found['run_id']}"


def _attachment(path: str) -> dict[str, str]:
    target = storage_path(path, "files")
    try:
        with target.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ConfigurationError(f"there is no file {path!r}", vendor=MarigoldHook.conn_type, setting="files") from None
    if len(content) > LARGEST_FILE:
        raise ValidationError(
            f"the file {path!r} is larger than {LARGEST_FILE} bytes, and the vendor takes 4 MB a message; nothing was "
            "sent",
            vendor=MarigoldHook.conn_type,
            setting="files",
        )
    return {
        "file_name": target.name,
        "data": base64.b64encode(content).decode(),
        "mime_type": mimetypes.guess_type(target.name)[0] or "application/octet-stream",
    }


def _listed(part: str | Iterable[str] | None) -> list[str]:
    return recipients(part if isinstance(part, str) else list(part or ()), vendor="", required=False)


def as_text(html: str) -> str:
    """Return a mail's HTML as plain text: for programs that show no HTML, and for filters that mistrust its absence."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.parts).splitlines()]
    return "\n".join(line for at, line in enumerate(lines) if line or (at and lines[at - 1])).strip()


class _Text(HTMLParser):
    """Collects texts, with the targets of links behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0
        self._target = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"style", "script", "title"}
        if tag in _BREAKS:
            self.parts.append("\n")
        elif tag == "a":
            self._target = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script", "title"} and self._hidden > 0
        if tag == "a" and self._target:
            self.parts.append(f" ({self._target})")
            self._target = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
