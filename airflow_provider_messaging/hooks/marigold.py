"""Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_provider_messaging.core.batching import pack
from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks._archive import ArchiveHook
from airflow_provider_messaging.hooks._base import Client, mask, redactor
from airflow_provider_messaging.hooks._subscriptions import SubscriptionHook
from airflow_provider_messaging.transport.options import TransportOptions
from airflow_provider_messaging.vendors.marigold import api as calls
from airflow_provider_messaging.vendors.marigold.auth import bearer_auth
from airflow_provider_messaging.vendors.marigold.config import MarigoldConfig
from airflow_provider_messaging.vendors.marigold.endpoints import VENDOR
from airflow_provider_messaging.vendors.marigold.problems import read_problem
from airflow_provider_messaging.vendors.marigold.tracking import TrackingEvent

if TYPE_CHECKING:
    from airflow_provider_messaging.vendors.marigold.compose import Composer
    from airflow_provider_messaging.vendors.marigold.sending import BulkChannel


class MarigoldHook(ArchiveHook, SubscriptionHook):
    """Single calls to Marigold Engage Delivery Cloud.

    See ``docs/marigold.md``.

    :param marigold_conn_id: a connection of type ``marigold``.
    """

    conn_name_attr = "marigold_conn_id"
    default_conn_name = "marigold_default"
    conn_type = VENDOR
    hook_name = "Marigold Engage Delivery Cloud"

    def __init__(self, marigold_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(marigold_conn_id, **kwargs)
        self.marigold_conn_id = marigold_conn_id

    def build_client(self, parts: ConnectionParts) -> Client:
        config = MarigoldConfig.read(parts)
        retry = parts.retry()
        api = Api(
            vendor=VENDOR,
            connection=parts.id,
            base_url=config.base_url,
            auth=bearer_auth(config, on_secret=mask, retry=retry),
            read_problem=read_problem,
            overrides=config.overrides,
            retry=retry,
            redact=redactor(parts),
        )
        return Client(api=api, options=TransportOptions.from_extra(VENDOR, parts.extra), config=config)

    def get_conn(self) -> Api:
        """Return the API as this connection reaches it."""
        return self.client.api

    def email_channel(self, client: Client, *, composer: Composer | None = None) -> BulkChannel:
        """Return e-mail sending as the delivery engine needs it."""
        from airflow_provider_messaging.vendors.marigold.sending import email_channel

        return email_channel(client.api, tracking_verified=client.config.tracking_verified, composer=composer)

    def push_channel(self, client: Client) -> BulkChannel:
        """Return push sending as the delivery engine needs it."""
        from airflow_provider_messaging.vendors.marigold.sending import push_channel

        return push_channel(client.api, tracking_verified=client.config.tracking_verified)

    def send_email(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Send a few e-mails and return how many the vendor accepted: all of them.

        For anything larger, or anything that may be retried, use `SendEmailBatchOperator`, which never sends twice.

        :param messages: rows in the vendor's form or the short one, each with a ``reference``.
        :raises ValidationError: if a row breaks a rule; nothing was sent then.
        :raises AmbiguousDeliveryError: if a request may or may not have been taken.
        """
        return self._send(self.email_channel(self.client), messages)

    def send_push(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Send a few push messages and return how many the vendor accepted: all of them.

        The errors are those of `send_email`; for many messages there is `SendPushBatchOperator`.
        """
        return self._send(self.push_channel(self.client), messages)

    def _send(self, channel: BulkChannel, messages: Sequence[Mapping[str, Any]]) -> int:
        valid = channel.judged(messages)
        for batch in pack(valid, channel.limits):
            self.run(channel.send_or_raise(batch))
        return len(valid)

    def iter_bounces(
        self,
        start: datetime,
        end: datetime,
        *,
        mode: Literal["direct", "indirect"] | None = None,
        account_id: str | None = None,
        page_size: int = 100,
    ) -> Iterator[dict[str, Any]]:
        """Yield the bounces with ``start <= timestamp < end``, as the vendor gives them. No row has an address.

        :param mode: only bounces of that mode.
        :param account_id: another account than the connection's.
        :param page_size: rows a page (``$top``).
        """
        return self._iter_feedback("bounces", start, end, mode=mode, account_id=account_id, page_size=page_size)

    def iter_list_unsubscribes(
        self, start: datetime, end: datetime, *, account_id: str | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Yield the list-unsubscribes with ``start <= timestamp < end``."""
        return self._iter_feedback("list_unsubscribes", start, end, account_id=account_id, page_size=page_size)

    def iter_complaints(
        self, start: datetime, end: datetime, *, account_id: str | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Yield the complaints with ``start <= timestamp < end``."""
        return self._iter_feedback("complaints", start, end, account_id=account_id, page_size=page_size)

    def get_bounce(self, reference: str) -> dict[str, Any] | None:
        """Return the bounce of a message, None where there is none."""
        return self.run(calls.get_bounce(self.client.api, reference))

    def track(self, reference: str) -> list[TrackingEvent]:
        """Return the processing events of a message, none where the vendor does not know it."""
        return self.run(calls.track(self.client.api, reference)) or []

    def describe_access(self) -> str:
        # One attempt: somebody is waiting in front of the form.
        auth = bearer_auth(self.client.config, on_secret=mask, retry=RetryPolicy(max_attempts=1))
        token = self.run(auth.fetch())
        minutes = round((token.expires_at - datetime.now(UTC).timestamp()) / 60)
        return f"Token valid for {minutes} minutes, scopes {token.scope or 'not stated'}"

    def iter_feedback_json(self, kind: str, window: Window, **options: Any) -> Iterator[bytes]:
        """Yield the rows of one kind in a window as the vendor's own JSON, each on one line."""
        for page in self.iterate(calls.iter_feedback(self.client.api, kind, window, **options)):
            for row in calls.rows_within(page, window):
                line = bytes(row)
                yield line if b"\n" not in line else msgspec.json.format(line, indent=-1)

    def _iter_feedback(self, kind: str, start: datetime, end: datetime, **options: Any) -> Iterator[dict[str, Any]]:
        for row in self.iter_feedback_json(kind, Window(start, end), **options):
            yield msgspec.json.decode(row)
