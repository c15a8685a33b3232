"""Marigold Engage Delivery Cloud, as its API page describes it."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.marigold.vendor import Marigold

__all__ = ["Marigold"]
