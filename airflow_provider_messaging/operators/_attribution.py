"""Feedback and manifests on object storage: who wrote back, and who is to get no more mail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.delivery.attribution import Attribution, Policy
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._feedback_files import KINDS, Source, events_of, feedback_files
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._lineage import Dataset, Lineage, collect_hook_lineage, emit_asset_events
from airflow_provider_messaging.hooks._manifests import manifest_files, sent_messages
from airflow_provider_messaging.hooks._storage import line_file, storage_path
from airflow_provider_messaging.hooks._window import seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

T = TypeVar("T")

PROGRESS_SECONDS = 10.0
_LINES = 1000


class AttributionOperator(BaseOperator):
    """What attributes feedback: see `AttributeFeedbackOperator` for the parameters."""

    template_fields: Sequence[str] = (
        "manifest_path",
        "source_path",
        "addresses_path",
        "unattributed_path",
        "reached_path",
        "since",
    )

    def __init__(
        self,
        *,
        manifest_path: Source | None = None,
        source_path: Source,
        addresses_path: str,
        unattributed_path: str | None = None,
        reached_path: str | None = None,
        kinds: Sequence[str] = KINDS,
        hard: bool = True,
        soft_bounces: int | None = 3,
        soft_window: timedelta | float = timedelta(days=30),
        spam_bounces: Literal["ignore", "soft", "hard"] = "ignore",
        complaints: bool = True,
        unsubscribes: bool = True,
        since: str | datetime | None = None,
        **kwargs: Any,
    ) -> None:
        # Each member of the result can be passed on by itself: attribute.output["addresses_path"].
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.manifest_path = manifest_path
        self.source_path = source_path
        self.addresses_path = addresses_path
        self.unattributed_path = unattributed_path
        self.reached_path = reached_path
        self.kinds = kinds
        self.hard = hard
        self.soft_bounces = soft_bounces
        self.soft_window = soft_window
        self.spam_bounces = spam_bounces
        self.complaints = complaints
        self.unsubscribes = unsubscribes
        self.since = since
        self._lineage = Lineage()

    def policy(self) -> Policy:
        """Return whom to suppress.

        :raises ConfigurationError: naming the argument at fault.
        """
        policy = Policy(
            hard=self.hard,
            soft_bounces=self.soft_bounces,
            soft_window=seconds(self.soft_window, "soft_window"),
            spam_bounces=self.spam_bounces,
            complaints=self.complaints,
            unsubscribes=self.unsubscribes,
            since=as_moment(self.since, "since"),
        )
        policy.check()
        return policy

    def attribute(self, category: str | None) -> dict[str, Any]:
        """Write the files and return the counts and the paths."""
        policy = self.policy()
        for name in ("addresses_path", "unattributed_path", "reached_path"):
            if getattr(self, name) is not None:
                storage_path(getattr(self, name), name)
        manifests = [] if self.manifest_path is None else manifest_files(self.manifest_path)
        kinds = [self.kinds] if isinstance(self.kinds, str) else self.kinds
        files = feedback_files(self.source_path, kinds, since=policy.history_since)
        with Attribution(policy, keep_events=self.unattributed_path is not None) as found:
            sent = chain.from_iterable(sent_messages(name) for name in manifests)
            found.add_messages(self._progress(sent, f"messages of {len(manifests)} manifests"))
            events = chain.from_iterable(events_of(file) for file in files)
            found.add_events(self._progress(events, f"events of {len(files)} files"))
            counts = found.join()
            self.log.info("%d of these events are copies of others", counts.copies)
            self._write(self.unattributed_path, "unattributed_path", found.unattributed)
            self._write(self.reached_path, "reached_path", found.reached)
            # The last one: that it is there says that the others are.
            self._write(self.addresses_path, "addresses_path", partial(found.addresses, category=category))
        self.log.info(
            "%d of %d events are attributed, %d addresses are to be suppressed: %s",
            counts.attributed,
            counts.events,
            counts.addresses,
            dict(sorted(counts.reasons.items())),
        )
        if counts.problems:
            self.log.warning(
                "%d events are not attributed, and suppress nobody: %s",
                counts.problems.total(),
                dict(sorted(counts.problems.items())),
            )
        written = {name: getattr(self, name) for name in ("addresses_path", "unattributed_path", "reached_path")}
        self._describe([*manifests, *(file.name for file in files)], [path for path in written.values() if path])
        return {**counts.as_dict(), **written}

    def tell_assets(self, context: Context, found: Mapping[str, Any]) -> None:
        """Describe the events of the task's outlets: with counts, and without addresses."""
        extra = {name: value for name, value in found.items() if not name.endswith("_path")}
        emit_asset_events(cast("dict[str, Any]", context), location=self.addresses_path, extra=extra)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what was read and written, for OpenLineage."""
        return self._lineage.as_openlineage()

    def _describe(self, read: Sequence[str], written: Sequence[str]) -> None:
        collect_hook_lineage(self, inputs=read, outputs=written)
        self._lineage = Lineage(
            inputs=[Dataset.at(name) for name in read], outputs=[Dataset.at(name) for name in written]
        )

    def _write(self, path: str | None, setting: str, lines: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
        file = line_file(path, setting)
        if file is None:
            return
        complete = False
        try:
            rows = self._progress(lines(), f"lines for {path}")
            while part := list(islice(rows, _LINES)):
                file.write_all(part)
            complete = True
        finally:
            file.finish(publish=complete)

    def _progress(self, items: Iterable[T], what: str) -> Iterator[T]:
        """Hand the items on, and tell how many there were, now and then."""
        began = told = time.monotonic()
        done = 0
        for done, item in enumerate(items, 1):
            yield item
            if done % _LINES == 0 and (now := time.monotonic()) - told >= PROGRESS_SECONDS:
                told = now
                self.log.info("%d %s, %.0f a second", done, what, done / (now - began))
        self.log.info("%d %s", done, what)


class AttributeFeedbackOperator(AttributionOperator):
    """Joins landed feedback with the manifests of what was sent, and writes the addresses that a policy suppresses.

    A vendor's feedback names the message, not its recipient; the manifest knows the recipient. Where several manifests,
    or a manifest and the feedback itself, name different recipients of one reference, its events are ambiguous, and
    suppress nobody. Copies of an event count once. The join is on disk: memory does not grow with the files.

    Equal input gives equal files, in whatever order it comes. Each file is written as a whole or not at all.

    Returns ``{"messages", "events", "copies", "attributed", "ambiguous", "unattributed", "problems", "addresses",
    "reasons", "addresses_path", "unattributed_path", "reached_path"}``: ``attributed + ambiguous + unattributed ==
    events``, without the ``copies``; ``problems`` counts the events of the middle two by code, ``reasons`` the
    addresses by reason; ``messages`` are those of the manifests that were not rejected.

    See ``docs/suppression.md``.

    :param manifest_path: manifests on any object storage: a file, a glob (``…/*/manifest.ndjson``), a folder that holds
        nothing else, the result of a send, or a list of any of these; the folder ``kind=deliveries`` of a receiver of
        webhooks counts as one. Not needed where all that suppresses names its recipient, as the webhook's failed
        deliveries do.
    :param source_path: landed feedback: a file, the folder, the result of `FeedbackToObjectStorageOperator`, a folder
        of the webhook's segments, a batch of `WebhookEventTrigger`, or a list of any of these.
    :param addresses_path: NDJSON, one line for each address to suppress, sorted: ``email``, ``reason`` (``Complaint``,
        ``Recipient Unsubscribed``, ``Hard Bounce``, ``Spam Bounce``, ``Soft Bounce``: the first that is true),
        ``category``, and of the events with that reason: ``references`` (of the first 20 messages), ``events`` (their
        number), ``first_at``, ``last_at``.
    :param unattributed_path: NDJSON, the events that were not attributed, each with its ``code`` and a ``message`` as
        ``_unattributed``.
    :param reached_path: NDJSON, a line for each accepted message of which, and of whose recipient, no event came:
        ``email`` and ``reference``.
    :param kinds: what to take from a folder; of a single file without ``kind=…`` in its path: what it holds.
    :param hard: a hard bounce suppresses.
    :param soft_bounces: that many messages that bounced softly within `soft_window` suppress; None: they never do.
    :param soft_window: a timedelta or seconds.
    :param spam_bounces: messages that were refused as spam are left alone (``ignore``), or count as ``soft`` or as
        ``hard`` bounces.
    :param complaints: a complaint suppresses.
    :param unsubscribes: an unsubscribe suppresses.
    :param since: ISO 8601 or a datetime: only what events from then on bring about. Soft bounces of the `soft_window`
        before it count towards their number.
    :param category: of the mail that the addresses are to get no more of; None leaves it to EngageOne.
    """

    template_fields: Sequence[str] = (*AttributionOperator.template_fields, "category")

    def __init__(self, *, category: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.category = category

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the files and return the counts.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            found = self.attribute(self.category or None)
        self.tell_assets(context, found)
        return found
