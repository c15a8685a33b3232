"""EngageOne Communicate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Unpack

import msgspec

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._api import RequestParts, send_request
from airflow_provider_messaging.hooks._base import Client, MessagingHook, mask
from airflow_provider_messaging.hooks._uploads import file_part
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.engageone import assets, campaigns, listings, suppression
from airflow_provider_messaging.vendors.engageone.config import EngageOneConfig, eocm_customer_id, service_name
from airflow_provider_messaging.vendors.engageone.endpoints import (
    API,
    GET_CAMPAIGN,
    GET_COMMUNICATION,
    GET_DATA_SOURCE,
    GET_TEMPLATE,
    LIST_CAMPAIGNS,
    LIST_COMMUNICATIONS,
    LIST_DATA_SOURCES,
    LIST_TEMPLATES,
    PRIVATE,
    PUBLIC,
    VENDOR,
)
from airflow_provider_messaging.vendors.engageone.services import EngageOne

__all__ = ["EngageOneHook", "eocm_customer_id"]


class EngageOneHook(MessagingHook):
    """Single calls to EngageOne Communicate.

    See ``docs/engageone.md``.

    :param engageone_conn_id: a connection of type ``engageone``.
    """

    conn_name_attr = "engageone_conn_id"
    default_conn_name = "engageone_default"
    conn_type = VENDOR
    hook_name = "EngageOne Communicate"

    def __init__(self, engageone_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(engageone_conn_id, **kwargs)
        self.engageone_conn_id = engageone_conn_id

    def build_client(self, parts: ConnectionParts) -> Client:
        services = EngageOne.of(EngageOneConfig.read(parts), on_secret=mask, retry=parts.retry())
        options = TransportOptions.from_extra(VENDOR, parts.extra)
        return Client(api=services.api(API), options=options, config=services)

    def get_conn(self) -> Api:
        """Return the API of campaign sending as this connection reaches it; for the others see `service`."""
        return self.client.api

    def service(self, name: str, client: Client | None = None) -> Api:
        """Return one of the vendor's services as this connection reaches it.

        :param name: ``public``, ``private``, ``nlu`` and so on: see `request`.
        :raises ConfigurationError: if there is no such service, or the connection has to give its URL and does not.
        """
        services: EngageOne = (client or self.client).config
        try:
            return services.api(name)
        except MessagingError as error:
            error.connection = self.conn_id
            raise

    def blacklist(self, email: str, category: str | None = None, reason: str | None = None) -> str:
        """Put an address on the unsubscribe list; return ``listed``, or ``already_listed``, which is a success as well.

        For many addresses there is `BlacklistAddressOperator`.

        :param category: of what kind of messages; the vendor's default where it is None.
        :param reason: for instance ``Hard Bounce`` or ``Complaint``.
        :raises ValidationError: if `email` is no address, or the vendor refuses it.
        """
        row = {"email": email, "category": category, "reason": reason}
        return self.run(suppression.apply(self.blacklist_channel(self.client), row)).outcome

    def unblacklist(self, email: str) -> str:
        """Take an address off the unsubscribe list; return ``removed``, or ``not_listed``, which is a success as well.

        :raises ValidationError: if `email` is no address, or the vendor refuses it.
        :raises VendorError: also on a 404 that does not speak of the address, since the path may be wrong; unless the
            connection's extra ``unblacklist_verified`` says that it is right.
        """
        return self.run(suppression.apply(self.unblacklist_channel(self.client), email)).outcome

    def verify(self, email: str) -> dict[str, Any]:
        """Ask the vendor about an address; return ``{"email", "status", "document"}``.

        ``status`` is the vendor's word in lower case, ``document`` its whole answer.

        :raises ValidationError: if `email` is no address, or the vendor refuses it.
        """
        accepted = self.run(suppression.apply(self.verify_channel(self.client), email))
        return {"email": email, **accepted.details}

    def send_campaign(
        self,
        campaign: str,
        dataset: Sequence[Mapping[str, Any]],
        *,
        communication: str,
        email_json_path: str,
        sender: str | None = None,
        sender_name: str | None = None,
        reply_to: str | None = None,
        subject: str | None = None,
        project: str | None = None,
        ignore_missing_fields: bool | None = None,
        version: campaigns.Version = "v2",
    ) -> str:
        """Send a campaign to a few records, in one request, and return its ``send_id``.

        For anything larger, or anything that may be retried, use `SendCampaignOperator`, which never sends twice.

        :param campaign: the campaign's name.
        :param dataset: records; each has the recipient's address at `email_json_path`.
        :param email_json_path: ``customer_email``, ``$.customer.email``.
        :param version: of the vendor's operation.
        :raises ValidationError: if a record has no address, or they are too many for a request; nothing was sent then.
        :raises AmbiguousDeliveryError: if the request may or may not have been taken.
        :raises VendorError: also if the vendor took the request without a ``send_id``; it is not retryable then.
        """
        channel = campaigns.campaign_channel(
            self.service(API),
            campaigns.Campaign(
                campaign=campaign,
                communication=communication,
                email_json_path=email_json_path,
                sender=sender,
                sender_name=sender_name,
                reply_to=reply_to,
                subject=subject,
                project=project,
                ignore_missing_fields=ignore_missing_fields,
            ),
            version=version,
        )
        return self.run(campaigns.send_once(channel, dataset))

    def get_send_status(self, send_id: str) -> dict[str, Any]:
        """Return what the vendor says of a send, as it says it.

        :raises VendorError: with status 404 if the vendor does not know it, or the path is wrong.
        """
        return self.run(campaigns.send_status(self.service(API), send_id))

    def create_campaign(self, campaign: Mapping[str, Any]) -> dict[str, Any]:
        """Create a campaign and return the vendor's answer.

        :param campaign: the request's body; its members are not published, so they are passed on as they are.
        :raises AmbiguousDeliveryError: if it may or may not have been created; it must not be repeated blindly.
        """
        return self.run(campaigns.create_campaign(self.service(PRIVATE), campaign))

    def list_campaigns(self, *, page_size: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the campaigns, as the vendor gives them.

        :param page_size: read in pages of that many, by ``limit`` and ``offset``, which the vendor does not publish;
            None reads the list with one request.
        """
        return self._list(LIST_CAMPAIGNS, page_size)

    def get_campaign(self, campaign_id: str) -> dict[str, Any]:
        """Return one campaign.

        :raises VendorError: with status 404 if there is none, or the path is wrong.
        """
        return self._get(GET_CAMPAIGN, campaign_id)

    def list_communications(self, *, page_size: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the communications; for `page_size` see `list_campaigns`."""
        return self._list(LIST_COMMUNICATIONS, page_size)

    def get_communication(self, communication_id: str) -> dict[str, Any]:
        """Return one communication; errors as of `get_campaign`."""
        return self._get(GET_COMMUNICATION, communication_id)

    def list_templates(self, *, page_size: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the templates; for `page_size` see `list_campaigns`."""
        return self._list(LIST_TEMPLATES, page_size)

    def get_template(self, template_id: str) -> dict[str, Any]:
        """Return one template; errors as of `get_campaign`."""
        return self._get(GET_TEMPLATE, template_id)

    def list_data_sources(self, *, page_size: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the data sources; for `page_size` see `list_campaigns`."""
        return self._list(LIST_DATA_SOURCES, page_size)

    def get_data_source(self, data_source_id: str) -> dict[str, Any]:
        """Return one data source; errors as of `get_campaign`."""
        return self._get(GET_DATA_SOURCE, data_source_id)

    def upload_asset(
        self,
        source: str | bytes,
        *,
        name: str | None = None,
        content_type: str | None = None,
        fields: Mapping[str, str] | None = None,
        file_field: str = assets.FILE_FIELD,
    ) -> dict[str, Any]:
        """Add a file to the Asset Library and return the vendor's answer. The file is read while it is sent.

        :param source: a path, local or on object storage, or the content itself.
        :param name: the asset's name; by default the last part of the path. Needed for content.
        :param content_type: by default what the name suggests.
        :param fields: further fields of the form.
        :param file_field: the name of the form's field that holds the file, which the vendor does not publish.
        :raises ConfigurationError: if there is no such file.
        :raises AmbiguousDeliveryError: if it may or may not have been added; it must not be repeated blindly.
        """
        part = file_part(file_field, source, file_name=name, content_type=content_type, setting="source")
        return self.run(assets.upload_asset(self.service(PRIVATE), part, fields))

    def request(self, service: str, method: str, path: str, **parts: Unpack[RequestParts]) -> Any:
        """Send a request to any of the vendor's services and return its answer, decoded by its content type.

        :param service: ``public``, ``private``, ``api``, ``users``, ``document-channel``, ``chat-channel``,
            ``video-channel``, ``video-delivery``, ``archiving``, ``push-notification``, ``nlu`` or ``transfer``. Those
            from ``document-channel`` on need their URL in the connection's extra ``services``. ``public`` and
            ``video-delivery`` get no credentials.
        :param path: below the service's base URL, starting with a slash.
        :param parts: query, body, files, where the answer goes: see `RequestParts`.
        :raises ConfigurationError: naming the argument or the setting that can't work.
        :raises AmbiguousDeliveryError: if a POST or PATCH may or may not have been taken.
        """
        api = self.service(service)
        services: EngageOne = self.client.config
        return send_request(
            self,
            api,
            method,
            path,
            base_url_setting=services.config.url_setting(service_name(service)),
            reserved_headers={"PB-Customer-Id"},
            **parts,
        )

    def describe_access(self) -> str:
        # One attempt: somebody is waiting in front of the form.
        services: EngageOne = self.client.config
        auth = EngageOne.of(services.config, on_secret=mask, retry=RetryPolicy(max_attempts=1)).auth
        token = self.run(auth.fetch())
        minutes = round((token.expires_at - datetime.now(UTC).timestamp()) / 60)
        return f"Token valid for {minutes} minutes, customer {services.config.customer_id}"

    def blacklist_channel(
        self, client: Client, *, category: str | None = None, reason: str | None = None
    ) -> suppression.BlacklistChannel:
        """Return blacklisting as the delivery engine needs it."""
        return suppression.blacklist_channel(self.service(PUBLIC, client), category=category, reason=reason)

    def unblacklist_channel(self, client: Client) -> suppression.UnblacklistChannel:
        """Return the removal from the blacklist as the delivery engine needs it."""
        verified = client.config.config.unblacklist_verified
        return suppression.unblacklist_channel(self.service(PUBLIC, client), verified=verified)

    def verify_channel(self, client: Client) -> suppression.VerifyChannel:
        """Return verification as the delivery engine needs it."""
        return suppression.verify_channel(self.service(PUBLIC, client))

    def _list(self, endpoint: Endpoint, page_size: int | None) -> Iterator[dict[str, Any]]:
        for item in self.iterate(listings.iter_items(self.service(PRIVATE), endpoint, page_size=page_size)):
            yield msgspec.json.decode(item)

    def _get(self, endpoint: Endpoint, item_id: str) -> dict[str, Any]:
        return self.run(listings.get_item(self.service(PRIVATE), endpoint, item_id))
