"""What is done with addresses, one request each: suppressing them, and asking about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.outputs import LineFile, Outcome, Outputs
from airflow_provider_messaging.delivery.source import BadLine, Line
from airflow_provider_messaging.hooks._state import NoLedger
from airflow_provider_messaging.hooks._storage import line_file, storage_path
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.operators._delivery import DeliveryOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.core.messages import Message
    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.delivery.options import LedgerStore
    from airflow_provider_messaging.delivery.report import Report
    from airflow_provider_messaging.hooks._base import Client

MOST_INLINE = 500
"""Verifications that are returned without a file."""


class _AddressOperator(DeliveryOperator):
    """Takes addresses, normalises them and leaves out repeated ones."""

    rows_field = "emails"
    template_fields: Sequence[str] = (
        "emails",
        "emails_path",
        *DeliveryOperator.template_fields,
        "engageone_conn_id",
    )

    def __init__(
        self,
        *,
        emails: Sequence[Any] | None = None,
        emails_path: str | None = None,
        engageone_conn_id: str = EngageOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.emails = emails
        self.emails_path = emails_path
        self.engageone_conn_id = engageone_conn_id

    def make_hook(self) -> EngageOneHook:
        return EngageOneHook(self.engageone_conn_id)

    def summary(self, report: Report) -> dict[str, Any]:
        return {
            "addresses": report.messages,
            "duplicates": report.duplicates,
            "accepted": report.accepted,
            "rejected": report.rejected,
            "resumed": report.resumed,
            "requests": report.requests,
            "outcomes": dict(sorted(report.outcomes.items())),
        }

    def read_rows(self) -> Callable[[], Iterable[Any]]:
        rows = super().read_rows()
        return rows if self.emails_path is None else lambda: map(_plain_line, rows())


def _plain_line(line: Line) -> Line:
    """Return a line that is not JSON, nor meant to be, as a line that is: an address."""
    value = line.value()
    if isinstance(value, BadLine):
        text = value.text.lstrip("\ufeff").strip()
        return line if text[:1] in {"{", "[", '"'} else Line(encode_json(text))
    return line


class BlacklistAddressOperator(_AddressOperator):
    """Puts addresses on EngageOne's unsubscribe list, so that they get no more mail.

    A row is an address, or an object with one as ``email``, ``address`` or ``recipient`` (so a manifest can be given)
    and perhaps a ``category`` and a ``reason`` of its own. In a file, a line that is not JSON is an address. Addresses
    are normalised: NFC, the domain in lower case and Unicode. What comes twice is sent once.

    An address that is on the list already is a success, and a retry goes on where the last try stopped.

    Returns ``{"addresses", "duplicates", "accepted", "rejected", "resumed", "requests", "outcomes", "manifest_path",
    "rejects_path"}``: ``accepted + rejected == addresses``, without the duplicates, and ``outcomes`` tells how many of
    the accepted ones were ``listed`` now and how many were ``already_listed``. For the other parameters see
    `DeliveryOperator`.

    See ``docs/engageone.md``.

    :param emails: rows, as a list or from XCom.
    :param emails_path: a file of such rows on any object storage (``.gz`` is unpacked), instead of `emails`.
    :param category: of what kind of messages, for rows that do not say; None leaves it to the vendor.
    :param reason: for instance ``Hard Bounce`` or ``Complaint``, for rows that do not say.
    :param engageone_conn_id: a connection of type ``engageone``.
    """

    template_fields: Sequence[str] = (*_AddressOperator.template_fields, "category", "reason")

    def __init__(self, *, category: str | None = None, reason: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.category = category
        self.reason = reason

    def make_channel(self, hook: EngageOneHook, client: Client) -> Channel:
        return hook.blacklist_channel(client, category=self.category or None, reason=self.reason or None)


class UnblacklistAddressOperator(_AddressOperator):
    """Takes addresses off EngageOne's unsubscribe list.

    Rows, parameters and result are those of `BlacklistAddressOperator`, without category and reason; the outcomes are
    ``removed`` and ``not_listed``. A 404 counts as ``not_listed`` only if the vendor's answer speaks of the address, or
    if the connection's extra ``unblacklist_verified`` says that the path is right; otherwise the task fails.

    See ``docs/engageone.md``.
    """

    def make_channel(self, hook: EngageOneHook, client: Client) -> Channel:
        return hook.unblacklist_channel(client)


class VerifyAddressOperator(_AddressOperator):
    """Asks EngageOne whether addresses can be written to.

    Rows are those of `BlacklistAddressOperator`. A retry asks about all of them anew.

    Returns ``{"addresses", "duplicates", "accepted", "rejected", "requests", "statuses", "results", "results_path",
    "rejects_path"}``: ``statuses`` counts the vendor's words; ``results`` are the lines of the results, at most 500 and
    only without a `results_path`, else None. For the other parameters see `DeliveryOperator`.

    See ``docs/engageone.md``.

    :param results_path: NDJSON on any object storage, a line for each address: ``email``, ``status`` (the vendor's
        word in lower case), ``document`` (its whole answer), ``row`` (of the input, 0-based).
    """

    template_fields: Sequence[str] = (
        *(name for name in _AddressOperator.template_fields if name != "manifest_path"),
        "results_path",
    )

    def __init__(self, *, results_path: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.results_path = results_path
        self._results: Results | None = None

    def make_channel(self, hook: EngageOneHook, client: Client) -> Channel:
        return hook.verify_channel(client)

    def check_arguments(self) -> None:
        super().check_arguments()
        if self.manifest_path is not None:
            raise ConfigurationError(
                "there is no manifest of a verification; give results_path", setting="results_path"
            )
        if self.results_path is not None:
            storage_path(self.results_path, "results_path")

    def make_outputs(self, context: Context) -> Outputs:
        self._results = Results(
            results=line_file(self.results_path, "results_path"),
            rejects=line_file(self.rejects_path, "rejects_path"),
            most=0 if self.results_path else MOST_INLINE,
        )
        return self._results

    def open_ledger(self, context: Context) -> tuple[LedgerStore, bool, datetime | None]:
        return NoLedger(), False, None

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, and return the counts.

        :raises AirflowFailException: where a retry is of no use.
        """
        found = super().execute(context)
        results = self._results.lines if self._results is not None and self.results_path is None else None
        if results is not None and len(results) < found["accepted"]:
            self.log.warning("More than %d results are not returned: give a results_path.", MOST_INLINE)
            results = None
        return {
            **{name: found[name] for name in ("addresses", "duplicates", "accepted", "rejected", "requests")},
            "statuses": found["outcomes"],
            "results": results,
            "results_path": self.results_path,
            "rejects_path": self.rejects_path,
        }


class Results(Outputs):
    """Writes what the vendor said of each address, and keeps the first `most` of it."""

    def __init__(self, *, results: LineFile | None, rejects: LineFile | None, most: int) -> None:
        super().__init__(manifest=None, rejects=rejects, origin={})
        self._results = results
        self._most = most
        self.lines: list[dict[str, Any]] = []

    def settle(
        self,
        messages: Sequence[Message],
        outcome: Outcome,
        at: datetime | None = None,
        details: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        lines = list(_results(messages, details or {}))
        self.lines += lines[: max(0, self._most - len(self.lines))]
        if self._results is not None:
            self._results.write_all(lines)

    def __exit__(self, *error: Any) -> None:
        try:
            if self._results is not None:
                self._results.finish(publish=self.ready and error[0] is None)
        finally:
            super().__exit__(*error)


def _results(messages: Sequence[Message], details: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if message.reference in details:
            yield {"email": message.recipient, **details[message.reference], "row": message.row}
