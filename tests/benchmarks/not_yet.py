"""The check that `waiting_triggers` gives to `HttpEventTrigger`: nothing is there yet."""

from __future__ import annotations

from typing import Any


async def check(response: Any) -> bool:
    return bool(response.json()["value"])
