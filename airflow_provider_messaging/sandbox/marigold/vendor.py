"""The vendor as the sandbox knows it: its state, its routes, its connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder, Request
from airflow_provider_messaging.sandbox.marigold import archive_api, auth, read_api, send_api, subscription_api
from airflow_provider_messaging.sandbox.marigold.problems import problem
from airflow_provider_messaging.sandbox.marigold.seeded import SeededRows, read_order
from airflow_provider_messaging.sandbox.marigold.seeded_archive import seed_archive
from airflow_provider_messaging.sandbox.marigold.settings import ACCOUNT, CLIENT_ID, CLIENT_SECRET, Settings
from airflow_provider_messaging.sandbox.marigold.state import State
from airflow_provider_messaging.sandbox.marigold.subscriptions import seeded
from airflow_provider_messaging.sandbox.routing import Route
from airflow_provider_messaging.sandbox.vendor import Vendor

Operation = Callable[[State, str, Request], Answer]
"""Takes the state and the account of the token."""

READS: tuple[tuple[str, str, str, Operation], ...] = (
    ("statistics", "GET", "/email/v1/statistics", read_api.statistics),
    ("archive_list", "GET", "/archive/v1/{profile_id}", archive_api.list_messages),
    ("archive_delete_profile", "DELETE", "/archive/v1/{profile_id}", archive_api.delete_profile),
    ("archive_get", "GET", "/archive/v1/{profile_id}/{message_id}", archive_api.get_message),
    ("archive_delete", "DELETE", "/archive/v1/{profile_id}/{message_id}", archive_api.delete_message),
    ("archive_download", "GET", "/archive/v1/{profile_id}/{message_id}/download", archive_api.download),
    (
        "archive_attachment",
        "GET",
        "/archive/v1/{profile_id}/{message_id}/download/{file_name}",
        archive_api.attachment,
    ),
    ("archive_preview", "GET", "/archive/v1/{profile_id}/{message_id}/preview", archive_api.preview),
    ("track", "GET", "/tracking/v1/messages/{message_id}", read_api.track),
    ("bounces", "GET", "/bounces/v1/bounces", read_api.bounces),
    ("list_unsubscribes", "GET", "/bounces/v1/listunsubscribes", read_api.list_unsubscribes),
    ("complaints", "GET", "/bounces/v1/complaints", read_api.complaints),
    ("bounce", "GET", "/bounces/v1/bounces/{message_id}", read_api.bounce),
)
_SUBSCRIPTIONS = "/webhooks/v1/admin/subscriptions/"
SUBSCRIPTIONS: tuple[tuple[str, str, str, Operation], ...] = (
    ("list_subscriptions", "GET", _SUBSCRIPTIONS, subscription_api.list_subscriptions),
    ("create_subscription", "POST", _SUBSCRIPTIONS, subscription_api.create_subscription),
    (
        "delete_subscription",
        "DELETE",
        f"{_SUBSCRIPTIONS}{{subscription_id}}",
        subscription_api.delete_subscription,
    ),
)
SENDS: tuple[tuple[str, str, Operation], ...] = (
    ("send_email", "/email/v1/messages/send", send_api.send_email),
    ("send_push", "/mobile/v1/messages/push/send", send_api.send_push),
)
NO_CONTENT_TYPE_ASKED = {"archive_attachment", "archive_preview"}


class Marigold(Vendor):
    """Marigold Engage Delivery Cloud."""

    name = "marigold"
    settings: Settings

    def __init__(self) -> None:
        self.settings = Settings()
        self.state = State(self.settings)
        self.deliveries = self.state.deliveries

    def reset(self) -> None:
        self.state.webhooks.close()
        self.settings = Settings()
        self.state = State(self.settings)
        self.deliveries = self.state.deliveries

    def configure(self, changes: Mapping[str, Any]) -> None:
        given = changes.get("feedback_now")
        if isinstance(given, str):
            try:
                ticks.parse(given)
            except ValueError as error:
                raise InvalidOrder(f"feedback_now: {error}") from None
        super().configure(changes)
        self.state.settings = self.settings
        if "feedback_now" in changes:
            self.state.feedback_reads = 0

    def kept(self) -> Mapping[str, Iterable[Any]]:
        state = self.state
        return {
            "feedback": state.all_feedback(),
            "subscriptions": (each.shown() for each in state.webhooks.subscriptions_of()),
            "webhook_events": state.webhooks.events(),
            "dead_letters": state.webhooks.dead_letters(),
            "latest_messages": map(msgspec.json.decode, state.latest),
        }

    def expire_tokens(self) -> None:
        self.state.tokens.expire_all()

    def problem(self, status: int, detail: str | None = None) -> Answer:
        return problem(status, detail)

    def seed(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        if order.get("kind") == "archive":
            return seed_archive(self.state.archive, order)
        if order.get("kind") == "subscription":
            made = seeded(order)
            self.state.webhooks.subscribe(made)
            return made.shown()
        rows = SeededRows(read_order(order))
        self.state.seeded.append(rows)
        last = rows.order.rows - 1
        return {
            "kind": rows.order.kind,
            "rows": rows.order.rows,
            "first": {"external_reference": rows.reference(0), "timestamp": ticks.text(rows.at(0))},
            "last": {"external_reference": rows.reference(last), "timestamp": ticks.text(rows.at(last))},
        }

    def connections(self, base_url: str) -> Mapping[str, Mapping[str, Any]]:
        return {
            "marigold_default": {
                "conn_type": "marigold",
                "host": base_url,
                "login": CLIENT_ID,
                "password": CLIENT_SECRET,
                # Whoever made this line knows that the sandbox has the tracking where the provider looks for it.
                "extra": {"account_id": ACCOUNT, "tracking_verified": True},
            }
        }

    def routes(self) -> Iterable[Route]:
        yield Route("token", "POST", "/oauth/token", self._token, max_body=100_000)
        for operation, path, handler in SENDS:
            yield Route(operation, "POST", f"/api{path}", self._authorised(operation, handler))
        for operation, method, path, handler in (*READS, *SUBSCRIPTIONS):
            yield Route(operation, method, f"/api{path}", self._authorised(operation, handler))

    def _token(self, request: Request) -> Answer:
        return auth.token(request, self.settings, self.state.tokens)

    def _authorised(self, operation: str, handler: Operation) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            account = auth.account_of(request, self.state.tokens)
            if self.settings.require_content_type and operation not in NO_CONTENT_TYPE_ASKED:
                auth.require_json(request)
            return handler(self.state, account, request)

        return handle
