"""The vendor's services, each with its base URL and its kind of authentication."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from airflow_provider_messaging.core.auth import TOKENS, TokenCache
from airflow_provider_messaging.core.flow import Api, NoAuth, Problem
from airflow_provider_messaging.core.http import Response
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.vendors.engageone.auth import CustomerAuth, customer_auth, redaction
from airflow_provider_messaging.vendors.engageone.config import EngageOneConfig, service_name
from airflow_provider_messaging.vendors.engageone.endpoints import API, VENDOR, WITHOUT_CREDENTIALS
from airflow_provider_messaging.vendors.engageone.problems import read_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class EngageOne:
    """What one connection reaches. Tokens are shared, whoever makes this."""

    config: EngageOneConfig
    auth: CustomerAuth
    retry: RetryPolicy = RetryPolicy()

    @classmethod
    def of(
        cls,
        config: EngageOneConfig,
        *,
        cache: TokenCache = TOKENS,
        on_secret: Callable[[str], None] = lambda _: None,
        retry: RetryPolicy = RetryPolicy(),
    ) -> EngageOne:
        """Make it of a connection; for the parameters see `customer_auth`."""
        auth = customer_auth(config, cache=cache, on_secret=on_secret, retry=retry)
        return cls(config=config, auth=auth, retry=retry)

    def api(self, service: str = API) -> Api:
        """Return a service, with the credentials that it takes.

        :raises ConfigurationError: if there is no such service, or its base URL is not known.
        """
        name = service_name(service)
        redact = redaction(self.config, self.auth)
        public = name in WITHOUT_CREDENTIALS

        def read(response: Response) -> Problem:
            problem = read_problem(response, redact)
            if public and response.status in {401, 403}:
                return replace(problem, setting=f"{self.config.url_setting(name)} (the service takes no credentials)")
            return problem

        return Api(
            vendor=VENDOR,
            connection=self.config.connection,
            base_url=self.config.url(name),
            auth=NoAuth() if public else self.auth,
            read_problem=read,
            overrides=self.config.overrides,
            retry=self.retry,
            redact=redact,
        )
