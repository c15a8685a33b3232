"""Operators of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.operators._archive import DeleteProfileArchiveOperator, ExportArchiveOperator
from airflow_provider_messaging.operators._email import make_composer
from airflow_provider_messaging.operators._send import BatchSendOperator
from airflow_provider_messaging.operators._statistics import GetStatisticsOperator

if TYPE_CHECKING:
    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.hooks._base import Client

__all__ = [
    "DeleteProfileArchiveOperator",
    "ExportArchiveOperator",
    "GetStatisticsOperator",
    "SendEmailBatchOperator",
    "SendPushBatchOperator",
]


class _MarigoldSendOperator(BatchSendOperator):
    """What e-mail and push have in common: the connection."""

    template_fields: Sequence[str] = (*BatchSendOperator.template_fields, "marigold_conn_id")

    def __init__(self, *, marigold_conn_id: str = MarigoldHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.marigold_conn_id = marigold_conn_id

    def make_hook(self) -> MarigoldHook:
        return MarigoldHook(self.marigold_conn_id)


class SendEmailBatchOperator(_MarigoldSendOperator):
    """Sends e-mails through Marigold Engage Delivery Cloud, each exactly once.

    A row is the vendor's JSON or its short form: ``to``, ``from``, ``reply`` (an address or ``Name <address>``),
    ``subject``, ``html``, ``text``, ``attachments``, ``profile``, ``tags``, ``metadata``, ``reference`` and more. A row
    without a reference gets one that is the same at every retry and another after a Clear. An attachment with a
    ``path`` is read when its row is packed. For the other parameters see `BatchSendOperator`.

    With templates a row needs no more than ``to`` and the templates' variables. They are Jinja, rendered for each row
    in a sandbox; a variable that is missing makes the row a reject. Airflow must not render them, once for the task and
    with its own variables, so ``subject``, ``html`` and ``text`` are no template fields; the paths and `defaults` are.

    Returns ``{"messages", "accepted", "rejected", "ambiguous", "reconciled", "resumed", "requests", "manifest_path",
    "rejects_path"}``, where ``accepted + rejected + ambiguous == messages``.

    See ``docs/messages.md``.

    :param subject: a template of the subject, for rows without one.
    :param html: a template of the HTML body; variables are escaped.
    :param text: a template of the text body.
    :param subject_path: a file on any object storage with that template, instead of `subject`.
    :param html_path: the same for `html`.
    :param text_path: the same for `text`.
    :param defaults: fields of the short form, and variables, for every row that has none of its own.
    :param attachments_path: the folder in which the paths of attachments start, and which none may leave. Without it,
        rows may name files on object storage, and no local ones.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = (
        *_MarigoldSendOperator.template_fields,
        "subject_path",
        "html_path",
        "text_path",
        "defaults",
        "attachments_path",
    )

    def __init__(
        self,
        *,
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
        subject_path: str | None = None,
        html_path: str | None = None,
        text_path: str | None = None,
        defaults: dict[str, Any] | None = None,
        attachments_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.subject = subject
        self.html = html
        self.text = text
        self.subject_path = subject_path
        self.html_path = html_path
        self.text_path = text_path
        self.defaults = defaults
        self.attachments_path = attachments_path

    def make_channel(self, hook: MarigoldHook, client: Client) -> Channel:
        composer = make_composer(
            inline={"subject": self.subject, "html": self.html, "text": self.text},
            paths={"subject": self.subject_path, "html": self.html_path, "text": self.text_path},
            defaults=self.defaults,
            attachments_path=self.attachments_path,
        )
        return hook.email_channel(client, composer=composer)


class SendPushBatchOperator(_MarigoldSendOperator):
    """Sends mobile push messages through Marigold Engage Delivery Cloud, each exactly once.

    A row is the vendor's JSON: ``token``, ``title`` and ``body`` unless the push is silent, ``context``, ``reference``;
    keys that the vendor's page does not name are passed on. Parameters and result are those of
    `SendEmailBatchOperator`; the recipient in the manifest is the device token.

    See ``docs/messages.md``.
    """

    def make_channel(self, hook: MarigoldHook, client: Client) -> Channel:
        return hook.push_channel(client)
