"""The vendor as the sandbox knows it: two touchpoints that take one contact a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.deliveries import Deliveries, Delivery
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer
from airflow_provider_messaging.sandbox.pressnxpress.attributes import Spellings
from airflow_provider_messaging.sandbox.pressnxpress.contacts import Contact, Unfit, check_contact, read_contact
from airflow_provider_messaging.sandbox.pressnxpress.settings import (
    API_KEY,
    ORGANIZATION,
    TOUCHPOINT_TOKEN,
    Settings,
)
from airflow_provider_messaging.sandbox.routing import Route
from airflow_provider_messaging.sandbox.vendor import Vendor

ENQUEUES = (("enqueue_email", "mail", "email"), ("enqueue_sms", "sms", "phone"))
"""Operation, channel, and the attribute that holds the recipient's address."""


class Pressnxpress(Vendor):
    """Press'nXPress."""

    name = "pressnxpress"
    settings: Settings

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.settings = Settings()
        self.deliveries = Deliveries()
        self.spellings = Spellings()

    def expire_tokens(self) -> None:
        """Nothing: both tokens are valid until the vendor's support replaces them."""

    def problem(self, status: int, detail: str | None = None) -> Answer:
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
        return json_answer({"message": detail or phrase}, status)

    def kept(self) -> Mapping[str, Iterable[Any]]:
        return {"attributes": self.spellings.rows()}

    def connections(self, base_url: str) -> Mapping[str, Mapping[str, Any]]:
        return {
            "pressnxpress_default": {
                "conn_type": "pressnxpress",
                "host": base_url,
                "password": API_KEY,
                "extra": {"touchpoint_token": TOUCHPOINT_TOKEN, "content_type": "json"},
            }
        }

    def routes(self) -> Iterable[Route]:
        for operation, channel, required in ENQUEUES:
            yield Route(
                operation,
                "POST",
                f"/channel/{channel}/{{touchpoint_token}}/enqueue",
                self._enqueue(channel, required),
                max_body=100_000,
                secret_params=frozenset({"touchpoint_token"}),
            )

    def _enqueue(self, channel: str, required: str) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            request.messages = 1
            try:
                _check_tokens(request)
                contact = read_contact(request)
                check_contact(contact, required)
                self._check_case(contact)
            except Unfit as unfit:
                return self.problem(unfit.status, self._echoed(request) + str(unfit))
            self.spellings.add(contact)
            self._accept(request, channel, contact.pop(required), contact)
            return json_answer({"message": "The request is enqueued."}, self.settings.accepted_status)

        return handle

    def _check_case(self, contact: Contact) -> None:
        conflict = self.spellings.conflict(contact) if self.settings.strict_attribute_case else None
        if conflict is not None:
            raise Unfit(400, "{} is known as {}: attributes are case sensitive.".format(*conflict))

    def _accept(self, request: Request, channel: str, recipient: str, attributes: Contact) -> None:
        self.deliveries.add(
            Delivery(
                reference=_reference(attributes) or recipient,
                recipient=recipient,
                account=ORGANIZATION,
                accepted_at=ticks.now(),
                request=request.number,
                channel=channel,
                size=len(request.body),
                extra=attributes,
            )
        )

    def _echoed(self, request: Request) -> str:
        return f"{request.origin}{request.path}?{urlencode(request.query)}: " if self.settings.echo_url else ""


def _check_tokens(request: Request) -> None:
    unknown = sorted({name for name, _ in request.query if name != "apiKey"})
    if [value for name, value in request.query if name == "apiKey"] != [API_KEY]:
        raise Unfit(401, "The API key is missing or not valid.")
    if request.params["touchpoint_token"] != TOUCHPOINT_TOKEN:
        raise Unfit(404, "There is no such touchpoint.")
    if unknown:
        raise Unfit(400, f"Unknown parameters: {', '.join(unknown)}.")


def _reference(attributes: Contact) -> str:
    """What tells this contact from others: its identifier, or else an attribute called reference in any case."""
    named = [attributes.get("identifier"), *(v for name, v in attributes.items() if name.lower() == "reference")]
    return next((str(value) for value in named if value not in (None, "")), "")
