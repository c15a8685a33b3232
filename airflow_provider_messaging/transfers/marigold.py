"""Feedback of Marigold Engage Delivery Cloud: to object storage, and from there into a database."""

from __future__ import annotations

from airflow_provider_messaging.transfers._arguments import KINDS
from airflow_provider_messaging.transfers._gaps import FillFeedbackGapsOperator
from airflow_provider_messaging.transfers._landing import FeedbackToObjectStorageOperator
from airflow_provider_messaging.transfers._loading import FeedbackToSqlOperator
from airflow_provider_messaging.transfers._windows import FeedbackWindowsOperator

__all__ = [
    "KINDS",
    "FeedbackToObjectStorageOperator",
    "FeedbackToSqlOperator",
    "FeedbackWindowsOperator",
    "FillFeedbackGapsOperator",
]
