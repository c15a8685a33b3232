"""Messangi Digital Engagement, as its API page describes it."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.messangi.vendor import Messangi

__all__ = ["Messangi"]
