"""The vendor as the sandbox knows it: its state, its routes, its connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_messaging.sandbox.http import Answer, Request
from airflow_provider_messaging.sandbox.messangi import auth, messages, seeded
from airflow_provider_messaging.sandbox.messangi.answers import problem
from airflow_provider_messaging.sandbox.messangi.directory_api import OPERATIONS, Operation
from airflow_provider_messaging.sandbox.messangi.settings import (
    PASSWORD,
    SUBSCRIBERS_PREFIX,
    TWO_FACTOR_TOKEN,
    USERNAME,
    Settings,
)
from airflow_provider_messaging.sandbox.messangi.state import State
from airflow_provider_messaging.sandbox.routing import Route
from airflow_provider_messaging.sandbox.vendor import StatefulVendor

SENDS: tuple[tuple[str, str, messages.Kind], ...] = (
    ("send_sms", "/raven/v2/messages", messages.SMS),
    ("send_email", "/crowsnest/v2/emails", messages.EMAIL),
    ("send_whatsapp", "/balerion/v3/messages", messages.WHATSAPP),
    ("send_notification", "/oberyn/v2/notification", messages.NOTIFICATION),
)


class Messangi(StatefulVendor[State]):
    """Messangi Digital Engagement. The tokens that can be expired are those of logins, not API keys."""

    name = "messangi"
    settings: Settings

    def new_state(self) -> State:
        return State(Settings())

    def problem(self, status: int, detail: str | None = None) -> Answer:
        return problem(status, detail)

    def seed(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        return seeded.seed(self.state.directory, order)

    def kept(self) -> Mapping[str, Iterable[Any]]:
        directory = self.state.directory
        return {
            "lists": directory.list_rows(),
            "subscribers": directory.subscriber_rows(),
            "owners": directory.owners,
            "wallet_templates": self.state.wallet.templates,
        }

    def connections(self, base_url: str) -> Mapping[str, Mapping[str, Any]]:
        return {
            "messangi_default": {
                "conn_type": "messangi",
                "host": base_url,
                "login": USERNAME,
                "password": PASSWORD,
                "extra": {"subscribers_prefix": SUBSCRIBERS_PREFIX, "two_factor_token": TWO_FACTOR_TOKEN},
            }
        }

    def routes(self) -> Iterable[Route]:
        yield Route("login", "POST", "/kingslanding/login", self._login, max_body=100_000)
        for operation, path, kind in SENDS:
            yield Route(operation, "POST", path, self._authorised(_sending(kind)))
        yield Route("get_message", "GET", "/raven/v2/messages/{message_id}", self._authorised(_look_up))
        yield Route(
            "create_wallet_template", "POST", "/ironbank/v2/wallet/templates", self._authorised(_create_template)
        )
        for method, path, handler in OPERATIONS:
            yield Route(handler.__name__, method, f"{SUBSCRIBERS_PREFIX}{path}", self._authorised(handler))

    def _login(self, request: Request) -> Answer:
        return auth.login(request, self.settings, self.state.tokens)

    def _authorised(self, handler: Operation) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            auth.require_user(request, self.settings, self.state.tokens)
            return handler(self.state, request)

        return handle


def _sending(kind: messages.Kind) -> Operation:
    def send(state: State, request: Request) -> Answer:
        return state.messages.send(request, state.settings, kind)

    return send


def _look_up(state: State, request: Request) -> Answer:
    return state.messages.look_up(request, state.settings)


def _create_template(state: State, request: Request) -> Answer:
    return state.wallet.create(request)
