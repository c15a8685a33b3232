"""Alerts through Messangi: an SMS when a DAG or task fails, or a deadline passes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from airflow.providers.common.compat.notifier import BaseNotifier

from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, MessagingError
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.messages import Accepted
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.notifications._alert import Alert
from airflow_provider_messaging.notifications._common import Quick, recipients

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.hooks._base import Client

LONGEST_SMS = 160
"""Characters that fit into one SMS; the default text is cut there."""
_LONGEST_NAME = 48


class MessangiNotifier(BaseNotifier):
    """Sends an SMS, or another message, about what happened to a task, a DAG run or a deadline.

    As ``on_failure_callback`` and the like of tasks and DAGs, and in deadline alerts, synchronous or asynchronous::

        DAG("campaign", on_failure_callback=MessangiNotifier(to="+49 151 23456789"))
        DeadlineAlert(..., callback=AsyncCallback(MessangiNotifier, {"to": "+49 151 23456789"}))

    Each recipient is tried; what goes wrong is logged and raised at the end. Nothing is sent again where nobody can say
    whether it was taken.

    See ``docs/messangi.md``.

    :param to: a recipient, or several, as a list or with commas between them.
    :param text: the message, a template; by default what happened, to which task, DAG and run, at which try, in at most
        160 characters.
    :param channel: ``sms``, ``whatsapp``, ``email`` or ``notification``.
    :param subject: of an e-mail; by default as the default text.
    :param sender: who it comes from; by default the connection's extra ``sender``, except for e-mail.
    :param default_region: the country (``DE``) of phone numbers without a country code; by default the connection's.
    :param messangi_conn_id: a connection of type ``messangi``.
    """

    template_fields: Sequence[str] = ("to", "text", "subject", "sender", "messangi_conn_id")

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        text: str | None = None,
        channel: Literal["sms", "email", "whatsapp", "notification"] = "sms",
        subject: str | None = None,
        sender: str | None = None,
        default_region: str | None = None,
        messangi_conn_id: str = MessangiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.text = text
        self.channel = channel
        self.subject = subject
        self.sender = sender
        self.default_region = default_region
        self.messangi_conn_id = messangi_conn_id

    def notify(self, context: Context) -> None:
        """Send the message to every recipient.

        :raises MessagingError: if one was not reached.
        """
        failed: list[MessagingError] = []
        with self._hook() as hook:
            for flow in self._flows(hook, hook.client, context):
                try:
                    hook.run(flow)
                except MessagingError as error:
                    failed.append(error)
        self._conclude(failed)

    async def async_notify(self, context: Context) -> None:
        """The same on an event loop."""
        failed: list[MessagingError] = []
        hook = self._hook()
        client = await hook.aclient()
        # Beside the loop: the tables of phone numbers are large.
        flows = await asyncio.to_thread(self._flows, hook, client, context)
        async with hook.async_transport(client) as runner:
            for flow in flows:
                try:
                    await runner.run(flow)
                except MessagingError as error:
                    failed.append(error)
        self._conclude(failed)

    def _hook(self) -> MessangiHook:
        return _QuickHook(self.messangi_conn_id)

    def _flows(self, hook: MessangiHook, client: Client, context: Mapping[str, Any]) -> list[Flow[Accepted]]:
        """Return the sending of each message."""
        channel = hook.message_channel(client, self.channel, sender=self.sender, default_region=self.default_region)
        message = {"text": self.text if self.text is not None else describe(context)}
        if self.channel == "email":
            message["subject"] = self.subject or describe(context)

        def send(recipient: str) -> Flow[Accepted]:
            judged = channel.judged([{"to": recipient, **message}], reference_of=lambda _: uuid4().hex)
            return (yield from channel.send_or_raise(judged))

        return [send(recipient) for recipient in self._recipients()]

    def _recipients(self) -> list[str]:
        return recipients(self.to, vendor=MessangiHook.conn_type)

    def _conclude(self, failed: Sequence[MessagingError]) -> None:
        total = len(self._recipients())
        for error in failed:
            what = "may or may not have been sent" if isinstance(error, AmbiguousDeliveryError) else "was not sent"
            self.log.error("The alert by %s %s to one of %d recipients: %s", self.channel, what, total, error)
        if failed:
            raise failed[0]
        self.log.info("The alert by %s was accepted for %d recipients", self.channel, total)


class _QuickHook(Quick, MessangiHook):
    pass


def describe(context: Mapping[str, Any]) -> str:
    """Return what happened, as far as a callback's context tells, short enough for one SMS."""
    alert = Alert.of(context)
    dag = _short(alert.dag_id)
    if alert.task_id:
        mapped = f" #{alert.map_index}" if alert.map_index >= 0 else ""
        name, tried = f"task {dag}.{_short(alert.task_id)}{mapped}", f", try {alert.try_number}"
    else:
        name, tried = f"DAG {dag}", ""
    text = f"Airflow: {name} {alert.what}{tried}" + (f", run {alert.run_id}" if alert.run_id else "")
    return text if len(text) <= LONGEST_SMS else text[: LONGEST_SMS - 2] + ".."


def _short(name: str) -> str:
    text = name or "?"
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 2] + ".."
