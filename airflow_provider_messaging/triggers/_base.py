"""What all our triggers have in common: they wait, read only, and end with one event."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from inspect import signature
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.triggers._events import error_event

MOST_FAILURES = 10
"""Polls in a row that may fail, each after its own retries, before a trigger gives up."""


class WaitingTrigger(BaseTrigger):
    """Never raises out of `run`: Airflow would start it anew, or fail the task without a word of ours.

    A subclass keeps each argument of its constructor under its name, as a plain value: so it is stored and made anew.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = signature(type(self)).parameters
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    @abstractmethod
    async def wait(self) -> dict[str, Any]:
        """Poll until what is waited for is there, and return counts and ids of it."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``{"status": "success", ...}`` with what `wait` found, or one with the error."""
        try:
            found = await self.wait()
        except MessagingError as error:
            yield TriggerEvent(error_event(error))
        except Exception as error:
            self.log.exception("the wait broke off")
            yield TriggerEvent(error_event(error))
        else:
            yield TriggerEvent({"status": "success", **found})
