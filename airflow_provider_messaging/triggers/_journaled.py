"""What the triggers that start DAGs have in common: a journal in the asset's state, and a reader that they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_messaging.core.cursor import to_micros
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._window import seconds
from airflow_provider_messaging.triggers._journal import Journal, Store
from airflow_provider_messaging.vendors.marigold.endpoints import VENDOR

if TYPE_CHECKING:
    from airflow_provider_messaging.triggers._stream_reader import Ask, StreamReader

SECOND = 1_000_000


class JournaledTrigger(BaseEventTrigger):
    """An `AssetWatcher`'s trigger that reports each thing in one batch, across restarts. Airflow 3.3 or later.

    A subclass keeps each argument of its constructor under its name, as a plain value. `start` and `look_back` are
    among them.
    """

    instead: ClassVar[str]
    """What to use before Airflow 3.3."""
    journal: ClassVar[str]
    """What the journal's name begins with."""
    start: str | None
    look_back: float

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not hasattr(BaseEventTrigger, "create_shared_stream_producer"):
            raise wrong(
                f"{type(self).__name__} needs Airflow 3.3, which keeps the state of assets; before, {self.instead}",
                "version of Airflow",
            )

    @classmethod
    def classpath(cls) -> str:
        return f"airflow_provider_messaging.triggers.marigold.{cls.__name__}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return self.classpath(), {name: getattr(self, name) for name in signature(type(self)).parameters}

    @abstractmethod
    def shared_stream_key(self) -> Hashable:
        """Return what tells the readers apart: what a watcher picks from what one reads is not part of it."""

    @abstractmethod
    def question(self) -> list[str]:
        """Return what tells the journals apart: another question has another one."""

    @abstractmethod
    def make_ask(self, journal: Journal) -> Ask:
        """Return what the reader is to read for this watcher from now on."""

    @abstractmethod
    async def note(self, journal: Journal, look: Any) -> None:
        """Commit what is new in a look, with the batch that reports it."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Airflow's triggerer runs `filter_shared_stream` instead."""
        raise wrong(f"{type(self).__name__} runs as the trigger of an AssetWatcher only", "trigger")
        yield  # type: ignore[unreachable]  # makes it a generator

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yield a batch for each look that brought something new. Trouble is logged, and the next look tries again."""
        began = datetime.now(UTC)
        journal: Journal | None = None
        reader: StreamReader[Any] | None = None
        reported = 0
        try:
            async for look in shared_stream:
                reader = look.reader
                assert reader is not None
                try:
                    if journal is None:
                        journal = await self._open_journal(began)
                    if not look.is_bare:
                        await self.note(journal, look)
                except Exception:
                    # What is stored counts. Whoever raises here is started anew within a second, again and again.
                    self.log.exception("the watch could not note what is new: the next poll starts from what is noted")
                    if journal is not None:
                        journal.close()
                    journal = None
                    reader.leave(self)
                    continue
                for batch in journal.reported(after=reported):
                    yield TriggerEvent(batch)
                    reported = batch["number"]
                look.confirmations.append(partial(journal.confirm, reported))
                reader.ask(self, self.make_ask(journal))
        finally:
            if reader is not None:
                reader.leave(self)

    async def _open_journal(self, began: datetime) -> Journal:
        first = as_moment(self.start, "start") or began
        digest = blake2b("\x1f".join(self.question()).encode(), digest_size=8).hexdigest()
        return await Journal.open(
            _stores(self.asset_state_store),
            f"{self.journal}/{digest}",
            start=to_micros(first),
            look_back=round(self.look_back * SECOND),
        )


def _stores(accessors: Any) -> list[Store]:
    """Return the state store of each asset that has this watcher."""
    if accessors is None:
        raise wrong("Airflow has given the watcher no state store: is it the watcher of an asset?", "trigger")
    # The accessor of several assets is to be asked with the asset in hand, and a trigger is not told its assets.
    by_name = getattr(accessors, "_by_name", None)
    return [by_name[name] for name in sorted(by_name)] if by_name else [accessors]


def chosen(values: Sequence[str], known: Sequence[str], setting: str) -> list[str]:
    """Return the values in lower case and in the order in which they are known."""
    given = [values] if isinstance(values, str) else list(values)
    wanted = {str(value).lower() for value in given}
    if unknown := sorted(wanted.difference(known)):
        raise wrong(f"{setting} must be some of {', '.join(known)}, not {unknown}", setting)
    return [value for value in known if value in wanted]


def positive(value: Any, setting: str) -> float:
    """Return seconds, or a timedelta, as seconds."""
    found = seconds(value, setting).total_seconds()
    if found <= 0:
        raise wrong(f"{setting} must be positive", setting)
    return found


def wrong(message: str, setting: str) -> ConfigurationError:
    return ConfigurationError(message, vendor=VENDOR, setting=setting)
