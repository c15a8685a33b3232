"""Counting feedback that a sensor waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.flow import Api, Flow, each
from airflow_provider_messaging.core.paging import Page
from airflow_provider_messaging.core.times import parse_timestamp
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.vendors.marigold.api import iter_feedback, rows_within
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK, VENDOR

MOST_REFERENCES = 1000
"""References that an answer names at most; its counts are always complete."""


class _Row(msgspec.Struct):
    external_reference: object = None
    mapping: object = None


_ROW = msgspec.json.Decoder(_Row)


def _read(raw: msgspec.Raw) -> tuple[str | None, str]:
    """Return reference and bounce type of a row, whatever the vendor put there."""
    try:
        row = _ROW.decode(raw)
    except msgspec.DecodeError:
        return None, "unknown"
    reference = row.external_reference if isinstance(row.external_reference, str) else None
    return reference, row.mapping.lower() if isinstance(row.mapping, str) and row.mapping else "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackQuery:
    """Which feedback counts.

    :param start: ISO 8601; rows before it do not count.
    :param end: ISO 8601; rows from then on do not count. None: no end.
    :param kinds: of ``bounces``, ``complaints``, ``list_unsubscribes``.
    :param bounce_types: bounces of these mappings only (``hard``, ``soft``, ``spam``); empty: all.
    :param references: rows of these messages only; empty: all.
    """

    start: str
    end: str | None = None
    kinds: Sequence[str] = ("bounces",)
    bounce_types: Sequence[str] = ()
    references: Sequence[str] = ()
    account_id: str | None = None
    page_size: int = 100

    def check(self) -> None:
        """Judge the arguments.

        :raises ConfigurationError: naming the argument at fault.
        """
        for name in ("start", "end"):
            value = getattr(self, name)
            try:
                if value is not None:
                    parse_timestamp(_as_moment(value))
            except (ValueError, TypeError):
                raise _wrong(f"{value!r} is not an ISO 8601 date or time", name) from None
        unknown = sorted(set(self.kinds) - set(FEEDBACK))
        if unknown or not self.kinds:
            raise _wrong(f"kinds must be some of {', '.join(FEEDBACK)}, not {unknown}", "kinds")
        if self.page_size < 1:
            raise _wrong("page_size must be at least 1", "page_size")

    def window(self, now: datetime) -> Window:
        start = parse_timestamp(_as_moment(self.start))
        end = parse_timestamp(_as_moment(self.end)) if self.end else max(start, now) + timedelta(days=1)
        return Window(start, max(start, end))


@dataclass(slots=True)
class FeedbackCount:
    """What a query found: counts and references, no addresses."""

    by_type: dict[str, int] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.by_type.values())

    def as_dict(self) -> dict[str, Any]:
        return {"count": self.count, "by_type": dict(sorted(self.by_type.items())), "references": self.references}


def count_feedback(api: Api, query: FeedbackQuery, *, now: datetime | None = None) -> Flow[FeedbackCount]:
    """Count the rows that match; bounces by their type, the others by their kind."""
    window = query.window(now or datetime.now(UTC))
    wanted, types = frozenset(query.references), frozenset(kind.lower() for kind in query.bounce_types)
    found = FeedbackCount()
    seen: set[str] = set()

    def take(kind: str, page: Page) -> None:
        for raw in rows_within(page, window):
            reference, bounce_type = _read(raw)
            label = bounce_type if kind == "bounces" else kind
            if (wanted and reference not in wanted) or (kind == "bounces" and types and label not in types):
                continue
            found.by_type[label] = found.by_type.get(label, 0) + 1
            if reference and len(seen) < MOST_REFERENCES and reference not in seen:
                seen.add(reference)
                found.references.append(reference)

    for kind in query.kinds:
        pages = iter_feedback(api, kind, window, page_size=query.page_size, account_id=query.account_id)
        yield from each(pages, lambda page, kind=kind: take(kind, page))  # type: ignore[misc]
    return found


def _as_moment(value: str) -> str:
    """Return a date as its midnight, anything else as it is."""
    return f"{value}T00:00:00Z" if len(value) == len("2026-01-01") else value


def _wrong(message: str, setting: str) -> ConfigurationError:
    return ConfigurationError(message, vendor=VENDOR, setting=setting)
