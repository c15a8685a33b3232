"""Statistics of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._inputs import as_moment
from airflow_provider_messaging.hooks._storage import line_file
from airflow_provider_messaging.hooks._window import run_window
from airflow_provider_messaging.hooks.marigold import MarigoldHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

MOST_INLINE = 1500
"""Windows that are returned without a file: a day of minutes."""


class GetStatisticsOperator(BaseOperator):
    """Reads the deliverability statistics of a range of any length.

    The vendor answers with at most 100 windows, a minute each: a range that has more is read in parts.

    Returns ``{"windows": n, "totals": {counter: sum}, "values": [...], "path", "start", "end"}``; with a `path` the
    windows go there and ``values`` is None, without one ``values`` has them.

    See ``docs/archive.md``.

    :param start: windows that begin before it are left out: ISO 8601 or a datetime. Default: the start of the run's
        data interval, or of the run itself where it has none.
    :param end: windows that begin then or later are left out. Default: the end of the run's data interval, or a day
        after the start of the run.
    :param path: a file on object storage for NDJSON, a window a line (``.gz`` is packed). Needed for more than 1,500
        windows.
    :param marigold_conn_id: a connection of type ``marigold``.
    """

    template_fields: Sequence[str] = ("start", "end", "path", "marigold_conn_id")

    def __init__(
        self,
        *,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        path: str | None = None,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.path = path
        self.marigold_conn_id = marigold_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the range and return its totals.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            start, end = self._range(cast("dict[str, Any]", context))
            totals: Counter[str] = Counter()
            values: list[dict[str, Any]] = []
            windows = 0
            file = line_file(self.path, "path")
            complete = False
            try:
                with MarigoldHook(self.marigold_conn_id) as hook:
                    for item in hook.iter_statistics(start, end):
                        windows += 1
                        totals.update(_numbers(item.get("counters")))
                        if file is not None:
                            file.write_all([item])
                        elif windows > MOST_INLINE:
                            raise ConfigurationError(
                                f"there are more than {MOST_INLINE} windows, too many to return", setting="path"
                            )
                        else:
                            values.append(item)
                complete = True
            finally:
                if file is not None:
                    file.finish(publish=complete)
        self.log.info("%d windows from %s to %s: %s", windows, start, end, dict(totals))
        return {
            "windows": windows,
            "totals": dict(sorted(totals.items())),
            "values": None if self.path else values,
            "path": self.path,
            "start": start.isoformat(),
            "end": end.isoformat(),
        }

    def _range(self, context: dict[str, Any]) -> tuple[datetime, datetime]:
        start, end = as_moment(self.start, "start"), as_moment(self.end, "end")
        if start is None or end is None:
            run = run_window(context)
            start, end = start or run.start, end or run.end
        if end < start:
            raise ConfigurationError(f"the range ends ({end}) before it starts ({start})", setting="start, end")
        return start, end


def _numbers(counters: Any) -> dict[str, int]:
    if not isinstance(counters, Mapping):
        return {}
    return {str(name): count for name, count in counters.items() if type(count) is int}
