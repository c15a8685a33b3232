"""What the drivers tell the log: operations, statuses and times, never URLs, headers or bodies."""

from __future__ import annotations

import logging

from airflow_provider_messaging.core.flow import Sleep, describe
from airflow_provider_messaging.core.http import Reply, Request

_WORTH_TELLING = 1.0


def log_reply(logger: logging.Logger, request: Request, reply: Reply, seconds: float) -> None:
    """Log one exchange at DEBUG."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s: %s in %.0f ms", request.operation, describe(reply), seconds * 1000)


def log_sleep(logger: logging.Logger, step: Sleep) -> None:
    """Log a wait at INFO if somebody may wonder about it."""
    if step.seconds >= _WORTH_TELLING:
        logger.info("waiting %.1f s: %s", step.seconds, step.why or "paced")
