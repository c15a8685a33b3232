"""All that this vendor remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_messaging.sandbox.deliveries import Deliveries
from airflow_provider_messaging.sandbox.engageone.blacklist import Blacklist
from airflow_provider_messaging.sandbox.engageone.listings import Listing
from airflow_provider_messaging.sandbox.engageone.sends import Send
from airflow_provider_messaging.sandbox.engageone.settings import Settings
from airflow_provider_messaging.sandbox.tokens import TokenStore

ALWAYS_FAILS = "always-fails"
"""The campaign whose sends fail."""


class Company:
    """What the Private API shows to the company of a token."""

    def __init__(self) -> None:
        self.campaigns = Listing("campaign", ("newsletter", "welcome", ALWAYS_FAILS), communication="Example")
        self.communications = Listing("communication", ("Example", "Welcome"), project="Samples")
        self.templates = Listing("template", ("plain", "letter"), channel="email")
        self.data_sources = Listing("data", ("customers",), fields=["reference", "email", "name"])
        self.assets: list[dict[str, Any]] = []
        self.sends: dict[str, Send] = {}

    def listing(self, kind: str) -> Listing:
        """By the name of its path: ``campaigns``, ``communications``, ``templates`` or ``data``."""
        listings = {
            "campaigns": self.campaigns,
            "communications": self.communications,
            "templates": self.templates,
            "data": self.data_sources,
        }
        return listings[kind]


class State:
    """One sandbox's state of this vendor; a reset makes a new one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokens: TokenStore[str] = TokenStore()
        self.deliveries = Deliveries()
        self.blacklist = Blacklist()
        self._companies: dict[str, Company] = {}

    def company(self, customer: str) -> Company:
        """That of a customer id, made when it is asked for first."""
        company = self._companies.get(customer)
        if company is None:
            company = self._companies[customer] = Company()
        return company

    def kept(self) -> Mapping[str, Iterable[Any]]:
        """Rows by kind; of all companies, with the ``customer`` they belong to."""
        companies = self._companies.items()
        return {
            "blacklist": self.blacklist,
            "campaigns": ({"customer": name, **row} for name, company in companies for row in company.campaigns),
            "assets": ({"customer": name, **row} for name, company in companies for row in company.assets),
            "sends": (
                {"customer": name, **send.row(self.settings.send_delay)}
                for name, company in companies
                for send in company.sends.values()
            ),
        }
