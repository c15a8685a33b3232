"""Press'nXPress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.errors import AmbiguousDeliveryError, MessagingError, ValidationError
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.messages import Message
from airflow_provider_messaging.delivery.options import Options
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.hooks._base import Client, MessagingHook, mask
from airflow_provider_messaging.hooks._delivery import DeliveryThread
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks._state import NoLedger
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.pressnxpress import api as calls
from airflow_provider_messaging.vendors.pressnxpress.config import ContentType, PressnxpressConfig
from airflow_provider_messaging.vendors.pressnxpress.endpoints import VENDOR, ChannelName

if TYPE_CHECKING:
    from airflow_provider_messaging.core.templates import Templates

_MOST_REFERENCES = 300
_SHOWN = 5


class PressnxpressHook(MessagingHook):
    """Single calls to Press'nXPress.

    See ``docs/pressnxpress.md``.

    :param pressnxpress_conn_id: a connection of type ``pressnxpress``.
    """

    conn_name_attr = "pressnxpress_conn_id"
    default_conn_name = "pressnxpress_default"
    conn_type = VENDOR
    hook_name = "Press'nXPress"

    def __init__(self, pressnxpress_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(pressnxpress_conn_id, **kwargs)
        self.pressnxpress_conn_id = pressnxpress_conn_id

    def build_client(self, parts: ConnectionParts) -> Client:
        config = PressnxpressConfig.read(parts)
        for secret in config.secrets:
            mask(secret)
            # In a URL it may look different.
            mask(quote(secret, safe=""))
        options = TransportOptions.from_extra(VENDOR, parts.extra)
        return Client(api=calls.pressnxpress_api(config, retry=parts.retry()), options=options, config=config)

    def get_conn(self) -> Api:
        """Return the API as this connection reaches it."""
        return self.client.api

    def channel(
        self,
        client: Client,
        channel: ChannelName = "email",
        *,
        touchpoint: str | None = None,
        content_type: ContentType | None = None,
        default_region: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        identifier: Templates | None = None,
    ) -> calls.EnqueueChannel:
        """Return the sending of feedback requests as the delivery engine needs it; one for each task.

        :raises ConfigurationError: if the connection has no such touchpoint, or an argument makes no sense.
        """
        return calls.enqueue_channel(
            client.api,
            client.config,
            channel,
            touchpoint=touchpoint,
            content_type=content_type,
            default_region=default_region,
            attributes=attributes,
            identifier=identifier,
        )

    def enqueue(self, contact: Mapping[str, Any], channel: ChannelName = "email", **options: Any) -> None:
        """Ask one contact for feedback.

        For many contacts, or anything that may be retried, use `EnqueueFeedbackOperator`, which never asks twice.

        :param contact: ``email`` (channel ``sms``: ``phone``), and what else the touchpoint is to know of it.
        :param channel: ``email`` or ``sms``.
        :param options: ``touchpoint``, ``content_type`` and ``default_region``, as of the operator.
        :raises ValidationError: if the contact breaks a rule; nothing was sent then.
        :raises AmbiguousDeliveryError: if the vendor may or may not have taken it.
        :raises MessagingError: if the vendor did not take it.
        """
        made = self.channel(self.client, channel, **options)
        self.run(made.send_or_raise(made.judged([dict(contact)], reference_of=_name)))

    def enqueue_many(
        self,
        contacts: Sequence[Mapping[str, Any]],
        channel: ChannelName = "email",
        *,
        max_concurrency: int = 4,
        rate_limit: float | None = None,
        **options: Any,
    ) -> dict[str, int]:
        """Ask contacts for feedback, several at the same time, and return the counts: all of them were accepted.

        A contact may have a ``reference``, by which errors name it; it is not sent. Nothing is remembered: a repeat
        asks everybody again, which `EnqueueFeedbackOperator` does not.

        :param max_concurrency: requests in flight.
        :param rate_limit: contacts a second, None for no limit of ours. The vendor's 429 is obeyed in any case.
        :param options: as of `enqueue`.
        :raises ValidationError: if contacts break a rule, nothing was sent then; or if the vendor refused some, and
            took the others.
        :raises AmbiguousDeliveryError: if the vendor may or may not have taken some, which it names.
        :raises MessagingError: if the vendor takes nothing any more; the message says how far it came.
        """
        made = self.channel(self.client, channel, **options)
        rows = [dict(contact) for contact in contacts]
        made.judged(rows, reference_of=_name)
        outputs = _Collected()
        thread = DeliveryThread()
        try:
            report = thread.run(
                transport=partial(self.async_transport, self.client),
                rows=lambda: rows,
                channel=made,
                store=NoLedger(),
                outputs=outputs,
                reference_of=_name,
                options=Options(max_concurrency=limited(max_concurrency), rate_limit=rate_limit, on_ambiguous="fail"),
            )
        except MessagingError as error:
            doubtful = f", perhaps also {', '.join(outputs.ambiguous)}" if outputs.ambiguous else ""
            accepted = f"{thread.report.accepted} of {len(contacts)} were accepted before"
            error.message = f"{error.message} ({accepted}{doubtful})"
            raise
        where: dict[str, Any] = {"vendor": VENDOR, "operation": made.endpoint.name, "connection": self.conn_id}
        if report.ambiguous:
            raise AmbiguousDeliveryError(
                f"{report}. Nobody can say whether the ambiguous ones were taken ({thread.reason}): "
                + ", ".join(outputs.ambiguous),
                references=outputs.ambiguous,
                **where,
            )
        if report.rejected:
            refused = [reject.as_row_error() for reject in outputs.sample]
            shown = "; ".join(str(row) for row in refused[:_SHOWN])
            raise ValidationError(f"{report}. The first: {shown}", rows=refused, **where)
        return report.counts()

    def describe_access(self) -> str:
        status = self.run(calls.reach(self.client.api))
        return (
            f"{self.client.api.base_url} answers (HTTP {status}, asked without the key). The API key and the touchpoint"
            " tokens could not be checked: the vendor has no call for that which would not ask a contact for feedback."
        )


class _Collected(Outputs):
    """Keeps in memory what a task writes into files."""

    def __init__(self) -> None:
        super().__init__(manifest=None, rejects=None, origin={})
        self.ambiguous: list[str] = []

    def settle(self, messages: Sequence[Message], outcome: str, *args: Any, **details: Any) -> None:
        if outcome == "ambiguous" and len(self.ambiguous) < _MOST_REFERENCES:
            self.ambiguous += [message.reference for message in messages]


def _name(row: int) -> str:
    return f"row {row}"
