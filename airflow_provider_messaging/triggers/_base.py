"""What all our triggers have in common: they wait, read only, and end with one event."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Api
from airflow_provider_messaging.hooks._base import MessagingHook
from airflow_provider_messaging.triggers._events import error_event

if TYPE_CHECKING:
    from airflow_provider_messaging.transport.aio import AsyncTransport

MOST_FAILURES = 10
"""Polls in a row that may fail, each after its own retries, before a trigger gives up."""


class WaitingTrigger(BaseTrigger):
    """Never raises out of `run`: Airflow would start it anew, or fail the task without a word of ours.

    A subclass keeps each argument of its constructor under its name, as a plain value: so it is stored and made anew.
    One of them is the connection id, named as the vendor's hook says.
    """

    hook_class: type[MessagingHook]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        names = signature(type(self)).parameters
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    def make_hook(self) -> MessagingHook:
        return self.hook_class(getattr(self, self.hook_class.conn_name_attr))

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[Api, AsyncTransport]]:
        """Look the connection up, and keep its HTTP connections open for the whole wait."""
        hook = self.make_hook()
        client = await hook.aclient()
        async with hook.async_transport(client) as transport:
            yield client.api, transport

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
