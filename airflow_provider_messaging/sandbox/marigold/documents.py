"""Archived messages as documents: the .eml file, the preview in HTML, a small PDF."""

from __future__ import annotations

import hashlib
import html
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from typing import Any, cast
from urllib.parse import quote

from airflow_provider_messaging.sandbox.marigold.checks import decoded

Message = dict[str, Any]


def eml(message: Message) -> bytes:
    """The message as it was sent."""
    headers, content = message["headers"], message["content"]
    mailboxes = [headers[name] for name in ("from", "to", "reply") if name in headers]
    plain = all(mailbox["address"].isascii() for mailbox in mailboxes)
    mail = EmailMessage(policy=SMTP if plain else SMTPUTF8)
    mail["Subject"] = headers["subject"]
    mail["From"] = _mailbox(headers["from"])
    mail["To"] = _mailbox(headers["to"])
    if "reply" in headers:
        mail["Reply-To"] = _mailbox(headers["reply"])
    if "list_unsubscribe" in headers:
        mail["List-Unsubscribe"] = headers["list_unsubscribe"]
    for header in headers.get("optional", ()):
        mail[header["name"]] = header["value"]
    bodies = [(kind, content[name]) for kind, name in (("plain", "text"), ("html", "html")) if content.get(name)]
    mail.set_content(bodies[0][1], subtype=bodies[0][0])
    if len(bodies) == 2:
        mail.add_alternative(bodies[1][1], subtype="html")
    for attachment in content.get("attachments", ()):
        main, _, sub = attachment["mime_type"].partition("/")
        mail.add_attachment(decoded(attachment["data"]) or b"", maintype=main, subtype=sub)
        part = cast("list[EmailMessage]", mail.get_payload())[-1]
        del part["Content-Disposition"]
        part["Content-Disposition"] = f"attachment; filename*=utf-8''{quote(attachment['file_name'], safe='')}"
    # The same bytes each time; the library would draw a boundary by lot.
    digest = hashlib.sha256(repr(sorted(message.items())).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    for number, part in enumerate(mail.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{digest}_{number}")
    return mail.as_bytes()


def _mailbox(mailbox: dict[str, str]) -> str:
    alias = mailbox.get("alias", "").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{alias}" <{mailbox["address"]}>' if alias else mailbox["address"]


def preview_html(message: Message) -> bytes:
    content = message["content"]
    if content.get("html"):
        document: str = content["html"]
    else:
        text = content.get("text") or f"{content.get('title', '')}\n{content.get('body', '')}"
        document = f"<!doctype html><html><body><pre>{html.escape(text)}</pre></body></html>"
    return document.encode()


def preview_pdf(title: str) -> bytes:
    """One page that shows ``title``."""
    shown = title.encode("latin-1", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    stream = b"BT /F1 14 Tf 40 780 Td (" + shown + b") Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    file = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    file += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    file += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(file)
