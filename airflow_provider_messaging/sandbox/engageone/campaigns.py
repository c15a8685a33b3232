"""Creating campaigns, sending them, and asking how a send goes."""

from __future__ import annotations

import time
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from msgspec import UNSET, UnsetType

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.addresses import is_address
from airflow_provider_messaging.sandbox.deliveries import Delivery
from airflow_provider_messaging.sandbox.engageone.problems import no_parameters, read, refuse, require_address
from airflow_provider_messaging.sandbox.engageone.sends import Send, address_reader
from airflow_provider_messaging.sandbox.engageone.state import ALWAYS_FAILS, State
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer

Text = Annotated[str, msgspec.Meta(min_length=1)]


class CampaignOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a request to create a campaign; the vendor publishes no members."""

    name: Text
    communication: Text | UnsetType = UNSET
    data_source: Text | UnsetType = UNSET
    description: str | UnsetType = UNSET
    project: Text | UnsetType = UNSET
    reply_to: Text | UnsetType = UNSET
    sender: Text | UnsetType = UNSET
    sender_name: Text | UnsetType = UNSET
    subject: Text | UnsetType = UNSET


class SendOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a send, the same for both versions of the request."""

    dataset: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    email_json_path: Text
    communication: Text | UnsetType = UNSET
    sender: Text | UnsetType = UNSET
    sender_name: Text | UnsetType = UNSET
    reply_to: Text | UnsetType = UNSET
    subject: Text | UnsetType = UNSET
    project: Text | UnsetType = UNSET
    ignore_missing_fields: bool | UnsetType = UNSET


def create(state: State, customer: str, request: Request) -> Answer:
    no_parameters(request)
    order = read(request, CampaignOrder)
    campaigns = state.company(customer).campaigns
    if campaigns.has_name(order.name):
        raise refuse(409, f"There is a campaign {order.name} already.", "ALREADY_EXISTS")
    return json_answer(campaigns.add(msgspec.to_builtins(order)), 201)


def status(state: State, customer: str, request: Request) -> Answer:
    no_parameters(request)
    found = state.company(customer).sends.get(request.params["send_id"])
    if found is None:
        raise refuse(404, "There is no such send.")
    return json_answer(found.progress(state.settings.send_delay))


def send(state: State, customer: str, request: Request) -> Answer:
    """Accept a dataset: what can be sent is recorded as delivered at once, the status tells later."""
    no_parameters(request)
    order = read(request, SendOrder)
    request.messages = len(order.dataset)
    company = state.company(customer)
    campaign = company.campaigns.find(request.params["campaign"])
    if campaign is None:
        raise refuse(404, f"There is no campaign {request.params['campaign']}.")
    _check(state, order)
    address_of = address_reader(order.email_json_path)
    if address_of is None:
        raise refuse(400, "email_json_path is not a path to a member of a record.", "INVALID_PATH")
    outcome = Outcome(state, customer, campaign["name"], request.number)
    for index, record in enumerate(order.dataset):
        outcome.add(index, record, address_of(record))
    company.sends[outcome.send_id] = outcome.send()
    return json_answer({"send_id": outcome.send_id})


def _check(state: State, order: SendOrder) -> None:
    for member in state.settings.send_requires:
        if getattr(order, member) is UNSET:
            raise refuse(400, f"{member} is missing.", "INVALID_BODY")
    for member in ("sender", "reply_to"):
        value = getattr(order, member)
        if value is not UNSET:
            require_address(value, member)


class Outcome:
    """What becomes of each record of one dataset."""

    def __init__(self, state: State, customer: str, campaign: str, request: int) -> None:
        self.send_id = str(uuid4())
        self._state = state
        self._customer = customer
        self._campaign = campaign
        self._request = request
        self._at = ticks.now()
        self._total = self._sent = 0
        self._suppressed: list[str] = []

    def add(self, index: int, record: dict[str, Any], address: object) -> None:
        """Deliver ``record``, unless its address is none or suppressed, or the campaign fails."""
        self._total += 1
        if self._campaign == ALWAYS_FAILS or not isinstance(address, str) or not is_address(address):
            return
        if address in self._state.blacklist:
            self._suppressed.append(address)
            return
        self._sent += 1
        reference = record.get("reference")
        self._state.deliveries.add(
            Delivery(
                reference=reference if isinstance(reference, str) and reference else f"{self.send_id}-{index}",
                recipient=address,
                account=self._customer,
                accepted_at=self._at,
                request=self._request,
                channel="email",
                size=len(msgspec.json.encode(record)),
                extra={"send_id": self.send_id, "campaign": self._campaign},
            )
        )

    def send(self) -> Send:
        return Send(
            send_id=self.send_id,
            campaign=self._campaign,
            at=self._at / ticks.SECOND,
            begun=time.monotonic(),
            total=self._total,
            sent=self._sent,
            failed=self._total - self._sent - len(self._suppressed),
            suppressed=tuple(self._suppressed),
            broken=self._campaign == ALWAYS_FAILS,
        )
