"""Sending and creating campaigns, and adding to the Asset Library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.operators._delivery import DeliveryOperator
from airflow_provider_messaging.vendors.engageone.assets import FILE_FIELD
from airflow_provider_messaging.vendors.engageone.campaigns import (
    CHUNK_SIZE,
    MAX_BYTES,
    WITHOUT_SEND_ID,
    Campaign,
    campaign_channel,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.delivery.options import LedgerStore
    from airflow_provider_messaging.delivery.report import Report
    from airflow_provider_messaging.hooks._base import Client

MOST_ASKED = 100
"""Sends of earlier tries that a retry asks about, at most."""


class SendCampaignOperator(DeliveryOperator):
    """Sends a transactional campaign to the records of a dataset, each record once.

    The records go out in requests of at most `chunk_size` records and `max_bytes` bytes; the vendor answers each with
    a ``send_id``, which the ledger and the manifest keep. A retry sends no such request again: it asks for the status
    of those sends and goes on with the others. A request whose answer was lost can't be looked up, so its records are
    ambiguous: they are reported and never sent again.

    A record without a valid address at `email_json_path` is a reject. A record's own ``reference`` is its name in the
    manifest; it is sent with the other members. For the other parameters see `DeliveryOperator`.

    Returns ``{"records", "accepted", "rejected", "ambiguous", "resumed", "requests", "send_ids", "manifest_path",
    "rejects_path"}``, where ``accepted + rejected + ambiguous == records``; ``send_ids`` has those of earlier tries
    first.

    See ``docs/engageone.md``.

    :param campaign: the campaign's name.
    :param dataset: records, as a list or from XCom.
    :param dataset_path: NDJSON of records on any object storage (``.gz`` is unpacked), instead of `dataset`.
    :param communication: the communication's name.
    :param email_json_path: where a record has the recipient's address: ``customer_email``, ``$.customer.email``.
    :param sender: the address that the mail comes from.
    :param sender_name: the name beside it.
    :param reply_to: the address that replies go to.
    :param subject: of the mail.
    :param project: the project that the communication belongs to.
    :param ignore_missing_fields: send even if a record lacks a field of the communication.
    :param version: of the vendor's operation: ``v2`` or ``v1``.
    :param chunk_size: records a request; the vendor publishes no limit.
    :param max_bytes: bytes a request; the same.
    :param on_ambiguous: ``fail`` fails the task at its end if anything is ambiguous; ``continue`` lets it succeed, and
        the result and the manifest tell.
    :param engageone_conn_id: a connection of type ``engageone``.
    """

    rows_field = "dataset"
    template_fields: Sequence[str] = (
        "campaign",
        "dataset",
        "dataset_path",
        "communication",
        "email_json_path",
        "sender",
        "sender_name",
        "reply_to",
        "subject",
        "project",
        *DeliveryOperator.template_fields,
        "engageone_conn_id",
    )

    def __init__(
        self,
        *,
        campaign: str,
        communication: str,
        email_json_path: str,
        dataset: Sequence[Any] | None = None,
        dataset_path: str | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        reply_to: str | None = None,
        subject: str | None = None,
        project: str | None = None,
        ignore_missing_fields: bool | None = None,
        version: Literal["v2", "v1"] = "v2",
        chunk_size: int = CHUNK_SIZE,
        max_bytes: int = MAX_BYTES,
        on_ambiguous: Literal["fail", "continue"] = "fail",
        engageone_conn_id: str = EngageOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(on_ambiguous=on_ambiguous, **kwargs)
        self.campaign = campaign
        self.dataset = dataset
        self.dataset_path = dataset_path
        self.communication = communication
        self.email_json_path = email_json_path
        self.sender = sender
        self.sender_name = sender_name
        self.reply_to = reply_to
        self.subject = subject
        self.project = project
        self.ignore_missing_fields = ignore_missing_fields
        self.version = version
        self.chunk_size = chunk_size
        self.max_bytes = max_bytes
        self.engageone_conn_id = engageone_conn_id

    def make_hook(self) -> EngageOneHook:
        return EngageOneHook(self.engageone_conn_id)

    def make_channel(self, hook: EngageOneHook, client: Client) -> Channel:
        campaign = Campaign(
            campaign=self.campaign,
            communication=self.communication,
            email_json_path=self.email_json_path,
            sender=self.sender,
            sender_name=self.sender_name,
            reply_to=self.reply_to,
            subject=self.subject,
            project=self.project,
            ignore_missing_fields=self.ignore_missing_fields,
        )
        return campaign_channel(
            client.api, campaign, version=self.version, chunk_size=self.chunk_size, max_bytes=self.max_bytes
        )

    def open_ledger(self, context: Context) -> tuple[LedgerStore, bool, datetime | None]:
        store, assume_sent, not_before = super().open_ledger(context)
        document = store.load()
        if document is not None and document["receipts"]:
            self._tell_earlier([send_id for _, send_id in document["receipts"]])
        return store, assume_sent, not_before

    def summary(self, report: Report) -> dict[str, Any]:
        if report.outcomes[WITHOUT_SEND_ID]:
            self.log.warning(
                "The vendor accepted %d records without a send_id: nobody can ask how those sends go.",
                report.outcomes[WITHOUT_SEND_ID],
            )
        return {
            "records": report.messages,
            "accepted": report.accepted,
            "rejected": report.rejected,
            "ambiguous": report.ambiguous,
            "resumed": report.resumed,
            "requests": report.requests,
            "send_ids": list(report.receipts),
        }

    def _tell_earlier(self, send_ids: Sequence[str]) -> None:
        """Log what became of the sends of earlier tries. That nobody can be asked is no reason to fail."""
        states: Counter[str] = Counter()
        with self.make_hook() as hook:
            for send_id in send_ids[:MOST_ASKED]:
                try:
                    states[str(hook.get_send_status(send_id).get("status", "unknown"))] += 1
                except MessagingError as error:
                    self.log.warning("The status of send %s can't be read: %s", send_id, error)
                    break
        told = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "status unknown"
        self.log.info("%d sends of earlier tries are not repeated: %s", len(send_ids), told)


class CreateCampaignOperator(BaseOperator):
    """Creates a campaign and returns the vendor's answer.

    Where nobody can say whether it was created, the task fails and is not retried: a repeat could create a second one.

    See ``docs/engageone.md``.

    :param campaign: the request's body; its members are not published, so it is passed on as it is.
    :param engageone_conn_id: a connection of type ``engageone``.
    """

    template_fields: Sequence[str] = ("campaign", "engageone_conn_id")

    def __init__(
        self,
        *,
        campaign: Mapping[str, Any],
        engageone_conn_id: str = EngageOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign = campaign
        self.engageone_conn_id = engageone_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Create it.

        :raises AirflowFailException: where a retry is of no use, or might do harm.
        """
        with no_retry_where_useless():
            campaign: Any = self.campaign
            if not isinstance(campaign, Mapping) or not campaign:
                raise ConfigurationError("campaign must be a mapping that is not empty", setting="campaign")
            with EngageOneHook(self.engageone_conn_id) as hook:
                answer = hook.create_campaign(campaign)
        self.log.info("The campaign was created.")
        return answer


