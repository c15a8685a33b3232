"""What all operators that send messages with references of their own share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.delivery.options import Options
from airflow_provider_messaging.delivery.report import Report
from airflow_provider_messaging.operators._delivery import DeliveryOperator


class BatchSendOperator(DeliveryOperator):
    """Sends messages, each exactly once, through retries, kills and lost replies.

    For the other parameters see `DeliveryOperator`.

    :param messages: rows, as a list or from XCom.
    :param messages_path: NDJSON of such rows on any object storage (``.gz`` is unpacked), instead of `messages`.
    :param reconcile_window: seconds for which the vendor's tracking may lag behind acceptance.
    :param clock_skew: seconds by which the vendor's clock may be behind ours.
    """

    rows_field = "messages"
    template_fields: Sequence[str] = ("messages", "messages_path", *DeliveryOperator.template_fields)

    def __init__(
        self,
        *,
        messages: Sequence[Any] | None = None,
        messages_path: str | None = None,
        reconcile_window: float = 60.0,
        clock_skew: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.messages = messages
        self.messages_path = messages_path
        self.reconcile_window = reconcile_window
        self.clock_skew = clock_skew

    def check_arguments(self) -> None:
        super().check_arguments()
        for name in ("reconcile_window", "clock_skew"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must not be negative", setting=name)

    def options(self) -> Options:
        return replace(
            super().options(), reconcile_window=self.reconcile_window, clock_skew=timedelta(seconds=self.clock_skew)
        )

    def summary(self, report: Report) -> dict[str, Any]:
        return report.counts()
