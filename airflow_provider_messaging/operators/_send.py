"""What all operators that send many messages share."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    ConfigurationError,
    MessagingError,
    RowError,
    ValidationError,
)
from airflow_provider_messaging.delivery.dry_run import dry_run
from airflow_provider_messaging.delivery.options import Options
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.delivery.plan import Plan
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.delivery.settle import Stopped
from airflow_provider_messaging.hooks._delivery import DeliveryThread, identity_of, ledger_store, origin_of
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._storage import line_file, lines_of, storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.hooks._base import Client, MessagingHook

_SHOWN = 5


class BatchSendOperator(BaseOperator):
    """Sends messages, each exactly once, through retries, kills and lost replies.

    :param messages: rows, as a list or from XCom.
    :param messages_path: NDJSON of such rows on any object storage (``.gz`` is unpacked), instead of `messages`.
    :param manifest_path: where to write one line for every valid message: reference, recipient, outcome.
    :param rejects_path: where to write the rows that were not accepted, with the reasons; mended, such a file is
        itself a `messages_path`.
    :param on_rejected: ``fail`` sends nothing if any row breaks a rule; ``continue`` sends the others.
    :param on_ambiguous: ``reconcile`` looks up what may or may not have been taken and repeats only what was not;
        ``fail`` looks nothing up.
    :param max_concurrency: requests in flight.
    :param rate_limit: messages a second, None for no limit of ours. The vendor's 429 is obeyed in any case.
    :param reconcile_window: seconds for which the vendor's tracking may lag behind acceptance.
    :param clock_skew: seconds by which the vendor's clock may be behind ours.
    :param dry_run: judge every row, write the rejects, send nothing.
    """

    template_fields: Sequence[str] = ("messages", "messages_path", "manifest_path", "rejects_path")

    def __init__(
        self,
        *,
        messages: Sequence[Any] | None = None,
        messages_path: str | None = None,
        manifest_path: str | None = None,
        rejects_path: str | None = None,
        on_rejected: Literal["fail", "continue"] = "fail",
        on_ambiguous: Literal["reconcile", "fail"] = "reconcile",
        max_concurrency: int = 4,
        rate_limit: float | None = None,
        reconcile_window: float = 60.0,
        clock_skew: float = 60.0,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.messages = messages
        self.messages_path = messages_path
        self.manifest_path = manifest_path
        self.rejects_path = rejects_path
        self.on_rejected = on_rejected
        self.on_ambiguous = on_ambiguous
        self.max_concurrency = max_concurrency
        self.rate_limit = rate_limit
        self.reconcile_window = reconcile_window
        self.clock_skew = clock_skew
        self.only_validate = dry_run
        self._thread: DeliveryThread | None = None

    @abstractmethod
    def make_hook(self) -> MessagingHook:
        """Return the hook of the connection."""

    @abstractmethod
    def make_channel(self, hook: Any, client: Client) -> Channel:
        """Return the vendor's bulk send."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Send, and return the counts and the two paths.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            self._check_arguments()
            thread = self._thread = DeliveryThread()
            hook = self.make_hook()
            client = hook.client
            channel = self.make_channel(hook, client)
            rows = self._rows()
            if self.only_validate or self.on_rejected == "fail":
                judged = Outputs(manifest=None, rejects=line_file(self.rejects_path, "rejects_path"), origin={})
                report = self._validate(rows, channel, context, judged)
                if self.only_validate:
                    return self._conclude(report, judged)
            outputs = Outputs(
                manifest=line_file(self.manifest_path, "manifest_path"),
                rejects=line_file(self.rejects_path, "rejects_path"),
                origin=origin_of(context),
            )
            store, assume_sent, not_before = ledger_store(context)
            try:
                with outputs:
                    report = thread.run(
                        transport=partial(hook.async_transport, client),
                        rows=rows,
                        channel=channel,
                        store=store,
                        outputs=outputs,
                        reference_of=identity_of(context).reference,
                        options=replace(self._options(), assume_sent=assume_sent, not_before=not_before),
                    )
            except Stopped:
                raise AirflowException(
                    f"The task was asked to end: {thread.report}. The ledger knows what was sent; a retry goes on."
                ) from None
            except MessagingError:
                self.log.error("The send broke off: %s", thread.report)
                raise
            return self._conclude(report, outputs, thread.reason)

    def on_kill(self) -> None:
        """Start no new request; those in flight may end, and the ledger is left true."""
        if self._thread is not None:
            self._thread.stop()

    def _validate(
        self, rows: Callable[[], Iterable[Any]], channel: Channel, context: Context, outputs: Outputs
    ) -> Report:
        """Judge every row before any is sent.

        :raises ValidationError: if a row breaks a rule and `on_rejected` is ``fail``.
        """

        def plan(on_reject: Callable[..., None]) -> Plan:
            return Plan(
                rows=rows(),
                channel=channel,
                reference_of=identity_of(context).reference,
                now=datetime.now(UTC),
                on_reject=on_reject,
            )

        with outputs:
            report = dry_run(plan, outputs)
            outputs.ready = True
        if report.rejected and self.on_rejected == "fail":
            raise ValidationError(
                f"{report.rejected} of {report.messages} rows break the vendor's rules; nothing was sent. "
                + self._sample(outputs),
                rows=[reject.as_row_error() for reject in outputs.sample],
                setting="the rows, or on_rejected='continue' to send the others",
            )
        return report

    def _conclude(self, report: Report, outputs: Outputs, reason: str = "") -> dict[str, Any]:
        """Log the outcome, and succeed or fail by it."""
        self.log.info("%s: %s", "Dry run, nothing was sent" if self.only_validate else "Sent", report)
        if report.rejected:
            self.log.warning("%d rows were rejected. %s", report.rejected, self._sample(outputs))
        if report.ambiguous:
            raise AmbiguousDeliveryError(
                f"{report}. Nobody can say whether the ambiguous ones were taken ({reason}); they were not sent again. "
                "The manifest names them"
                + ("; a retry looks them up once more" if self.on_ambiguous == "reconcile" else ""),
                retryable=self.on_ambiguous == "reconcile",
            )
        if report.rejected and self.on_rejected == "fail" and not self.only_validate:
            raise ValidationError(
                f"{report}. The vendor refused rows that our rules had passed. {self._sample(outputs)}",
                rows=[reject.as_row_error() for reject in outputs.sample],
                setting="the rows, or on_rejected='continue' to accept such rejects",
            )
        return {
            **report.counts(),
            "manifest_path": None if self.only_validate else self.manifest_path,
            "rejects_path": self.rejects_path,
        }

    def _sample(self, outputs: Outputs) -> str:
        shown = "; ".join(str(RowError(row=r.row, errors=r.errors)) for r in outputs.sample[:_SHOWN])
        where = f" All of them are in {self.rejects_path}." if self.rejects_path else ""
        return f"The first: {shown}.{where}"

    def _check_arguments(self) -> None:
        if (self.messages is None) == (self.messages_path is None):
            raise ConfigurationError("give either messages or messages_path", setting="messages or messages_path")
        for name, allowed in (("on_rejected", ("fail", "continue")), ("on_ambiguous", ("reconcile", "fail"))):
            if getattr(self, name) not in allowed:
                raise ConfigurationError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}", setting=name
                )
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        if self.rate_limit is not None and self.rate_limit <= 0:
            raise ConfigurationError("rate_limit must be above 0, or None", setting="rate_limit")
        for name in ("manifest_path", "rejects_path"):
            if getattr(self, name) is not None:
                storage_path(getattr(self, name), name)
        for name in ("reconcile_window", "clock_skew"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must not be negative", setting=name)

    def _options(self) -> Options:
        return Options(
            max_concurrency=self.max_concurrency,
            rate_limit=self.rate_limit,
            on_ambiguous=self.on_ambiguous,
            reconcile_window=self.reconcile_window,
            clock_skew=timedelta(seconds=self.clock_skew),
        )

    def _rows(self) -> Callable[[], Iterable[Any]]:
        if self.messages_path is not None:
            return lines_of(self.messages_path, "messages_path")
        rows: Any = self.messages
        if isinstance(rows, str):
            try:
                rows = json.loads(rows)
            except ValueError:
                rows = None
        if not isinstance(rows, Iterable) or isinstance(rows, dict | str | bytes):
            raise ConfigurationError(
                "messages must be a list of rows; from another task, pass its output itself "
                "(messages=other.output) rather than a template that turns it into text",
                setting="messages",
            )
        listed = list(rows)
        return lambda: listed
