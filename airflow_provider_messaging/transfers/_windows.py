"""A long window of feedback as many short ones, each of which a task of its own lands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._inputs import as_moment, listed
from airflow_provider_messaging.hooks._window import LAG, LOOK_BACK, closed_window, seconds
from airflow_provider_messaging.transfers._arguments import KINDS, check_positive, checked_kinds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class FeedbackWindowsOperator(BaseOperator):
    """Returns the arguments of one `FeedbackToObjectStorageOperator` for each window, kind and account.

    For ``expand_kwargs``::

        windows = FeedbackWindowsOperator(task_id="windows", start="2025-01-01", end="2026-01-01", days_per_window=7)
        FeedbackToObjectStorageOperator.partial(task_id="land", path="s3://mail/feedback").expand_kwargs(windows.output)

    Windows are cut at midnight UTC: the vendor filters by days, so that two windows of one day would both read it.
    See ``docs/scale.md``.

    :param start: as of `FeedbackToObjectStorageOperator`, and so are `end`, `lag` and `look_back`.
    :param days_per_window: days that one task lands.
    :param kinds: a task for each kind.
    :param account_id: an account, or a list of them: a task for each. Default: that of the connection.
    """

    template_fields: Sequence[str] = ("start", "end", "account_id")

    def __init__(
        self,
        *,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        lag: timedelta | float = LAG,
        look_back: timedelta | float = LOOK_BACK,
        days_per_window: int = 1,
        kinds: Sequence[str] = KINDS,
        account_id: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.end = end
        self.lag = lag
        self.look_back = look_back
        self.days_per_window = days_per_window
        self.kinds = kinds
        self.account_id = account_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the arguments.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless():
            kinds = checked_kinds(self.kinds)
            check_positive(self.days_per_window, "days_per_window")
            window = closed_window(
                cast("dict[str, Any]", context),
                start=as_moment(self.start, "start"),
                end=as_moment(self.end, "end"),
                lag=seconds(self.lag, "lag"),
                look_back=seconds(self.look_back, "look_back"),
            )
            accounts = self._accounts()
        return [
            {"start": part.start.isoformat(), "end": part.end.isoformat(), "kinds": [kind], **account}
            for part in _parts(window, self.days_per_window)
            for kind in kinds
            for account in accounts
        ]

    def _accounts(self) -> list[dict[str, str]]:
        given = self.account_id
        if given is None or given == "":
            return [{}]
        if isinstance(given, str) and not given.startswith("["):
            return [{"account_id": given}]
        return [{"account_id": str(account)} for account in dict.fromkeys(listed(given, "account_id"))]


def _parts(window: Window, days: int) -> Iterator[Window]:
    """Yield adjoining windows of so many days of the calendar; first and last may be shorter."""
    found = list(window.days())
    for first in range(0, len(found), days):
        yield Window(found[first].start, found[min(first + days, len(found)) - 1].end)
