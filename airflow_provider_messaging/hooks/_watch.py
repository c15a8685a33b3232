"""One look at everything that is watched, from a task."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.core.flow import Flow
from airflow_provider_messaging.core.watch import Watch
from airflow_provider_messaging.hooks._base import MessagingHook


def look(hook: MessagingHook, watch: Watch, flow_of: Callable[[str], Flow[str]], *, max_concurrency: int) -> None:
    """Look once at each open item, several at the same time, until the watch is done.

    :raises MessagingError: the first one that a look meets; nothing new is asked for then.
    """
    hook.open()
    failed: list[MessagingError] = []

    def one(item: str) -> tuple[str, str] | None:
        if failed or watch.done:
            return None
        try:
            return item, hook.run(flow_of(item))
        except MessagingError as error:
            failed.append(error)
            raise

    with ThreadPoolExecutor(max_concurrency, thread_name_prefix="messaging-watch") as pool:
        for found in pool.map(one, watch.open):
            if found is not None:
                watch.note(*found)
