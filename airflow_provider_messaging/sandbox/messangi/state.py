"""All that this vendor remembers."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.messangi.directory import Directory
from airflow_provider_messaging.sandbox.messangi.messages import Messages
from airflow_provider_messaging.sandbox.messangi.settings import Settings
from airflow_provider_messaging.sandbox.messangi.wallet import Wallet
from airflow_provider_messaging.sandbox.tokens import TokenStore


class State:
    """One sandbox's state of this vendor; a reset makes a new one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokens: TokenStore[str] = TokenStore()
        self.messages = Messages()
        self.deliveries = self.messages.deliveries
        self.wallet = Wallet()
        self.directory = Directory()
