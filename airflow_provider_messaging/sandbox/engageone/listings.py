"""Campaigns, communications, templates and data sources: pages of them, and single ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.engageone.problems import no_parameters, refuse
from airflow_provider_messaging.sandbox.engageone.settings import Settings
from airflow_provider_messaging.sandbox.http import Answer, Request, json_answer

DEFAULT_LIMIT = 100
Row = dict[str, Any]


class Listing:
    """Rows in the order they were made, found by id and by name; ``common`` is what all generated ones have."""

    def __init__(self, prefix: str, names: tuple[str, ...], **common: Any) -> None:
        self._prefix = prefix
        self._common = common
        self._rows: list[Row] = []
        self._by_id: dict[str, Row] = {}
        self._by_name: dict[str, Row] = {}
        for name in names:
            self.add({"name": name, **common})

    def add(self, members: Row) -> Row:
        """Make a row of ``members``, whose name must be a new one."""
        row = {"id": f"{self._prefix}-{len(self._rows) + 1:06}", **members, "created_at": ticks.text(ticks.now())}
        self._rows.append(row)
        self._by_id[row["id"]] = self._by_name[row["name"]] = row
        return row

    def generate(self) -> Row:
        """Add a row with a name that is made up."""
        number = len(self._rows) + 1
        while f"seeded-{number:06}" in self._by_name:
            number += 1
        return self.add({"name": f"seeded-{number:06}", **self._common})

    def has_name(self, name: str) -> bool:
        return name in self._by_name

    def find(self, key: str) -> Row | None:
        """By name, or else by id."""
        return self._by_name.get(key) or self._by_id.get(key)

    def by_id(self, key: str) -> Row | None:
        return self._by_id.get(key)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def page(self, offset: int, limit: int | None) -> list[Row]:
        return self._rows[offset : None if limit is None else offset + limit]


def show(listing: Listing, settings: Settings, request: Request) -> Answer:
    """A page, as large as asked for and allowed."""
    limit, offset = _page(request)
    if settings.paging == "ignored":
        rows = listing.page(0, None)
    else:
        rows = listing.page(offset, min(limit, settings.page_limit))
    return json_answer(rows if settings.list_form == "array" else {"items": rows})


def show_one(listing: Listing, request: Request) -> Answer:
    no_parameters(request)
    row = listing.by_id(request.params["id"])
    if row is None:
        raise refuse(404, f"There is no {request.params['id']}.")
    return json_answer(row)


def _page(request: Request) -> tuple[int, int]:
    """``limit`` and ``offset``."""
    values = {"limit": DEFAULT_LIMIT, "offset": 0}
    seen: set[str] = set()
    for name, text in request.query:
        if name not in values or name in seen:
            raise refuse(400, f"Parameter {name} is unknown or given twice.", "UNKNOWN_PARAMETER")
        if not text.isdecimal() or not text.isascii() or len(text) > 9:
            raise refuse(400, f"Parameter {name} must be a whole number.", "INVALID_PARAMETER")
        seen.add(name)
        values[name] = int(text)
    if values["limit"] < 1:
        raise refuse(400, "Parameter limit must be at least 1.", "INVALID_PARAMETER")
    return values["limit"], values["offset"]
