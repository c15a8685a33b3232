"""Triggers of EngageOne Communicate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.watch import Watch
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.triggers._watching import WatchTrigger
from airflow_provider_messaging.vendors.engageone.watch import FAILURE_STATES, SUCCESS_STATES, send_goal, send_state


class CampaignSendTrigger(WatchTrigger):
    """Waits until campaign sends are done, or one of them has failed. Only reads; its event holds counts and send ids.

    :param engageone_conn_id: a connection of type ``engageone``.
    :param send_ids: those to look at.
    :param settled: what is known already, send ids by state; these are not looked at.
    :param poll_interval: seconds between two polls; it grows up to `max_poll_interval` while nothing happens.
    :param max_concurrency: look-ups at the same time.

    The other parameters are those of `CampaignSendSensor`.
    """

    hook_class = EngageOneHook
    named = "send_ids"
    endpoint = "send_status"

    def __init__(
        self,
        *,
        engageone_conn_id: str,
        send_ids: Sequence[str],
        success_states: Sequence[str] = SUCCESS_STATES,
        failure_states: Sequence[str] = FAILURE_STATES,
        settled: Mapping[str, Sequence[str]] | None = None,
        poll_interval: float = 60.0,
        max_poll_interval: float = 600.0,
        max_concurrency: int = 8,
    ) -> None:
        super().__init__(
            settled=settled,
            poll_interval=poll_interval,
            max_poll_interval=max_poll_interval,
            max_concurrency=max_concurrency,
        )
        self.engageone_conn_id = engageone_conn_id
        self.send_ids = list(send_ids)
        self.success_states = list(success_states)
        self.failure_states = list(failure_states)

    def make_watch(self) -> Watch:
        goal = send_goal(self.success_states, self.failure_states)
        return Watch(self.send_ids, goal, settled=self.settled, stop_when_lost=True)

    def flow_of(self, api: Api) -> Callable[[str], Flow[str]]:
        return partial(send_state, api)
