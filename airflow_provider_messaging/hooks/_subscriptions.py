"""The part of Marigold's hook that says whom the vendor posts its events to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_messaging.hooks._base import MessagingHook
from airflow_provider_messaging.vendors.marigold import subscriptions


class SubscriptionHook(MessagingHook):
    """Webhook subscriptions. Their bodies are unpublished: what is given and what comes is the vendor's own JSON."""

    def list_subscriptions(self) -> list[Any]:
        """Return the account's webhook subscriptions, as the vendor gives them."""
        return self.run(subscriptions.list_subscriptions(self.client.api))

    def create_subscription(self, body: Mapping[str, Any]) -> Any:
        """Make a webhook subscription and return the vendor's answer, None where it has no body.

        :param body: what the vendor asks for. It is sent as it is, and may hold a secret: keep it out of DAG files.
        :raises AmbiguousDeliveryError: if it may have been made: `list_subscriptions` tells.
        """
        return self.run(subscriptions.create_subscription(self.client.api, body))

    def delete_subscription(self, subscription_id: str) -> bool:
        """Delete a webhook subscription; return False where the vendor does not have it."""
        return self.run(subscriptions.delete_subscription(self.client.api, subscription_id))
