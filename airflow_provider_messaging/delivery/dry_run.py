"""Judging an input without sending it."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_messaging.delivery.outputs import Outputs
from airflow_provider_messaging.delivery.plan import GROUP_BYTES, Plan, RejectedRow, groups
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.delivery.spool import Spool


def dry_run(
    plan: Callable[[Callable[[RejectedRow], None]], Plan], outputs: Outputs, spool: Spool | None = None
) -> Report:
    """Judge and pack every row and send nothing: the report of a send in which the vendor takes all that is valid.

    :param spool: keeps the batches, unless there is a reject.
    """
    report = Report()
    for group in groups(plan, size=1, max_bytes=GROUP_BYTES):
        for rejected in group.rejects:
            outputs.reject(rejected.reject, rejected.raw)
        valid = sum(len(batch.messages) for batch in group.batches)
        report.messages += valid + len(group.rejects)
        report.rejected += len(group.rejects)
        report.duplicates += group.duplicates
        report.accepted += valid
        report.requests += len(group.batches)
        if spool is None:
            continue
        if report.rejected:
            spool.give_up()
        for batch in group.batches:
            spool.add(batch)
        spool.duplicates = report.duplicates
    return report
