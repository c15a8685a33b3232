"""What the hooks of all vendors have in common."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.redact import Redactor
from airflow_provider_messaging.hooks._settings import with_defaults
from airflow_provider_messaging.transport.options import TransportOptions

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_messaging.transport.aio import AsyncTransport
    from airflow_provider_messaging.transport.sync import SyncTransport

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A vendor's API and the way to it, as one connection describes them.

    :param config: the vendor's own reading of the connection.
    """

    api: Api
    options: TransportOptions
    config: Any = None


class MessagingHook(BaseHook):
    """Reads the connection once, keeps the HTTP connections open, and runs flows.

    A hook can be used in ``with``; otherwise its connections end with it.
    """

    conn_name_attr: str
    default_conn_name: str
    conn_type: str
    hook_name: str

    def __init__(self, conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id

    @abstractmethod
    def build_client(self, parts: ConnectionParts) -> Client:
        """Check what the connection says and return the client.

        :raises ConfigurationError: naming the field to change.
        """

    @cached_property
    def client(self) -> Client:
        """The client of this connection, looked up once."""
        connection = self.get_connection(self.conn_id)
        return self._client(connection, connection.extra_dejson)

    async def aclient(self) -> Client:
        """The same for an event loop: triggers must not look a connection up any other way."""
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        connection = await get_async_connection(self.conn_id, hook=self)
        return self._client(connection, await get_async_extra_dejson(connection))

    def run(self, flow: Flow[T]) -> T:
        """Run a flow and return its result."""
        return self._transport.run(flow)

    def iterate(self, flow: Flow[None]) -> Iterator[Any]:
        """Run a flow and yield what it emits, as it comes."""
        return self._transport.iterate(flow)

    @asynccontextmanager
    async def async_transport(self, client: Client) -> AsyncIterator[AsyncTransport]:
        """Open the asynchronous driver of a client."""
        # Beside the loop: importing aiohttp on it would hold up all the triggers that share it.
        await asyncio.to_thread(import_module, "airflow_provider_messaging.transport._aiohttp")
        from airflow_provider_messaging.transport.aio import AsyncTransport

        async with AsyncTransport(client.options) as transport:
            yield transport

    def open(self) -> None:
        """Read the connection now: threads that share the hook must not all begin with it."""
        _ = self._transport

    def close(self) -> None:
        """Close the HTTP connections."""
        if "_transport" in self.__dict__:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """Make one cheap authenticated call; return whether it worked, and what it saw or what to mend."""
        try:
            return True, self.describe_access()
        except MessagingError as error:
            return False, str(error)

    @abstractmethod
    def describe_access(self) -> str:
        """Make the call of `test_connection` and say what it saw, without secrets."""

    @cached_property
    def _transport(self) -> SyncTransport:
        from airflow_provider_messaging.transport.sync import SyncTransport

        return SyncTransport(self.client.options)

    def _client(self, connection: Any, extra: Any) -> Client:
        parts = ConnectionParts(
            id=self.conn_id,
            vendor=self.conn_type,
            host=connection.host,
            port=connection.port,
            schema=connection.schema,
            login=connection.login,
            password=connection.password,
            extra=with_defaults(extra) if isinstance(extra, Mapping) else {},
        )
        if not isinstance(extra, Mapping):
            raise parts.error("extra must be a JSON object", "extra")
        try:
            return self.build_client(parts)
        except MessagingError as error:
            error.connection = self.conn_id
            raise


def mask(secret: str | None) -> None:
    """Hide a secret in the logs from now on."""
    if not secret:
        return
    from airflow.sdk.log import mask_secret

    mask_secret(secret)


def redactor(parts: ConnectionParts, *secret_extras: str) -> Redactor:
    """Return what hides this connection's secrets in the vendor's own texts."""
    return Redactor([parts.password, *(str(parts.extra.get(name) or "") for name in secret_extras)])
