"""EngageOne Communicate: users, private and public API as far as they are known, its other services by echo."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.engageone.vendor import EngageOne

__all__ = ["EngageOne"]
