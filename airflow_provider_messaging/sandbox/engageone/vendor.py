"""The vendor as the sandbox knows it: its state, its routes, its connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

import msgspec

from airflow_provider_messaging.sandbox.engageone import assets, auth, blacklist, campaigns, echo, listings
from airflow_provider_messaging.sandbox.engageone.problems import no_parameters, problem
from airflow_provider_messaging.sandbox.engageone.settings import CLIENT_ID, CUSTOMER_ID, SECRET, Settings
from airflow_provider_messaging.sandbox.engageone.state import State
from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder, Request
from airflow_provider_messaging.sandbox.routing import ANY, Handler, Route
from airflow_provider_messaging.sandbox.vendor import StatefulVendor

Operation = Callable[[State, str, Request], Answer]
"""Takes the state and the customer id of the token."""

MAX_SEND = 10_000_000
MAX_UPLOAD = 50_000_000
LISTINGS = (
    ("campaigns", "list_campaigns", "get_campaign"),
    ("communications", "list_communications", "get_communication"),
    ("templates", "list_templates", "get_template"),
    ("data", "list_data_sources", "get_data_source"),
)


class SeedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of the admin: so many more rows of a listing, by the name of its path."""

    kind: Literal["campaigns", "communications", "templates", "data"]
    count: Annotated[int, msgspec.Meta(ge=1)]
    customer: str = CUSTOMER_ID


class EngageOne(StatefulVendor[State]):
    """EngageOne Communicate."""

    name = "engageone"
    settings: Settings

    def new_state(self) -> State:
        return State(Settings())

    def problem(self, status: int, detail: str | None = None) -> Answer:
        return problem(status, detail)

    def kept(self) -> Mapping[str, Iterable[Any]]:
        return self.state.kept()

    def seed(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            asked = msgspec.convert(order, SeedOrder)
        except msgspec.ValidationError as error:
            raise InvalidOrder(str(error)) from None
        listing = self.state.company(asked.customer).listing(asked.kind)
        rows = [listing.generate() for _ in range(asked.count)]
        return {"kind": asked.kind, "count": asked.count, "first": rows[0], "last": rows[-1]}

    def connections(self, base_url: str) -> Mapping[str, Mapping[str, Any]]:
        return {
            "engageone_default": {
                "conn_type": "engageone",
                "host": base_url,
                "login": CLIENT_ID,
                "password": SECRET,
                "extra": {"customer_id": CUSTOMER_ID},
            }
        }

    def routes(self) -> Iterable[Route]:
        yield Route("token", "POST", "/users/authenticate", self._token, max_body=100_000)
        yield from self._private_routes()
        yield Route("blacklist", "POST", "/public/blacklist", self._public(self._blacklist), max_body=100_000)
        yield Route("unblacklist", "DELETE", "/public/blacklist/{email}", self._public(self._unblacklist))
        yield Route("verify", "POST", "/public/verify", self._public(blacklist.verify), max_body=100_000)
        for service in echo.PRIVATE:
            handler = self._private(partial(_echo, service))
            yield Route("request", ANY, f"/{service}/{{path*}}", handler, max_body=MAX_UPLOAD)
        for service in echo.PUBLIC:
            handler = self._open(partial(echo.echo, service))
            yield Route("request", ANY, f"/{service}/{{path*}}", handler, max_body=MAX_UPLOAD)

    def _private_routes(self) -> Iterable[Route]:
        sends = self._private(campaigns.send)
        yield Route("send_campaign", "POST", "/private/campaigns/v2/{campaign}/transactional", sends, max_body=MAX_SEND)
        yield Route("send_campaign_v1", "POST", "/private/campaigns/{campaign}/transactional", sends, max_body=MAX_SEND)
        status = self._private(campaigns.status)
        yield Route("send_status", "GET", "/private/campaigns/transactional/{send_id}/status", status)
        yield Route("create_campaign", "POST", "/private/campaigns", self._private(campaigns.create))
        yield Route("upload_asset", "POST", "/private/assets", self._private(assets.upload), max_body=MAX_UPLOAD)
        for kind, list_them, get_one in LISTINGS:
            yield Route(list_them, "GET", f"/private/{kind}", self._private(partial(_list, kind)))
            yield Route(get_one, "GET", f"/private/{kind}/{{id}}", self._private(partial(_get, kind)))

    def _token(self, request: Request) -> Answer:
        return auth.authenticate(self.settings, self.state.tokens, request)

    def _blacklist(self, request: Request) -> Answer:
        return blacklist.add(self.state.blacklist, self.settings, request)

    def _unblacklist(self, request: Request) -> Answer:
        return blacklist.remove(self.state.blacklist, request)

    def _private(self, operation: Operation) -> Handler:
        def handle(request: Request) -> Answer:
            return operation(self.state, auth.customer_of(request, self.state.tokens), request)

        return handle

    def _public(self, handler: Handler) -> Handler:
        def handle(request: Request) -> Answer:
            no_parameters(request)
            return handler(request)

        return self._open(handle)

    def _open(self, handler: Handler) -> Handler:
        """Let only those in who show no credentials."""

        def handle(request: Request) -> Answer:
            auth.require_no_credentials(request)
            return handler(request)

        return handle


def _list(kind: str, state: State, customer: str, request: Request) -> Answer:
    return listings.show(state.company(customer).listing(kind), state.settings, request)


def _get(kind: str, state: State, customer: str, request: Request) -> Answer:
    return listings.show_one(state.company(customer).listing(kind), request)


def _echo(service: str, state: State, customer: str, request: Request) -> Answer:
    return echo.echo(service, request)
