"""Subscribers to read, generated when they are ordered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from airflow_provider_messaging.sandbox.http import InvalidOrder
from airflow_provider_messaging.sandbox.messangi.directory import Directory


class SeedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the admin; a ``list`` that is unknown is created with this id."""

    kind: Literal["subscribers"]
    list: Annotated[str, msgspec.Meta(min_length=1)]
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


def seed(directory: Directory, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add subscribers, numbered from the ones that the list ever had.

    :raises InvalidOrder: the order is malformed.
    """
    try:
        asked = msgspec.convert(order, SeedOrder)
    except msgspec.ValidationError as error:
        raise InvalidOrder(str(error)) from None
    if asked.list not in directory.subscribers:
        directory.add_list(asked.list, {"name": asked.list})
    subscribers = directory.subscribers[asked.list]
    start = subscribers.ever
    for number in range(start, start + asked.count):
        document = {
            "email": f"subscriber-{number}@example.com",
            "phone": f"1555{number:07}",
            "data": {"number": number},
        }
        subscribers.put(_id(number), document)
    return {**order, "first": {"id": _id(start)}, "last": {"id": _id(start + asked.count - 1)}}


def _id(number: int) -> str:
    return f"5eed{number:020x}"
