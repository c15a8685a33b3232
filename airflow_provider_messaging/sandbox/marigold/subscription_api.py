"""Listing, making and deleting subscriptions. The path is official, the bodies are this sandbox's own."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider_messaging.sandbox.http import Answer, InvalidOrder, Refused, Request, json_answer
from airflow_provider_messaging.sandbox.marigold.auth import require_json
from airflow_provider_messaging.sandbox.marigold.problems import problem, refuse
from airflow_provider_messaging.sandbox.marigold.queries import Query
from airflow_provider_messaging.sandbox.marigold.state import State
from airflow_provider_messaging.sandbox.marigold.subscriptions import subscription


def list_subscriptions(state: State, account: str, request: Request) -> Answer:
    Query(request)
    return json_answer({"value": [each.shown() for each in state.webhooks.subscriptions_of(account)]})


def create_subscription(state: State, account: str, request: Request) -> Answer:
    require_json(request)
    try:
        made = subscription(account, msgspec.json.decode(request.body, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOrder) as error:
        raise refuse("", "INVALID_SUBSCRIPTION", str(error)) from None
    state.webhooks.subscribe(made)
    return json_answer(made.shown(), 201)


def delete_subscription(state: State, account: str, request: Request) -> Answer:
    Query(request)
    if not state.webhooks.unsubscribe(account, request.params["subscription_id"]):
        raise Refused(problem(404, "The subscription cannot be found."))
    return Answer(204)
