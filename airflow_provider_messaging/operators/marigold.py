"""Operators of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.operators._send import BatchSendOperator

if TYPE_CHECKING:
    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.hooks._base import Client


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
    ``subject``, ``html``, ``text``, ``attachments``, ``profile``, ``tags``, ``metadata``, ``reference``. A row without
    a reference gets one that is the same at every retry and another after a Clear. For the other parameters see
    `BatchSendOperator`.

    Returns ``{"messages", "accepted", "rejected", "ambiguous", "reconciled", "resumed", "requests", "manifest_path",
    "rejects_path"}``, where ``accepted + rejected + ambiguous == messages``.

    :param marigold_conn_id: a connection of type ``marigold``.
    """

    def make_channel(self, hook: MarigoldHook, client: Client) -> Channel:
        return hook.email_channel(client)


class SendPushBatchOperator(_MarigoldSendOperator):
    """Sends mobile push messages through Marigold Engage Delivery Cloud, each exactly once.

    A row is the vendor's JSON: ``token``, ``title`` and ``body`` unless the push is silent, ``context``, ``reference``;
    keys that the vendor's page does not name are passed on. Parameters and result are those of
    `SendEmailBatchOperator`; the recipient in the manifest is the device token.
    """

    def make_channel(self, hook: MarigoldHook, client: Client) -> Channel:
        return hook.push_channel(client)
