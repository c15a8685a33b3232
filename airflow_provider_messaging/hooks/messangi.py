"""Messangi Digital Engagement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Unpack
from uuid import uuid4

from airflow_provider_messaging.core.auth import TokenCache
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.phones import known_region
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.hooks._api import RequestParts, send_request
from airflow_provider_messaging.hooks._base import Client, mask, redactor
from airflow_provider_messaging.hooks._subscribers import SubscribersHook
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.messangi import api as calls
from airflow_provider_messaging.vendors.messangi.auth import TWO_FACTOR_HEADER, make_auth
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.endpoints import (
    GET_MESSAGE,
    LIST_LISTS,
    VENDOR,
    ChannelName,
)
from airflow_provider_messaging.vendors.messangi.envelope import as_envelope
from airflow_provider_messaging.vendors.messangi.messages import CHANNELS, MessageChannel, message_channel
from airflow_provider_messaging.vendors.messangi.rows import Defaults
from airflow_provider_messaging.vendors.messangi.wallet import WalletChannel, wallet_channel

_NOBODYS_MESSAGE = "00000000-0000-0000-0000-000000000000"


class MessangiHook(SubscribersHook):
    """Single calls to Messangi Digital Engagement.

    See ``docs/messangi.md``.

    :param messangi_conn_id: a connection of type ``messangi``.
    """

    conn_name_attr = "messangi_conn_id"
    default_conn_name = "messangi_default"
    conn_type = VENDOR
    hook_name = "Messangi Digital Engagement"

    def __init__(self, messangi_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(messangi_conn_id, **kwargs)
        self.messangi_conn_id = messangi_conn_id

    def build_client(self, parts: ConnectionParts) -> Client:
        config = MessangiConfig.read(parts)
        for secret in (config.password, config.api_key, config.two_factor_token):
            mask(secret)
        redact = redactor(parts, "api_key", "two_factor_token")
        api = calls.messangi_api(config, on_secret=mask, redact=redact, retry=parts.retry())
        return Client(api=api, options=TransportOptions.from_extra(VENDOR, parts.extra), config=config)

    def get_conn(self) -> calls.MessangiApi:
        """Return the API as this connection reaches it."""
        api: calls.MessangiApi = self.client.api  # type: ignore[assignment]
        return api

    def message_channel(
        self, client: Client, channel: ChannelName, *, sender: str | None = None, default_region: str | None = None
    ) -> MessageChannel:
        """Return the sending of one kind of message as the delivery engine needs it.

        :raises ConfigurationError: if there is no such channel or country.
        """
        config: MessangiConfig = client.config
        if channel not in CHANNELS:
            raise self._wrong(f"{channel!r} is none of {', '.join(CHANNELS)}", "channel")
        region = default_region or config.default_region
        if region and channel != "email":
            try:
                region = known_region(region)
            except ValueError as error:
                raise self._wrong(str(error), "default_region") from None
        if not sender and channel != "email":
            sender = config.sender
        return message_channel(
            client.api,
            channel,
            defaults=Defaults(sender=sender or "", region=region),
            lookup_by_reference=config.lookup_by_reference,
        )

    def wallet_channel(self, client: Client) -> WalletChannel:
        """Return the creation of wallet templates as the delivery engine needs it."""
        return wallet_channel(client.api)

    def send_message(
        self,
        channel: ChannelName,
        message: Mapping[str, Any],
        *,
        sender: str | None = None,
        default_region: str | None = None,
    ) -> str:
        """Send one message and return the vendor's id of it, empty where it gives none.

        For more than one, or anything that may be retried, use `SendMessageOperator`, which never sends twice.

        :param channel: ``sms``, ``email``, ``whatsapp`` or ``notification``.
        :param message: a row in the vendor's form or the short one: ``to``, ``from``, ``text``, ``subject`` …
        :param sender: the ``from`` of a message without one; by default the connection's extra ``sender``.
        :param default_region: the country of a phone number without country code; by default the connection's.
        :raises ValidationError: if the message breaks a rule, or the vendor rejects it.
        :raises AmbiguousDeliveryError: if it may or may not have been taken.
        """
        made = self.message_channel(self.client, channel, sender=sender, default_region=default_region)
        accepted = self.run(made.send_or_raise(made.judged([dict(message)], reference_of=lambda _: uuid4().hex)))
        return str(accepted.details.get("message_id", ""))

    def get_message(self, message_id: str) -> dict[str, Any] | None:
        """Return what the vendor says of an SMS, None where it does not know it.

        The path is unpublished: a wrong one answers 404 to everything, which looks the same.
        """
        return self.run(calls.get_message(self.client.api, message_id))

    def create_wallet_template(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """Create a wallet template and return it, with its id.

        :param template: ``name``, ``type``, ``description``, ``organization`` and more.
        :raises AmbiguousDeliveryError: if it may or may not have been created.
        """
        return self.run(calls.create_wallet_template(self.client.api, template))

    def request(self, method: str, path: str, **parts: Unpack[RequestParts]) -> Any:
        """Send any request and return its answer, decoded where it is JSON or text.

        :param path: below the connection's host, for instance ``/raven/v2/messages``.
        :param parts: ``params``, ``json``, ``data``, ``files``, ``headers``, ``response_path``, ``max_bytes``: see
            `RequestParts`.
        :raises ValidationError: if the vendor says with a status of success that it rejected the request.
        :raises AmbiguousDeliveryError: if a POST or PATCH may or may not have been taken.
        """
        api = self.get_conn()
        answer = send_request(self, api, method, path, reserved_headers=(TWO_FACTOR_HEADER,), **parts)
        if method.upper() not in {"GET", "HEAD", "OPTIONS"}:
            api.refuse_rejection("request", as_envelope(answer))
        return answer

    def paginate(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of any listing, page by page.

        :param path: below the connection's host.
        :param page_size: items a page (``limit``), None for the vendor's default.
        :raises VendorError: if the vendor's pages never end.
        """
        return self.items(Endpoint.custom(VENDOR, "GET", path), params=params, page_size=page_size)

    def describe_access(self) -> str:
        # One attempt: somebody is waiting in front of the form.
        retry = RetryPolicy(max_attempts=1)
        config: MessangiConfig = self.client.config
        api = replace(
            self.client.api, retry=retry, auth=make_auth(config, cache=TokenCache(), on_secret=mask, retry=retry)
        )
        who = "The API key is accepted" if config.api_key else f"Logged in as {config.username}"
        if LIST_LISTS.name in config.overrides:
            page = calls.read_items(self.run(api.call(LIST_LISTS, params={"limit": 1})))
            return who + ("" if page.count is None else f", lists: {page.count}")
        self.run(api.call_or_none(GET_MESSAGE, segments={"message_id": _NOBODYS_MESSAGE}))
        return f"{who}. Lists and subscribers were not tried: extra 'subscribers_prefix' is empty"

    def _wrong(self, message: str, setting: str) -> ConfigurationError:
        return ConfigurationError(message, vendor=VENDOR, connection=self.conn_id, setting=setting)
