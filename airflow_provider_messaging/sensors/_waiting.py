"""What all our sensors have in common."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.triggers._events import read_event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.triggers._base import WaitingTrigger


class WaitingSensor(BaseSensorOperator):
    """Looks once in the task, and waits for the rest in the triggerer where that is wanted.

    :param deferrable: wait in the triggerer, without a worker slot.
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    @abstractmethod
    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""

    @abstractmethod
    def _trigger(self, context: Context) -> WaitingTrigger:
        """Return what goes on waiting where the first look has ended; imported inside, DAG files need no triggers."""

    def _conclude(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        """Return the result, or raise where what was found is not what was waited for."""
        return found

    def execute(self, context: Context) -> Any:
        """Look once, and wait for the rest in the triggerer where that is wanted."""
        with no_retry_where_useless(soft_fail=self.soft_fail):
            if not self.deferrable:
                return self._conclude(context, cast("dict[str, Any]", super().execute(context)))
            found = self.poke(context)
            if found.is_done:
                return self._conclude(context, cast("dict[str, Any]", found.xcom_value))
            trigger = self._trigger(context)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the trigger found, or raise what it met."""
        with no_retry_where_useless(soft_fail=self.soft_fail):
            return self._conclude(context, read_event(event))


def whole_number(value: Any, setting: str) -> int:
    """Return a number that may have been a template.

    :raises ConfigurationError: if it is none.
    """
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{setting} is {value!r}; it must be a whole number", setting=setting) from None
