"""Query parameters of the reads; an unknown or repeated one is refused."""

from __future__ import annotations

from urllib.parse import unquote_plus

from airflow_provider_messaging.sandbox import ticks
from airflow_provider_messaging.sandbox.http import Refused, Request
from airflow_provider_messaging.sandbox.marigold.problems import field_error, refuse, validation_problem

DEFAULT_TOP = 100
MAX_TOP = 10_000


class Query:
    """The parameters of one request, read with their types."""

    def __init__(self, request: Request, *known: str) -> None:
        self._values = dict(request.query)
        names = [name for name, _ in request.query]
        errors = [
            field_error(name, "UNKNOWN_PARAMETER", f"parameter is not known; there are {', '.join(known) or 'none'}.")
            for name in names
            if name not in known
        ]
        errors += [
            field_error(name, "DUPLICATE_PARAMETER", "parameter is given more than once.")
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        if errors:
            raise Refused(validation_problem(errors))

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        return self._values.get(name)

    def integer(self, name: str, default: int, low: int, high: int | None = None) -> int:
        text = self._values.get(name)
        if text is None:
            return default
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise refuse(name, "INVALID_TYPE", "Request property type doesn't match expected type: integer.")
        value = int(text) if len(text) < 12 else 10**11
        if value < low or (high is not None and value > high):
            raise refuse(
                name,
                "INVALID_RANGE",
                f"value should be at least {low}" + (f" and at most {high}." if high else "."),
            )
        return value

    def boolean(self, name: str) -> bool:
        text = self._values.get(name, "false")
        if text not in ("true", "false"):
            raise refuse(name, "INVALID_TYPE", "Request property type doesn't match expected type: boolean.")
        return text == "true"

    def moment(self, name: str) -> tuple[int, bool] | None:
        """Ticks, and whether it is a whole day."""
        text = self._values.get(name)
        if text is None:
            return None
        try:
            return ticks.parse(text)
        except ValueError:
            raise refuse(name, "INVALID_TYPE", f"{unquote_plus(text)!r} is not an ISO 8601 date.") from None

    def days(self) -> tuple[int | None, int | None]:
        """``start`` and ``end`` as whole days, both included: the first tick and the first one behind."""
        start, end = self.moment("start"), self.moment("end")
        low = None if start is None else ticks.day_of(start[0])
        high = None if end is None else ticks.day_of(end[0]) + ticks.DAY
        _check_order(low, high)
        return low, high

    def span(self) -> tuple[int | None, int | None]:
        """``start`` and ``end`` as they are given; a day as ``end`` is included."""
        start, end = self.moment("start"), self.moment("end")
        low = None if start is None else start[0]
        high = None if end is None else end[0] + (ticks.DAY if end[1] else 1)
        _check_order(low, high)
        return low, high


def _check_order(low: int | None, high: int | None) -> None:
    if low is not None and high is not None and low >= high:
        raise refuse("end", "INVALID_RANGE", "end should not be before start.")
