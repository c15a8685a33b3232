"""Press'nXPress, as its API page describes it."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.pressnxpress.vendor import Pressnxpress

__all__ = ["Pressnxpress"]
