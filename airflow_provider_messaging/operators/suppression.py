"""From feedback to EngageOne's blacklist, through the manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast

from airflow.providers.common.compat.sdk import TaskGroup

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._feedback_files import Source
from airflow_provider_messaging.hooks._state import state_accessor
from airflow_provider_messaging.hooks._storage import storage_path
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.operators._addresses import BlacklistAddressOperator
from airflow_provider_messaging.operators._attribution import AttributeFeedbackOperator, AttributionOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["AttributeFeedbackOperator", "SuppressFeedbackOperator", "suppress_feedback"]

STATE_KEY = "messaging_attribution"


class SuppressFeedbackOperator(AttributionOperator, BlacklistAddressOperator):
    """Attributes landed feedback and puts the addresses that a policy suppresses on EngageOne's blacklist.

    It does what `AttributeFeedbackOperator` and `BlacklistAddressOperator` do one after the other, and takes their
    parameters. The result of the former is merged with ``accepted``, ``rejected``, ``resumed``, ``requests``,
    ``outcomes``, ``suppressed_path`` and ``rejects_path`` of the latter.

    From Airflow 3.3 on, a retry goes on with the addresses that the first try wrote, whatever has landed since.

    See ``docs/suppression.md``.

    :param addresses_path: where the addresses are written; with the run's id in it, so that no other run writes there.
    :param suppressed_path: where to write the blacklist's manifest, one line for each address.
    :param on_rejected: what the vendor refuses is written to `rejects_path`, and the task succeeds (``continue``), or
        fails once all others are done (``fail``).
    """

    rows_field = "addresses"
    manifest_field = "suppressed_path"
    template_fields: Sequence[str] = (
        *AttributionOperator.template_fields,
        "suppressed_path",
        "rejects_path",
        "category",
        "engageone_conn_id",
    )
    manifest_path: Any
    """Of what was sent. The blacklist's own one is `suppressed_path`."""
    addresses = None
    """The rows are those of `addresses_path`, always."""

    def __init__(
        self,
        *,
        suppressed_path: str | None = None,
        on_rejected: Literal["fail", "continue"] = "continue",
        **kwargs: Any,
    ) -> None:
        super().__init__(on_rejected=on_rejected, **kwargs)
        self.suppressed_path = suppressed_path

    def check_arguments(self) -> None:
        super().check_arguments()
        for name in ("emails", "emails_path", "reason"):
            if getattr(self, name) is not None:
                raise ConfigurationError(f"the feedback decides; {name} can't be given", setting=name)

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the files, blacklist, and return the counts.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            self.check_arguments()
            found = self._earlier(context)
            if found is None:
                found = self.attribute(self.category or None)
                self._remember(context, found)
        found |= super().execute(context)
        self.tell_assets(context, found)
        return found

    def _earlier(self, context: Context) -> dict[str, Any] | None:
        """Return what an earlier try found, None if it has to be found.

        The blacklist's ledger knows how many of the addresses are done, so they must remain the same ones.
        """
        accessor = state_accessor(context)
        stored = accessor.get(STATE_KEY) if accessor is not None else None
        if not isinstance(stored, dict) or stored.get("generation") != context["ti"].max_tries:
            return None
        path = storage_path(self.addresses_path, "addresses_path")
        if not path.fs.exists(path.path):
            return None
        self.log.info("An earlier try attributed the feedback: %s", stored["found"])
        found: dict[str, Any] = stored["found"]
        return found

    def _remember(self, context: Context, found: Mapping[str, Any]) -> None:
        accessor = state_accessor(context)
        if accessor is not None:
            accessor.set(STATE_KEY, {"generation": context["ti"].max_tries, "found": found})


class AttributionOptions(TypedDict, total=False):
    """What `AttributeFeedbackOperator` can be told beside where its files are."""

    unattributed_path: str | None
    reached_path: str | None
    kinds: Sequence[str]
    hard: bool
    soft_bounces: int | None
    soft_window: timedelta | float
    spam_bounces: Literal["ignore", "soft", "hard"]
    complaints: bool
    unsubscribes: bool
    since: str | datetime | None


def suppress_feedback(
    group_id: str = "suppress_feedback",
    *,
    manifest_path: Source | None = None,
    source_path: Source,
    addresses_path: str,
    suppressed_path: str | None = None,
    rejects_path: str | None = None,
    category: str | None = None,
    on_rejected: Literal["fail", "continue"] = "continue",
    max_concurrency: int = 4,
    rate_limit: float | None = None,
    engageone_conn_id: str = EngageOneHook.default_conn_name,
    **options: Unpack[AttributionOptions],
) -> TaskGroup:
    """Return a task group of two tasks: ``attribute`` (`AttributeFeedbackOperator`) and ``blacklist``
    (`BlacklistAddressOperator`).

    It does what `SuppressFeedbackOperator` does in one task, whose parameters it takes. Two tasks can be watched,
    retried and cleared apart, and another task may read the addresses between them::

        land >> suppress_feedback(
            manifest_path="s3://mail/manifests",
            source_path="s3://mail/feedback",
            addresses_path="s3://mail/suppressed/{{ run_id }}.ndjson",
            since="{{ data_interval_start }}",
        )
    """
    with TaskGroup(group_id=group_id, tooltip="From feedback to EngageOne's blacklist") as group:
        attribute = AttributeFeedbackOperator(
            task_id="attribute",
            manifest_path=manifest_path,
            source_path=source_path,
            addresses_path=addresses_path,
            category=category,
            **options,
        )
        BlacklistAddressOperator(
            task_id="blacklist",
            emails_path=cast("Any", attribute.output)["addresses_path"],
            manifest_path=suppressed_path,
            rejects_path=rejects_path,
            category=category,
            on_rejected=on_rejected,
            max_concurrency=max_concurrency,
            rate_limit=rate_limit,
            engageone_conn_id=engageone_conn_id,
        )
    return group
