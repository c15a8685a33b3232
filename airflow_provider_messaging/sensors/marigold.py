"""Sensors of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._window import run_window
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sensors._archive import ArchiveExportSensor
from airflow_provider_messaging.sensors._delivery import DeliverySensor
from airflow_provider_messaging.triggers._events import read_event
from airflow_provider_messaging.vendors.marigold.query import FeedbackQuery, count_feedback

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["ArchiveExportSensor", "BounceSensor", "DeliverySensor"]


class BounceSensor(BaseSensorOperator):
    """Waits until bounces (or other feedback) of a period are there, and returns how many and of which messages.

    Returns ``{"count", "by_type", "references"}``; at most 1,000 references, never an address.

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
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
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
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Look once, and wait for the rest in the triggerer where that is wanted."""
        with no_retry_where_useless(soft_fail=self.soft_fail):
            if not self.deferrable:
                return super().execute(context)
            found = self.poke(context)
            if found.is_done:
                return found.xcom_value
            query = self._query(context)
        # Imported here: triggers need the asynchronous driver, DAG files do not.
        from airflow_provider_messaging.triggers.marigold import BounceTrigger

        self.defer(
            trigger=BounceTrigger(
                marigold_conn_id=self.marigold_conn_id,
                start=query.start,
                end=query.end,
                kinds=query.kinds,
                bounce_types=query.bounce_types,
                references=query.references,
                account_id=query.account_id,
                page_size=query.page_size,
                min_count=self._min_count(),
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        query, min_count = self._query(context), self._min_count()
        with MarigoldHook(self.marigold_conn_id) as hook:
            found = hook.run(count_feedback(hook.get_conn(), query))
        self.log.info("%d of %d rows are there", found.count, min_count)
        return PokeReturnValue(is_done=found.count >= min_count, xcom_value=found.as_dict())

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the trigger found, or raise what it met."""
        with no_retry_where_useless(soft_fail=self.soft_fail):
            return read_event(event)

    def _min_count(self) -> int:
        try:
            return int(self.min_count)
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"min_count is {self.min_count!r}; it must be a whole number", setting="min_count"
            ) from None

    def _query(self, context: Context) -> FeedbackQuery:
        start = self.start or run_window(cast("dict[str, Any]", context)).start
        for name in ("kinds", "bounce_types", "references"):
            if isinstance(getattr(self, name), str):
                raise ConfigurationError(f"{name} must be a list", setting=name)
        query = FeedbackQuery(
            start=_iso(start),
            end=_iso(self.end) if self.end else None,
            kinds=list(self.kinds),
            bounce_types=list(self.bounce_types),
            references=list(self.references or ()),
            account_id=self.account_id,
            page_size=self.page_size,
        )
        query.check()
        return query


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
