"""The archive's operations."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.http import Answer, Refused, Request, json_answer
from airflow_provider_messaging.sandbox.marigold.archive import LISTED, Archived
from airflow_provider_messaging.sandbox.marigold.checks import decoded
from airflow_provider_messaging.sandbox.marigold.documents import eml, preview_html, preview_pdf
from airflow_provider_messaging.sandbox.marigold.events import due
from airflow_provider_messaging.sandbox.marigold.problems import problem, refuse
from airflow_provider_messaging.sandbox.marigold.queries import DEFAULT_TOP, MAX_TOP, Query
from airflow_provider_messaging.sandbox.marigold.read_api import tracking_rows
from airflow_provider_messaging.sandbox.marigold.state import State

OCTETS = "application/octet-stream"
CURSOR = "$skiptoken"


class Page(msgspec.Struct, frozen=True, array_like=True):
    """What a link to a page stands for."""

    low: int | None
    high: int | None
    top: int
    skip: int
    count: bool


def list_messages(state: State, account: str, request: Request) -> Answer:
    """The page's messages, newest first, with links to the pages beside it; of all or of each range the last 100."""
    asked = _page(request)
    profile = request.params["profile_id"]
    kept = state.archive.messages(account, profile, ticks.now(), state.archive_delay)
    if state.settings.archive_limit == "profile":
        kept = kept[:LISTED]
    found = [
        archived
        for archived in kept
        if (asked.low is None or due(archived.delivery) + state.skew >= asked.low)
        and (asked.high is None or due(archived.delivery) + state.skew < asked.high)
    ][:LISTED]
    document: dict[str, Any] = {
        "value": [archived.metadata(state.skew) for archived in found[asked.skip : asked.skip + asked.top]]
    }
    if asked.count:
        document["@count"] = len(found)
    if asked.skip > 0:
        document["@previous_link"] = _link(request, asked, max(0, asked.skip - asked.top))
    if asked.skip + asked.top < len(found):
        document["@next_link"] = _link(request, asked, asked.skip + asked.top)
    return json_answer(document)


def _page(request: Request) -> Page:
    if any(name == CURSOR for name, _ in request.query):
        cursor = Query(request, CURSOR).text(CURSOR) or ""
        try:
            return msgspec.json.decode(urlsafe_b64decode(cursor), type=Page)
        except (ValueError, msgspec.DecodeError):
            raise refuse(CURSOR, "INVALID_SKIPTOKEN", "The link is not one of this server's.") from None
    query = Query(request, "start", "end", "$top", "$skip", "$count")
    low, high = query.days()
    top, skip = query.integer("$top", DEFAULT_TOP, 1, MAX_TOP), query.integer("$skip", 0, 0)
    return Page(low, high, top, skip, query.boolean("$count"))


def _link(request: Request, page: Page, skip: int) -> str:
    cursor = urlsafe_b64encode(msgspec.json.encode(msgspec.structs.replace(page, skip=skip))).decode()
    return f"{request.origin}{request.path}?{CURSOR}={cursor.replace('=', '%3D')}"


def _found(state: State, account: str, request: Request) -> Archived:
    params = request.params
    archived = state.archive.find(account, params["profile_id"], params["message_id"], ticks.now(), state.archive_delay)
    if archived is None:
        raise Refused(problem(404, "The message cannot be found."))
    return archived


def get_message(state: State, account: str, request: Request) -> Answer:
    with_tracking = Query(request, "$tracking").boolean("$tracking")
    archived = _found(state, account, request)
    document = archived.metadata(state.skew)
    if with_tracking:
        document["tracking"] = tracking_rows(state, account, archived.delivery.reference)
    return json_answer(document)


def delete_message(state: State, account: str, request: Request) -> Answer:
    Query(request)
    state.archive.delete(account, request.params["profile_id"], _found(state, account, request))
    return Answer(204)


def delete_profile(state: State, account: str, request: Request) -> Answer:
    Query(request)
    gone_at = ticks.now() + ticks.from_seconds(state.settings.archive_delete_delay)
    state.archive.delete_profile(account, request.params["profile_id"], gone_at)
    return Answer(202)


def download(state: State, account: str, request: Request) -> Answer:
    Query(request)
    archived = _found(state, account, request)
    if archived.delivery.channel == "email":
        return Answer(200, eml(archived.message), OCTETS)
    return Answer(200, archived.raw, OCTETS)


def attachment(state: State, account: str, request: Request) -> Answer:
    Query(request)
    message = _found(state, account, request).message
    for attached in message["content"].get("attachments", ()):
        if attached["file_name"] == request.params["file_name"]:
            return Answer(200, decoded(attached["data"]) or b"", OCTETS)
    return problem(404, "The attachment cannot be found.")


def preview(state: State, account: str, request: Request) -> Answer:
    Query(request)
    archived = _found(state, account, request)
    message = archived.message
    for accepted in request.headers.get("accept", "*/*").split(","):
        media_type = accepted.partition(";")[0].strip().lower()
        if media_type in ("*/*", "text/html"):
            return Answer(200, preview_html(message), "text/html; charset=utf-8")
        if media_type == "application/pdf":
            title = message["headers"]["subject"] if archived.delivery.channel == "email" else "Push message"
            return Answer(200, preview_pdf(title), "application/pdf")
    return problem(406, "Accept must be */*, text/html or application/pdf.")
