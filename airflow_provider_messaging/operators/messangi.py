"""Operators of Messangi Digital Engagement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.operators._api import ApiOperator
from airflow_provider_messaging.operators._delivery import DeliveryOperator
from airflow_provider_messaging.operators._send import BatchSendOperator
from airflow_provider_messaging.operators._subscribers import DeleteSubscribersOperator, UpsertSubscribersOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.delivery.report import Report
    from airflow_provider_messaging.hooks._base import Client

__all__ = [
    "CreateWalletTemplateOperator",
    "DeleteSubscribersOperator",
    "MessangiApiOperator",
    "SendMessageOperator",
    "UpsertSubscribersOperator",
]

_ONE = ("text", "subject", "reference")


class SendMessageOperator(BatchSendOperator):
    """Sends messages through Messangi, one or many: SMS, e-mail, WhatsApp, notifications.

    One message, or one text to several recipients, by `to` and `text`; many by `messages` or `messages_path`. A row is
    the vendor's JSON or its short form: ``to``, ``from``, ``text``, ``subject`` (e-mail), ``reference``; ``profile``
    and ``tags`` are for the manifest, other names are passed on. Phone numbers may be written in any usual way. For the
    other parameters see `BatchSendOperator`.

    The vendor publishes no look-up: a message that may or may not have been taken is reported as ambiguous and never
    repeated. Only for accounts where SMS can be looked up by our own reference, and whose connection says so (extra
    ``lookup_by_reference``), such SMS are looked up, and sent again if they were not taken.

    Returns ``{"messages", "accepted", "rejected", "ambiguous", "reconciled", "resumed", "requests", "manifest_path",
    "rejects_path"}``, where ``accepted + rejected + ambiguous == messages``. The manifest has the vendor's
    ``message_id`` of those that this try sent.

    See ``docs/messangi.md``.

    :param channel: ``sms``, ``email``, ``whatsapp`` or ``notification``.
    :param to: a recipient, or several.
    :param text: the text for `to`.
    :param subject: the subject for `to`.
    :param reference: our name of the message, where `to` is one recipient. By default one is made, which is the same
        at every retry and another after a Clear.
    :param sender: the ``from`` of rows without one. By default the connection's extra ``sender``, except for e-mail.
    :param default_region: the country (``BR``) of phone numbers without a country code; by default the connection's.
        Without it, digits alone are taken to begin with the country code.
    :param messangi_conn_id: a connection of type ``messangi``.
    """

    template_fields: Sequence[str] = (
        *BatchSendOperator.template_fields,
        "to",
        "text",
        "subject",
        "reference",
        "sender",
        "default_region",
        "messangi_conn_id",
    )

    def __init__(
        self,
        *,
        channel: Literal["sms", "email", "whatsapp", "notification"] = "sms",
        to: str | Sequence[str] | None = None,
        text: str | None = None,
        subject: str | None = None,
        reference: str | None = None,
        sender: str | None = None,
        default_region: str | None = None,
        messangi_conn_id: str = MessangiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channel = channel
        self.to = to
        self.text = text
        self.subject = subject
        self.reference = reference
        self.sender = sender
        self.default_region = default_region
        self.messangi_conn_id = messangi_conn_id

    def make_hook(self) -> MessangiHook:
        return MessangiHook(self.messangi_conn_id)

    def make_channel(self, hook: MessangiHook, client: Client) -> Channel:
        return hook.message_channel(client, self.channel, sender=self.sender, default_region=self.default_region)

    def check_arguments(self) -> None:
        self._take_recipients()
        super().check_arguments()

    def _take_recipients(self) -> None:
        """Make rows of `to` and what belongs to it."""
        given = {name: getattr(self, name) for name in _ONE if getattr(self, name) is not None}
        if self.to is None:
            if given:
                raise ConfigurationError(f"{next(iter(given))} is of no use without to", setting="to")
            return
        if self.messages is not None or self.messages_path is not None:
            raise ConfigurationError("give to, or messages, or messages_path", setting="to, messages or messages_path")
        recipients = [self.to] if isinstance(self.to, str) else list(self.to)
        if "reference" in given and len(recipients) != 1:
            raise ConfigurationError("reference names one message, and to names several", setting="reference")
        self.messages = [{"to": recipient, **given} for recipient in recipients]


class CreateWalletTemplateOperator(DeliveryOperator):
    """Creates a wallet template at Messangi, once, and returns ``{"template_id": …}``.

    A retry of a task that was killed does not create another one: it returns the id that the earlier try got, or fails
    where nobody can say whether the vendor took the template.

    See ``docs/messangi.md``.

    :param template: ``name``, ``type``, ``description``, ``organization`` and more, as the vendor documents them.
    :param messangi_conn_id: a connection of type ``messangi``.
    """

    rows_field = "templates"
    template_fields: Sequence[str] = ("template", "messangi_conn_id")

    def __init__(
        self,
        *,
        template: Mapping[str, Any] | str,
        messangi_conn_id: str = MessangiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template = template
        self.messangi_conn_id = messangi_conn_id
        self.templates: list[Any] | None = None
        self.templates_path = None

    def make_hook(self) -> MessangiHook:
        return MessangiHook(self.messangi_conn_id)

    def make_channel(self, hook: MessangiHook, client: Client) -> Channel:
        return hook.wallet_channel(client)

    def check_arguments(self) -> None:
        template: Any = self.template
        if isinstance(template, str):
            try:
                template = json.loads(template)
            except ValueError:
                template = None
        if not isinstance(template, Mapping):
            raise ConfigurationError("template must be a JSON object", setting="template")
        self.templates = [dict(template)]
        super().check_arguments()

    def summary(self, report: Report) -> dict[str, Any]:
        return {"template_id": report.receipts[0] if report.receipts else None}

    def execute(self, context: Context) -> dict[str, Any]:
        return {"template_id": super().execute(context)["template_id"]}


class MessangiApiOperator(ApiOperator):
    """Sends any request to Messangi, below the connection's host: what the other operators do not cover.

    For the other parameters see `ApiOperator`.

    See ``docs/messangi.md``.

    :param messangi_conn_id: a connection of type ``messangi``.
    """

    template_fields: Sequence[str] = (*ApiOperator.template_fields, "messangi_conn_id")

    def __init__(self, *, messangi_conn_id: str = MessangiHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.messangi_conn_id = messangi_conn_id

    def make_hook(self) -> MessangiHook:
        return MessangiHook(self.messangi_conn_id)
