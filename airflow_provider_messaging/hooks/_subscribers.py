"""Lists, subscribers and owners: single calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.hooks._base import Client, MessagingHook
from airflow_provider_messaging.vendors.messangi import api as calls
from airflow_provider_messaging.vendors.messangi.endpoints import (
    CREATE_LIST,
    CREATE_SUBSCRIBER,
    DELETE_LIST,
    GET_LIST,
    LIST_LISTS,
    LIST_OWNERS,
    LIST_SUBSCRIBERS,
    PATCH_SUBSCRIBER,
    UPSERT_SUBSCRIBER,
)
from airflow_provider_messaging.vendors.messangi.subscribers import (
    DeleteChannel,
    UpsertChannel,
    delete_channel,
    upsert_channel,
)


class SubscribersHook(MessagingHook):
    """The part of the hook that needs the connection's extra ``subscribers_prefix``."""

    def upsert_channel(self, client: Client, list_id: str, *, id_field: str = "id") -> UpsertChannel:
        """Return the writing of subscribers as the delivery engine needs it."""
        return upsert_channel(client.api, list_id, id_field=id_field)

    def delete_channel(self, client: Client, list_id: str, *, id_field: str = "id") -> DeleteChannel:
        """Return the removal of subscribers as the delivery engine needs it."""
        return delete_channel(client.api, list_id, id_field=id_field)

    def list_lists(self, *, page_size: int | None = 100) -> Iterator[dict[str, Any]]:
        """Yield the lists of subscribers, as the vendor gives them."""
        return self.items(LIST_LISTS, page_size=page_size)

    def get_list(self, list_id: str) -> dict[str, Any]:
        """Return a list."""
        return self.run(calls.get_resource(self.client.api, GET_LIST, {"list_id": list_id}))

    def create_list(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create a list and return it.

        :raises AmbiguousDeliveryError: if it may or may not have been created.
        """
        return self.run(calls.write(self.client.api, CREATE_LIST, {}, document))

    def delete_list(self, list_id: str) -> None:
        """Delete a list with all its subscribers."""
        self.run(self.client.api.call(DELETE_LIST, segments={"list_id": list_id}))

    def list_subscribers(
        self, list_id: str, *, params: Mapping[str, Any] | None = None, page_size: int | None = 100
    ) -> Iterator[dict[str, Any]]:
        """Yield the subscribers of a list, as the vendor gives them; one page is in memory at a time.

        :param params: more query parameters, filters for instance.
        :param page_size: subscribers a page (``limit``), None for the vendor's default.
        :raises VendorError: if the vendor's pages never end.
        """
        return self.items(LIST_SUBSCRIBERS, {"list_id": list_id}, params=params, page_size=page_size)

    def get_subscriber(self, list_id: str, subscriber_id: str) -> dict[str, Any] | None:
        """Return a subscriber, None where the list has none of that id.

        :raises VendorError: if there is no such list.
        """
        return self.run(calls.get_subscriber(self.client.api, list_id, subscriber_id))

    def create_subscriber(self, list_id: str, subscriber: Mapping[str, Any]) -> dict[str, Any]:
        """Add a subscriber whose id the vendor chooses, and return it: a repeat would add another one.

        :raises AmbiguousDeliveryError: if it may or may not have been added.
        """
        return self.run(calls.write(self.client.api, CREATE_SUBSCRIBER, {"list_id": list_id}, subscriber))

    def upsert_subscriber(self, list_id: str, subscriber_id: str, subscriber: Mapping[str, Any]) -> dict[str, Any]:
        """Write a subscriber, whether the list has it or not, and return it. Columns that are not given are lost.

        For many, use `UpsertSubscribersOperator`.
        """
        return self._write_subscriber(UPSERT_SUBSCRIBER, list_id, subscriber_id, subscriber)

    def update_subscriber(self, list_id: str, subscriber_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the given columns of a subscriber and return it."""
        return self._write_subscriber(PATCH_SUBSCRIBER, list_id, subscriber_id, changes)

    def delete_subscriber(self, list_id: str, subscriber_id: str) -> bool:
        """Remove a subscriber from a list; tell whether it was there.

        :raises VendorError: if there is no such list.
        """
        return self.run(calls.delete_subscriber(self.client.api, list_id, subscriber_id))

    def list_owners(self, *, page_size: int | None = 100) -> Iterator[dict[str, Any]]:
        """Yield the owners, as the vendor gives them."""
        return self.items(LIST_OWNERS, page_size=page_size)

    def items(
        self,
        endpoint: Endpoint,
        segments: Mapping[str, str] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        page_size: int | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of a listing."""
        pages = calls.iter_items(self.client.api, endpoint, segments=segments, params=params, page_size=page_size)
        for page in self.iterate(pages):
            for row in page.rows:
                yield msgspec.json.decode(row)

    def _write_subscriber(
        self, endpoint: Endpoint, list_id: str, subscriber_id: str, document: Mapping[str, Any]
    ) -> dict[str, Any]:
        segments = {"list_id": list_id, "subscriber_id": subscriber_id}
        return self.run(calls.write(self.client.api, endpoint, segments, document))
