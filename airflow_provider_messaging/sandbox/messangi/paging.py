"""Listings: the page's ``pagination`` segment and the parameters that lead through it."""

from __future__ import annotations

from airflow_provider_messaging.sandbox.http import Answer, Request
from airflow_provider_messaging.sandbox.messangi.answers import envelope, refuse
from airflow_provider_messaging.sandbox.messangi.collection import Collection, Page
from airflow_provider_messaging.sandbox.messangi.settings import Settings

DEFAULT_LIMIT = 10
MAX_LIMIT = 1000


def listing(request: Request, collection: Collection, settings: Settings) -> Answer:
    """The page that ``offset`` and ``limit`` ask for.

    :raises Refused: a parameter is unknown, repeated or malformed.
    """
    query: dict[str, str] = {}
    for name, value in request.query:
        if name in query or name not in ("offset", "limit"):
            raise refuse(name, "is given more than once" if name in query else "is not known")
        query[name] = value
    limit = _limit(query.get("limit"))
    page = collection.page(query.get("offset"), limit)
    if page is None:
        raise refuse("offset", "is not known")
    pagination = {
        "offset": page.offset,
        "limit": limit,
        "page": page.skipped // limit + 1,
        "pages": -(-page.total // limit),
        "total": page.total,
    }
    following = _following(page, collection, settings)
    if following is not None or settings.next_at_end != "missing":
        pagination["next"] = "" if following is None and settings.next_at_end == "empty" else following
    return envelope("The page that was asked for", pagination=pagination, items=page.items)


def _following(page: Page, collection: Collection, settings: Settings) -> str | None:
    if settings.repeat_page == "first":
        return page.next or collection.first
    return page.offset if settings.repeat_page else page.next


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise refuse("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return limit
