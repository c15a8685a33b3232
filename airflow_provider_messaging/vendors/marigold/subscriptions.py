"""Whom the vendor posts its events to. The path is official, the bodies are unpublished: they are passed through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.paging import read_page
from airflow_provider_messaging.vendors.marigold.endpoints import (
    CREATE_SUBSCRIPTION,
    DELETE_SUBSCRIPTION,
    LIST_SUBSCRIPTIONS,
)


def list_subscriptions(api: Api) -> Flow[list[Any]]:
    """Return what the vendor lists: an array, or the array under ``value``.

    :raises VendorError: if the answer is neither.
    """
    response = yield from api.call(LIST_SUBSCRIPTIONS)
    try:
        return [msgspec.json.decode(row) for row in read_page(response).rows]
    except (ValueError, msgspec.DecodeError):
        raise api.unreadable(LIST_SUBSCRIPTIONS, response) from None


def create_subscription(api: Api, body: Mapping[str, Any]) -> Flow[Any]:
    """Ask for a subscription, and return the vendor's answer as it is, None where it has no body."""
    response = yield from api.call(CREATE_SUBSCRIPTION, body=msgspec.json.encode(body))
    return _document(api, CREATE_SUBSCRIPTION, response)


def delete_subscription(api: Api, subscription_id: str) -> Flow[bool]:
    """Delete a subscription; False where the vendor answers 404, as it does to a repeat."""
    segments = {"subscription_id": subscription_id}
    return (yield from api.call_or_none(DELETE_SUBSCRIPTION, segments=segments)) is not None


def _document(api: Api, endpoint: Endpoint, response: Response) -> Any:
    if not response.body:
        return None
    try:
        return response.json()
    except ValueError:
        raise api.unreadable(endpoint, response) from None
