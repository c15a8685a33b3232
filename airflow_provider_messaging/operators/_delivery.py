"""What all operators that hand many rows to a vendor share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator

from airflow_provider_messaging.core.errors import (
    AmbiguousDeliveryError,
    ConfigurationError,
    MessagingError,
    RowError,
    ValidationError,
)
from airflow_provider_messaging.core.messages import Doubt
from airflow_provider_messaging.delivery.options import LedgerStore, Options, Stopped
from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.hooks._delivery import DeliveryThread, identity_of, ledger_store, origin_of
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._heap import heap_set_aside
from airflow_provider_messaging.hooks._inputs import listed
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks._storage import line_file, rows_of, storage_path
from airflow_provider_messaging.links import SEND_LINKS, links_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.delivery.plan import Plan
    from airflow_provider_messaging.delivery.spool import Spool
    from airflow_provider_messaging.hooks._base import Client, MessagingHook

_SHOWN = 5


class DeliveryOperator(BaseOperator):
    """Hands rows to a vendor, each once, through retries, kills and lost replies.

    A subclass takes the rows in an argument and its twin for a file, and keeps both under those names: see
    `rows_field`.

    :param manifest_path: where to write one line for every valid row: reference, recipient, outcome.
    :param rejects_path: where to write the rows that were not accepted, with the reasons; mended, such a file can be
        given again.
    :param on_rejected: ``fail`` sends nothing if any row breaks a rule; ``continue`` sends the others.
    :param on_ambiguous: what to do about requests that may or may not have been taken. ``reconcile`` asks the vendor,
        where it can be asked, repeats only what was not taken, and fails if anything remains in doubt; ``continue``
        does the same but succeeds, and the result and the manifest tell; ``fail`` asks nothing. Where a repeat does no
        harm, nothing is ever in doubt.
    :param max_concurrency: requests in flight.
    :param rate_limit: rows a second, None for no limit of ours. The vendor's 429 is obeyed in any case.
    :param dry_run: judge every row, write the rejects, send nothing.
    """

    rows_field: ClassVar[str]
    """The name of the argument that holds the rows; the file's is the same with ``_path``."""
    manifest_field: ClassVar[str] = "manifest_path"
    """The name of the argument that says where the manifest goes."""

    template_fields: Sequence[str] = ("manifest_path", "rejects_path")
    operator_extra_links = SEND_LINKS

    def __init__(
        self,
        *,
        manifest_path: str | None = None,
        rejects_path: str | None = None,
        on_rejected: Literal["fail", "continue"] = "fail",
        on_ambiguous: Literal["reconcile", "continue", "fail"] = "reconcile",
        max_concurrency: int = 4,
        rate_limit: float | None = None,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        # Each member of the result can be passed on by itself: send.output["manifest_path"].
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.manifest_path = manifest_path
        self.rejects_path = rejects_path
        self.on_rejected = on_rejected
        self.on_ambiguous = on_ambiguous
        self.max_concurrency = max_concurrency
        self.rate_limit = rate_limit
        self.only_validate = dry_run
        self._thread: DeliveryThread | None = None

    @abstractmethod
    def make_hook(self) -> MessagingHook:
        """Return the hook of the connection."""

    @abstractmethod
    def make_channel(self, hook: Any, client: Client) -> Channel:
        """Return what the rows are for."""

    def summary(self, report: Report) -> dict[str, Any]:
        """Return the operator's result, but for the paths of its files."""
        counts = report.counts()
        found: dict[str, Any] = {self.rows_field: counts.pop("messages"), **counts}
        if report.outcomes:
            found["outcomes"] = dict(sorted(report.outcomes.items()))
        return found

    def make_outputs(self, context: Context) -> Outputs:
        """Return the files of a try."""
        return Outputs(
            manifest=line_file(self._manifest_path, self.manifest_field),
            rejects=line_file(self.rejects_path, "rejects_path"),
            origin=origin_of(context),
        )

    def open_ledger(self, context: Context) -> tuple[LedgerStore, bool, datetime | None]:
        """Return what earlier tries left: see `ledger_store`."""
        return ledger_store(context)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send, and return the counts and the two paths.

        :raises AirflowFailException: where a retry is of no use.
        """
        hook = self.make_hook()
        # Not when a DAG is parsed.
        from airflow_provider_messaging.delivery.spool import Spool

        with (
            no_retry_where_useless(),
            links_of(context, hook.conn_type) as links,
            heap_set_aside(),
            Spool(datetime.now(UTC)) as spool,
        ):
            self.check_arguments()
            thread = self._thread = DeliveryThread()
            client = hook.client
            channel = self.make_channel(hook, client)
            rows = self.read_rows()
            if self.rejects_path:
                links["rejects"] = self.rejects_path
            if self.only_validate or self.on_rejected == "fail":
                judged = Outputs(manifest=None, rejects=line_file(self.rejects_path, "rejects_path"), origin={})
                report = self._validate(rows, channel, context, judged, spool)
                if self.only_validate:
                    return self._conclude(report, judged, channel)
            if self._manifest_path:
                links["manifest"] = self._manifest_path
            outputs = self.make_outputs(context)
            store, assume_sent, not_before = self.open_ledger(context)
            try:
                with outputs:
                    report = thread.run(
                        transport=partial(hook.async_transport, client),
                        rows=rows,
                        channel=channel,
                        store=store,
                        outputs=outputs,
                        reference_of=identity_of(context).reference,
                        options=replace(self.options(), assume_sent=assume_sent, not_before=not_before),
                        judged=spool,
                    )
            except Stopped:
                raise AirflowException(
                    f"The task was asked to end: {thread.report}. The ledger knows what was sent; a retry goes on."
                ) from None
            except MessagingError as error:
                self.log.error("The send broke off: %s", thread.report)
                error.message = f"{error.message} (the send broke off: {thread.report})"
                raise
            return self._conclude(report, outputs, channel, thread.reason)

    def on_kill(self) -> None:
        """Start no new request; those in flight may end, and the ledger is left true."""
        if self._thread is not None:
            self._thread.stop()

    def _validate(
        self,
        rows: Callable[[], Iterable[Any]],
        channel: Channel,
        context: Context,
        outputs: Outputs,
        spool: Spool,
    ) -> Report:
        """Judge every row before any is sent, and keep what is to be sent.

        :raises ValidationError: if a row breaks a rule and `on_rejected` is ``fail``.
        """
        # Not when a DAG is parsed.
        from airflow_provider_messaging.delivery.dry_run import dry_run
        from airflow_provider_messaging.delivery.plan import Plan

        def plan(on_reject: Callable[..., None]) -> Plan:
            return Plan(
                rows=rows(),
                channel=channel,
                reference_of=identity_of(context).reference,
                now=spool.now,
                on_reject=on_reject,
            )

        with outputs:
            report = dry_run(plan, outputs, None if self.only_validate else spool)
            outputs.ready = True
        if report.rejected and self.on_rejected == "fail":
            raise ValidationError(
                f"{report.rejected} of {report.messages} rows break the vendor's rules; nothing was sent. "
                + self._sample(outputs),
                rows=[reject.as_row_error() for reject in outputs.sample],
                setting="the rows, or on_rejected='continue' to send the others",
            )
        return report

    def _conclude(self, report: Report, outputs: Outputs, channel: Channel, reason: str = "") -> dict[str, Any]:
        """Log the outcome, and succeed or fail by it."""
        self.log.info("%s: %s", "Dry run, nothing was sent" if self.only_validate else "Sent", report)
        if report.rejected:
            self.log.warning("%d rows were rejected. %s", report.rejected, self._sample(outputs))
        if report.ambiguous:
            self._tell_ambiguous(report, channel, reason)
        if report.rejected and self.on_rejected == "fail" and not self.only_validate:
            raise ValidationError(
                f"{report}. The vendor refused rows that our rules had passed. {self._sample(outputs)}",
                rows=[reject.as_row_error() for reject in outputs.sample],
                setting="the rows, or on_rejected='continue' to accept such rejects",
            )
        return {
            **self.summary(report),
            self.manifest_field: None if self.only_validate else self._manifest_path,
            "rejects_path": self.rejects_path,
        }

    def _tell_ambiguous(self, report: Report, channel: Channel, reason: str) -> None:
        """Log what nobody knows.

        :raises AmbiguousDeliveryError: unless it is to be told in the result only.
        """
        again = channel.doubt is Doubt.LOOK_UP and self.on_ambiguous != "fail"
        path = self._manifest_path
        text = (
            f"{report}. Nobody can say whether the ambiguous ones were taken ({reason}); they were not sent again. "
            + (f"The manifest {path} names them" if path else "A manifest would name them")
        )
        if self.on_ambiguous == "continue":
            self.log.warning("%s.", text)
            return
        raise AmbiguousDeliveryError(text + ("; a retry looks them up once more" if again else ""), retryable=again)

    def _sample(self, outputs: Outputs) -> str:
        shown = "; ".join(str(RowError(row=r.row, errors=r.errors)) for r in outputs.sample[:_SHOWN])
        where = f" All of them are in {self.rejects_path}." if self.rejects_path else ""
        return f"The first: {shown}.{where}"

    def check_arguments(self) -> None:
        """Check what a DAG author gave, before anything is read or sent.

        :raises ConfigurationError: naming the argument.
        """
        field, path = self.rows_field, f"{self.rows_field}_path"
        if (getattr(self, field) is None) == (getattr(self, path) is None):
            raise ConfigurationError(f"give either {field} or {path}", setting=f"{field} or {path}")
        for name, allowed in (
            ("on_rejected", ("fail", "continue")),
            ("on_ambiguous", ("reconcile", "continue", "fail")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigurationError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}", setting=name
                )
        if self.max_concurrency < 1:
            raise ConfigurationError("max_concurrency must be at least 1", setting="max_concurrency")
        if self.rate_limit is not None and self.rate_limit <= 0:
            raise ConfigurationError("rate_limit must be above 0, or None", setting="rate_limit")
        for name in (self.manifest_field, "rejects_path"):
            if getattr(self, name) is not None:
                storage_path(getattr(self, name), name)

    @property
    def _manifest_path(self) -> str | None:
        path: str | None = getattr(self, self.manifest_field)
        return path

    def options(self) -> Options:
        """Return how to send."""
        return Options(
            max_concurrency=limited(self.max_concurrency),
            rate_limit=self.rate_limit,
            on_ambiguous="fail" if self.on_ambiguous == "fail" else "reconcile",
        )

    def read_rows(self) -> Callable[[], Iterable[Any]]:
        """Return what yields the rows from the first one, as often as it is called."""
        field = self.rows_field
        path = getattr(self, f"{field}_path")
        if path is not None:
            return rows_of(path, f"{field}_path")
        rows = listed(getattr(self, field), field)
        return lambda: rows
