"""How much of requests is at hand at the same time."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from airflow_provider_messaging.webhooks.gate import Door, Refused


def request(*chunks: bytes, hangs_up: bool = False) -> Request:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(
        {"type": "http.disconnect"} if hangs_up else {"type": "http.request", "body": b"", "more_body": False}
    )

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_all_bodies_at_hand_have_a_bound_together() -> None:
    door = Door(most_requests=1000, most_bytes=10, seconds=5)
    for _ in range(64):
        door.enter()
        assert await door.read(request(b"12345", b"67890")) == b"1234567890"
    door.enter()
    with pytest.raises(Refused) as caught:
        await door.read(request(b"1"))
    assert caught.value.status == 503
    door.leave(0)
    door.leave(10)
    assert await door.read(request(b"12345")) == b"12345"


async def test_what_is_refused_or_breaks_off_counts_no_longer() -> None:
    door = Door(most_requests=1000, most_bytes=10, seconds=5)
    for _ in range(200):
        with pytest.raises(Refused) as caught:
            await door.read(request(b"12345", b"678901"))
        assert caught.value.status == 413
        with pytest.raises(Refused) as caught:
            await door.read(request(b"1234567890", hangs_up=True))
        assert caught.value.reason == "disconnected"
    assert await door.read(request(b"1234567890")) == b"1234567890"


def test_places_are_counted() -> None:
    door = Door(most_requests=2, most_bytes=10, seconds=5)
    door.enter()
    door.enter()
    with pytest.raises(Refused):
        door.enter()
    door.leave(0)
    door.enter()
