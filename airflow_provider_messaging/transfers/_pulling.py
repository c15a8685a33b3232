"""What the operators that pull feedback have in common: the window, the accounts, the reading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.hooks._inputs import as_moment, listed
from airflow_provider_messaging.hooks._lineage import Lineage
from airflow_provider_messaging.hooks._settings import limited
from airflow_provider_messaging.hooks._thread import LoopThread
from airflow_provider_messaging.hooks._window import LAG, LOOK_BACK, closed_window, seconds
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.transfers._arguments import KINDS, check_positive, checked_kinds
from airflow_provider_messaging.transfers._jobs import Job, Landing

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class PullOperator(BaseOperator):
    """Reads the feedback of a closed window: see `FeedbackToObjectStorageOperator` for the parameters."""

    template_fields: Sequence[str] = ("path", "start", "end", "account_id", "marigold_conn_id")

    def __init__(
        self,
        *,
        path: str,
        kinds: Sequence[str] = KINDS,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        lag: timedelta | float = LAG,
        look_back: timedelta | float = LOOK_BACK,
        account_id: str | Sequence[str] | None = None,
        page_size: int = 100,
        max_concurrency: int = 4,
        marigold_conn_id: str = MarigoldHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.kinds = kinds
        self.start = start
        self.end = end
        self.lag = lag
        self.look_back = look_back
        self.account_id = account_id
        self.page_size = page_size
        self.max_concurrency = max_concurrency
        self.marigold_conn_id = marigold_conn_id
        self._thread: LoopThread[dict[str, int]] | None = None
        self._lineage = Lineage()

    def on_kill(self) -> None:
        """Read no more; the file under way is not written."""
        if self._thread is not None:
            self._thread.stop()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return what was read and written, for OpenLineage."""
        return self._lineage.as_openlineage()

    def checked(self) -> list[str]:
        """Judge the arguments and return the kinds.

        :raises ConfigurationError: naming the one at fault.
        """
        check_positive(self.page_size, "page_size")
        check_positive(self.max_concurrency, "max_concurrency")
        return checked_kinds(self.kinds)

    def pull(self, hook: MarigoldHook, jobs: Sequence[Job]) -> dict[str, int]:
        """Write the files and return how many rows were read, by kind."""
        self._thread = LoopThread("messaging-landing")
        in_flight = limited(self.max_concurrency)
        landing = Landing(hook, hook.client, jobs, page_size=self.page_size, max_concurrency=in_flight)
        return self._thread.run(landing.run)

    def window(self, context: Context) -> Window:
        return closed_window(
            cast("dict[str, Any]", context),
            start=as_moment(self.start, "start"),
            end=as_moment(self.end, "end"),
            lag=seconds(self.lag, "lag"),
            look_back=seconds(self.look_back, "look_back"),
        )

    def accounts(self) -> list[str | None]:
        """Return the accounts to read, None for the connection's own."""
        given = self.account_id
        if given is None or given == "":
            return [None]
        if isinstance(given, str) and not given.startswith("["):
            return [given]
        accounts = list(dict.fromkeys(str(account) for account in listed(given, "account_id")))
        if not accounts or "" in accounts:
            raise ConfigurationError(
                "account_id is a list without an account, or with an empty one", setting="account_id"
            )
        return list(accounts)
