"""What the sensors that watch many items have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._watch import look
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.triggers._events import read_event
from airflow_provider_messaging.vendors.marigold.watch import MOST_WATCHED, Watch

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class WatchSensor(BaseSensorOperator):
    """Looks once at everything, and again at what is still open, in the triggerer where that is wanted.

    :param max_concurrency: look-ups at the same time.
    :param max_poll_interval: seconds up to which the pause between two polls grows while nothing happens, in the
        triggerer only. Default: ten times `poke_interval`.
    :param deferrable: wait in the triggerer, without a worker slot.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    named = "references"

    def __init__(
        self,
        *,
        max_concurrency: int = 8,
        max_poll_interval: float | None = None,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_concurrency = max_concurrency
        self.max_poll_interval = max_poll_interval
        self.marigold_conn_id = marigold_conn_id
        self.deferrable = deferrable
        self._watch: Watch | None = None

    @abstractmethod
    def _make_watch(self) -> Watch:
        """Return what is watched.

        :raises ConfigurationError: if the arguments make no sense.
        """

    @abstractmethod
    def _flow_of(self, api: Api) -> Callable[[str], Flow[str]]:
        """Return the look at one item."""

    @abstractmethod
    def _make_trigger(self, watch: Watch, options: dict[str, Any]) -> Any:
        """Return the trigger that goes on with a watch."""

    def _conclude(self, context: Context, outcome: dict[str, Any]) -> dict[str, Any]:
        """Return the result, or raise where the outcome is not what was waited for."""
        return outcome

    def execute(self, context: Context) -> Any:
        """Look once, and wait for the rest in the triggerer where that is wanted."""
        with no_retry_where_useless(soft_fail=self.soft_fail):
            if not self.deferrable:
                return self._conclude(context, cast("dict[str, Any]", super().execute(context)))
            found = self.poke(context)
            if found.is_done:
                return self._conclude(context, cast("dict[str, Any]", found.xcom_value))
            assert self._watch is not None
            interval = float(self.poke_interval)
            options = {
                "marigold_conn_id": self.marigold_conn_id,
                "settled": self._watch.settled(),
                "poll_interval": interval,
                "max_poll_interval": 10 * interval if self.max_poll_interval is None else self.max_poll_interval,
                "max_concurrency": self.max_concurrency,
            }
            trigger = self._make_trigger(self._watch, options)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at what is still open: what an earlier poke of this process has settled is not asked for again."""
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        if self._watch is None:
            self._watch = self._make_watch()
        if len(self._watch.open) > MOST_WATCHED:
            raise ConfigurationError(
                f"{len(self._watch.open)} is more than can be watched one by one, at most {MOST_WATCHED}: watch a "
                "sample, or wait for feedback with BounceSensor",
                setting="references, manifest_path or profile_ids",
            )
        with MarigoldHook(self.marigold_conn_id) as hook:
            look(hook, self._watch, self._flow_of(hook.get_conn()), max_concurrency=self.max_concurrency)
        outcome = self._watch.outcome(self.named)
        self.log.info("%s", self._watch)
        if set(outcome["states"]) == {"unknown"}:
            self.log.warning(
                "Tracking knows none of the messages: not yet, or its path is another (extra 'endpoints' → 'track')"
            )
        return PokeReturnValue(is_done=self._watch.done, xcom_value=outcome)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the trigger found, or raise what it met."""
        with no_retry_where_useless(soft_fail=self.soft_fail):
            return self._conclude(context, read_event(event))


def ids(values: Sequence[Any]) -> list[str]:
    """Return each once, in order, as text."""
    return list(dict.fromkeys(str(value) for value in values))
