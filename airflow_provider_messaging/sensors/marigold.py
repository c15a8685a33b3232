"""Sensors of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._window import run_window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sensors._archive import ArchiveExportSensor
from airflow_provider_messaging.sensors._delivery import DeliverySensor
from airflow_provider_messaging.sensors._waiting import WaitingSensor, whole_number
from airflow_provider_messaging.vendors.marigold.query import count_feedback

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.triggers.marigold import BounceTrigger

__all__ = ["ArchiveExportSensor", "BounceSensor", "DeliverySensor"]


class BounceSensor(WaitingSensor):
    """Waits until bounces (or other feedback) of a period are there, and returns how many and of which messages.

    Returns ``{"count", "by_type", "references"}``; at most 1,000 references, never an address.

    See ``docs/feedback.md``.

    :param start: rows before it do not count: ISO 8601 or a datetime. Default: the start of the run's data interval, or
        of the run itself where it has none.
    :param end: rows from then on do not count. Default: no end.
    :param kinds: what to wait for: some of ``bounces``, ``complaints``, ``list_unsubscribes``.
    :param bounce_types: only bounces of these types: ``hard``, ``soft``, ``spam``. Default: all.
    :param references: only rows of these messages. Default: all.
    :param min_count: rows to wait for.
    :param account_id: another account than the connection's.
    :param page_size: rows a page.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = (
        "start",
        "end",
        "references",
        "min_count",
        "account_id",
        "marigold_conn_id",
    )

    def __init__(
        self,
        *,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        kinds: Sequence[str] = ("bounces",),
        bounce_types: Sequence[str] = (),
        references: Sequence[str] = (),
        min_count: int | str = 1,
        account_id: str | None = None,
        page_size: int = 100,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.kinds = kinds
        self.bounce_types = bounce_types
        self.references = references
        self.min_count = min_count
        self.account_id = account_id
        self.page_size = page_size
        self.marigold_conn_id = marigold_conn_id

    def poke(self, context: Context) -> PokeReturnValue:
        """Count what is there."""
        trigger = self._trigger(context)
        query = trigger.query()
        with trigger.make_hook() as hook:
            found = hook.run(count_feedback(hook.client.api, query))
        self.log.info("%d of %d rows are there", found.count, trigger.min_count)
        return PokeReturnValue(is_done=found.count >= trigger.min_count, xcom_value=found.as_dict())

    def _trigger(self, context: Context) -> BounceTrigger:
        from airflow_provider_messaging.triggers.marigold import BounceTrigger

        for name in ("kinds", "bounce_types", "references"):
            if isinstance(getattr(self, name), str):
                raise ConfigurationError(f"{name} must be a list", setting=name)
        return BounceTrigger(
            marigold_conn_id=self.marigold_conn_id,
            start=_iso(self.start or run_window(cast("dict[str, Any]", context)).start),
            end=_iso(self.end) if self.end else None,
            kinds=self.kinds,
            bounce_types=self.bounce_types,
            references=self.references or (),
            account_id=self.account_id,
            page_size=self.page_size,
            min_count=whole_number(self.min_count, "min_count"),
            poll_interval=float(self.poke_interval),
        )


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
