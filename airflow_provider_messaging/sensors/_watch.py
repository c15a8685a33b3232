"""What the sensors that watch many items have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.watch import MOST_WATCHED, UNKNOWN, Watch
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks._watch import look
from airflow_provider_messaging.sensors._waiting import WaitingSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.triggers._watching import WatchTrigger


class WatchSensor(WaitingSensor):
    """Looks once at everything, and again at what is still open, in the triggerer where that is wanted.

    :param max_concurrency: look-ups at the same time.
    :param max_poll_interval: seconds up to which the pause between two polls grows while nothing happens, in the
        triggerer only. Default: ten times `poke_interval`.
    :param deferrable: wait in the triggerer, without a worker slot.
    """

    def __init__(self, *, max_concurrency: int = 8, max_poll_interval: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_concurrency = max_concurrency
        self.max_poll_interval = max_poll_interval
        self._plan: WatchTrigger | None = None
        self._watch: Watch | None = None

    @abstractmethod
    def _make_trigger(self, **options: Any) -> WatchTrigger:
        """Return the trigger that knows what is watched and how: the task looks at the same items in the same way.

        :param options: of the trigger, those that all of them have.
        :raises ConfigurationError: if the arguments make no sense.
        """

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at what is still open: what an earlier poke of this process has settled is not asked for again."""
        if self._plan is None or self._watch is None:
            self._plan, self._watch = self._begin()
        plan, watch = self._plan, self._watch
        with plan.make_hook() as hook:
            look(hook, watch, plan.flow_of(hook.client.api), max_concurrency=limited(self.max_concurrency))
        outcome = watch.outcome(plan.named)
        self.log.info("%s", watch)
        if set(outcome["states"]) == {UNKNOWN}:
            self.log.warning(
                "The vendor knows none of the %s: not yet, or the path is another (extra 'endpoints' → %r)",
                plan.named,
                plan.endpoint,
            )
        return PokeReturnValue(is_done=watch.done, xcom_value=outcome)

    def _trigger(self, context: Context) -> WatchTrigger:
        assert self._plan is not None
        assert self._watch is not None
        return self._plan.going_on(self._watch)

    def _begin(self) -> tuple[WatchTrigger, Watch]:
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        interval = float(self.poke_interval)
        plan = self._make_trigger(
            poll_interval=interval,
            max_poll_interval=10 * interval if self.max_poll_interval is None else self.max_poll_interval,
            max_concurrency=limited(self.max_concurrency),
        )
        watch = plan.make_watch()
        if len(watch.open) > MOST_WATCHED:
            raise ConfigurationError(
                f"{len(watch.open)} is more than can be watched one by one, at most {MOST_WATCHED}: watch a sample",
                setting=plan.named,
            )
        return plan, watch


def ids(values: Sequence[Any]) -> list[str]:
    """Return each once, in order, as text."""
    return list(dict.fromkeys(str(value) for value in values))
