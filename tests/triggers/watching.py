"""Airflow's side of an asset watcher: the state of an asset, and as much of a triggerer as runs event triggers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Hashable
from typing import Any

from airflow_provider_messaging.triggers.marigold import FeedbackEventTrigger, WebhookEventTrigger

Trigger = FeedbackEventTrigger | WebhookEventTrigger


class Killed(BaseException):
    """The process ends here, without another word."""


class AssetState:
    """The state store of one asset: keeps JSON, as the real one does, and outlives the triggerer.

    :param before: called with the name of the operation before each one; raises to end the process, or to fail.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.before: Callable[[str], None] = lambda operation: None

    async def aget(self, key: str, default: Any = None) -> Any:
        self.before("get")
        return json.loads(self.values[key]) if key in self.values else default

    async def aset(self, key: str, value: Any) -> None:
        self.before("set")
        await asyncio.sleep(0)
        self.values[key] = json.dumps(value)

    async def adelete(self, key: str) -> None:
        self.before("delete")
        self.values.pop(key, None)


class Triggerer:
    """Runs event triggers as Airflow's TriggerRunner does, on its own `SharedStreamManager`.

    Events are persisted and that is confirmed as soon as they are there, unless one of the two is switched off.
    """

    def __init__(self) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager  # Airflow 3.3

        self.streams = SharedStreamManager()
        self.events: list[tuple[Trigger, dict[str, Any]]] = []
        self.persists = True
        self.confirms = True
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, trigger: Trigger, state: Any) -> None:
        number = len(self._tasks) + 1
        trigger.asset_state_store = state
        self._tasks[number] = asyncio.create_task(self._run(number, trigger))

    def payloads(self, trigger: Trigger | None = None) -> list[dict[str, Any]]:
        return [payload for fired, payload in self.events if trigger in (None, fired)]

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Return when the condition holds; raise what ended a trigger."""
        async with asyncio.timeout(seconds):
            while not condition():
                for task in self._tasks.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self.streams.stop_all()

    async def _run(self, number: int, trigger: Trigger) -> None:
        key: Hashable = trigger.shared_stream_key()
        stream = self.streams.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                sequence = self.streams.bind_pending_event(trigger_id=number, key=key)
                assert sequence is not None, "an event that no look is waiting for"
                if self.persists:
                    self.events.append((trigger, event.payload))
                if self.persists and self.confirms:
                    asyncio.get_running_loop().call_later(0.01, self.streams.confirm_persisted, [sequence])
        finally:
            await self.streams.unsubscribe(number, key)
