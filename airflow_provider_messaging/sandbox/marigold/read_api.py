"""Statistics, tracking and feedback."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer
from airflow_provider_messaging.sandbox.marigold.events import event_row
from airflow_provider_messaging.sandbox.marigold.feedback import page
from airflow_provider_messaging.sandbox.marigold.outcomes import Kind, Mode
from airflow_provider_messaging.sandbox.marigold.problems import problem, refuse
from airflow_provider_messaging.sandbox.marigold.queries import DEFAULT_TOP, MAX_TOP, Query
from airflow_provider_messaging.sandbox.marigold.rows import Question
from airflow_provider_messaging.sandbox.marigold.state import State


def statistics(state: State, account: str, request: Request) -> Answer:
    low, high = Query(request, "start", "end").span()
    return json_answer({"value": state.statistics.windows(account, low, high, ticks.now(), state.skew)})


def track(state: State, account: str, request: Request) -> Answer:
    Query(request)
    rows = tracking_rows(state, account, request.params["message_id"])
    if not rows and state.settings.tracking_unknown == "not_found":
        return problem(404, "The message cannot be found.")
    return json_answer({"value": rows})


def tracking_rows(state: State, account: str, reference: str) -> list[dict[str, Any]]:
    deliveries = state.deliveries
    return [
        event_row(deliveries[position], position, event, state.skew)
        for position, event in state.tracked(account, reference)
    ]


def bounces(state: State, account: str, request: Request) -> Answer:
    query = Query(request, "start", "end", "$top", "$skip", "type", "accountId")
    mode = query.text("type")
    if mode not in (None, "direct", "indirect"):
        raise refuse("type", "INVALID_BOUNCE_TYPE", "type must be direct or indirect.")
    return _feedback(state, account, request, query, "bounces", cast("Mode | None", mode))


def complaints(state: State, account: str, request: Request) -> Answer:
    query = Query(request, "start", "end", "$top", "$skip", "accountId")
    return _feedback(state, account, request, query, "complaints", None)


def list_unsubscribes(state: State, account: str, request: Request) -> Answer:
    query = Query(request, "start", "end", "$top", "$skip", "accountId")
    return _feedback(state, account, request, query, "list_unsubscribes", None)


def _feedback(state: State, account: str, request: Request, query: Query, kind: Kind, mode: Mode | None) -> Answer:
    low, high = query.days()
    top, skip = query.integer("$top", DEFAULT_TOP, 1, MAX_TOP), query.integer("$skip", 0, 0)
    question = Question(kind, query.text("accountId") or account, low, high, mode)
    rows, total = page(state.sources, question, state.settings, state.next_feedback_read(), skip, top)
    document: dict[str, Any] = {"value": rows}
    if state.settings.feedback_links and skip + top < total:
        following = {**dict(request.query), "$skip": str(skip + top)}
        document["@next_link"] = f"{request.origin}{request.path}?{urlencode(following)}"
    return json_answer(document)


def bounce(state: State, account: str, request: Request) -> Answer:
    """The newest bounce with this reference."""
    Query(request)
    reference = request.params["message_id"]
    question, now = Question("bounces", account, None, None), state.next_feedback_read()
    for seeded in state.seeded:
        number = seeded.number(reference)
        if number is not None and (seeded.order.kind, seeded.order.account) == ("bounces", account):
            if seeded.waits(state.settings) and seeded.listed_at(number, state.settings) > now:
                continue
            return json_answer(seeded.row(number, question, state.settings))
    positions = set(state.deliveries.positions(reference))
    if positions:
        shown = state.live.select(question, state.settings, now)
        found = [position for position in shown if position in positions]
        if found:
            return json_answer(state.live.row(found[-1], question, state.settings))
    return problem(404, "The bounce cannot be found.")