class UploadAssetOperator(BaseOperator):
    """Adds a file to the Asset Library and returns the vendor's answer. The file is read while it is sent.

    Where nobody can say whether it was added, the task fails and is not retried: a repeat could add a second one.

    See ``docs/engageone.md``.

    :param path: a file, local or on any object storage.
    :param name: the asset's name; by default the last part of the path.
    :param content_type: by default what the name suggests.
    :param fields: further fields of the form.
    :param file_field: the name of the form's field that holds the file, which the vendor does not publish.
    :param engageone_conn_id: a connection of type ``engageone``.
    """

    template_fields: Sequence[str] = ("path", "name", "content_type", "fields", "engageone_conn_id")

    def __init__(
        self,
        *,
        path: str,
        name: str | None = None,
        content_type: str | None = None,
        fields: Mapping[str, str] | None = None,
        file_field: str = FILE_FIELD,
        engageone_conn_id: str = EngageOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.name = name
        self.content_type = content_type
        self.fields = fields
        self.file_field = file_field
        self.engageone_conn_id = engageone_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Add it.

        :raises AirflowFailException: where a retry is of no use, or might do harm.
        """
        with no_retry_where_useless(), EngageOneHook(self.engageone_conn_id) as hook:
            answer = hook.upload_asset(
                self.path,
                name=self.name,
                content_type=self.content_type,
                fields=self.fields,
                file_field=self.file_field,
            )
        self.log.info("%s was added to the Asset Library.", self.path)
        return answer
