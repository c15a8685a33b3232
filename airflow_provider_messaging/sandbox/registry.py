"""The vendors that the sandbox plays. A new one is a folder or file of its own and one entry here."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.engageone import EngageOne
from airflow_provider_messaging.sandbox.marigold import Marigold
from airflow_provider_messaging.sandbox.messangi import Messangi
from airflow_provider_messaging.sandbox.pressnxpress import Pressnxpress
from airflow_provider_messaging.sandbox.vendor import Vendor

VENDORS: tuple[type[Vendor], ...] = (Marigold, EngageOne, Messangi, Pressnxpress)
