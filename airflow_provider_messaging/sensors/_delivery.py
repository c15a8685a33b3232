"""Waiting for messages to reach a state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_messaging.core.errors import ConfigurationError, VendorError
from airflow_provider_messaging.core.watch import examples
from airflow_provider_messaging.hooks._inputs import as_moment, listed, manifest_lines
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.sensors._watch import WatchSensor, ids
from airflow_provider_messaging.vendors.marigold.endpoints import VENDOR
from airflow_provider_messaging.vendors.marigold.watch import goal_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.triggers.marigold import DeliveryTrigger


class DeliverySensor(WatchSensor):
    """Waits until all given messages are in a state, as the vendor's tracking shows it.

    Returns ``{"total", "reached", "lost", "open", "states": {state: n}, "references": {state: [...]}}``; at most 1,000
    references of each state. States are ``unknown``, ``accepted``, ``deferred``, ``delivered``, ``failed``,
    ``bounced``, ``complained`` and ``unsubscribed``.

    See ``docs/archive.md``.

    :param references: the messages, at most 50,000.
    :param manifest_path: a manifest on object storage, instead: the messages in it that the vendor accepted.
    :param state: ``delivered`` (complaints and unsubscribes count as such), ``failed`` (bounces count as such), or
        ``final``: whatever, as long as the vendor is done with it.
    :param start: events before it do not count: ISO 8601 or a datetime. Needed for references that were used before.
    :param on_lost: when a message can't reach the state any more, one that failed for instance: ``fail`` fails at
        once, without a retry; ``continue`` waits for the others and succeeds.
    :param marigold_conn_id: a connection of type ``marigold``.

    The other parameters are those of `WatchSensor`.
    """

    template_fields: Sequence[str] = ("references", "manifest_path", "state", "start", "marigold_conn_id")

    def __init__(
        self,
        *,
        references: Sequence[str] | None = None,
        manifest_path: str | None = None,
        state: Literal["delivered", "failed", "final"] | str = "delivered",
        start: str | datetime | None = None,
        on_lost: Literal["fail", "continue"] = "fail",
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.references = references
        self.manifest_path = manifest_path
        self.state = state
        self.start = start
        self.on_lost = on_lost
        self.marigold_conn_id = marigold_conn_id

    def _make_trigger(self, **options: Any) -> DeliveryTrigger:
        from airflow_provider_messaging.triggers.marigold import DeliveryTrigger

        if (self.references is None) == (self.manifest_path is None):
            raise ConfigurationError("give either references or manifest_path", setting="references or manifest_path")
        if self.on_lost not in {"fail", "continue"}:
            raise ConfigurationError(f"on_lost is {self.on_lost!r}; it must be fail or continue", setting="on_lost")
        if self.manifest_path is not None:
            references = [str(line["reference"]) for line in manifest_lines(self.manifest_path)]
        else:
            references = ids(listed(self.references, "references"))
        start = as_moment(self.start, "start")
        return DeliveryTrigger(
            marigold_conn_id=self.marigold_conn_id,
            references=references,
            state=self.state,
            start=None if start is None else start.isoformat(),
            stop_when_lost=self.on_lost == "fail",
            **options,
        )

    def _conclude(self, context: Context, outcome: dict[str, Any]) -> dict[str, Any]:
        if outcome["lost"] and self.on_lost == "fail":
            named = examples(outcome["references"], goal_of(self.state).lost)
            raise VendorError(
                f"{outcome['lost']} of {outcome['total']} messages can't be {self.state} any more: {named}",
                vendor=VENDOR,
                operation="track",
                connection=self.marigold_conn_id,
                setting="on_lost='continue' to accept such messages",
            )
        return outcome
