"""Sensors of EngageOne Communicate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_messaging.core.errors import ConfigurationError, VendorError
from airflow_provider_messaging.core.watch import examples
from airflow_provider_messaging.hooks._inputs import listed
from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.sensors._watch import WatchSensor, ids
from airflow_provider_messaging.vendors.engageone.endpoints import SEND_STATUS, VENDOR
from airflow_provider_messaging.vendors.engageone.watch import FAILURE_STATES, SUCCESS_STATES, send_goal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.triggers.engageone import CampaignSendTrigger


class CampaignSendSensor(WatchSensor):
    """Waits until campaign sends are done; fails, without a retry, as soon as one of them has failed.

    The vendor does not publish the words for a send's states. Each look logs those it met, and a word that is in
    neither of the two lists counts as not done yet: name it where the wait should end with it.

    Returns ``{"total", "reached", "lost", "open", "states": {state: n}, "send_ids": {state: [...]}}``, the states in
    capitals; at most 1,000 ids of each state.

    See ``docs/engageone.md``.

    :param send_ids: the sends: the result of `SendCampaignOperator`, its ``send_ids``, a list, or one id.
    :param success_states: the states of a send that is done, in any case.
    :param failure_states: the states of a send that has failed, in any case. With `soft_fail` the task is skipped then.
    :param engageone_conn_id: a connection of type ``engageone``.

    The other parameters are those of `WatchSensor`.
    """

    template_fields: Sequence[str] = ("send_ids", "success_states", "failure_states", "engageone_conn_id")

    def __init__(
        self,
        *,
        send_ids: str | Sequence[str] | Mapping[str, Any],
        success_states: Sequence[str] = SUCCESS_STATES,
        failure_states: Sequence[str] = FAILURE_STATES,
        engageone_conn_id: str = EngageOneHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.send_ids = send_ids
        self.success_states = success_states
        self.failure_states = failure_states
        self.engageone_conn_id = engageone_conn_id

    def _make_trigger(self, **options: Any) -> CampaignSendTrigger:
        from airflow_provider_messaging.triggers.engageone import CampaignSendTrigger

        return CampaignSendTrigger(
            engageone_conn_id=self.engageone_conn_id,
            send_ids=ids(list(_send_ids(self.send_ids))),
            success_states=listed(self.success_states, "success_states"),
            failure_states=listed(self.failure_states, "failure_states"),
            **options,
        )

    def _conclude(self, context: Context, outcome: dict[str, Any]) -> dict[str, Any]:
        if not outcome["lost"]:
            return outcome
        goal = send_goal(listed(self.success_states, "success_states"), listed(self.failure_states, "failure_states"))
        text = f"{outcome['lost']} of {outcome['total']} sends failed: {examples(outcome['send_ids'], goal.lost)}"
        if self.soft_fail:
            raise AirflowSkipException(text)
        raise VendorError(text, vendor=VENDOR, operation=SEND_STATUS.name, connection=self.engageone_conn_id)


def _send_ids(value: Any) -> Iterator[str]:
    """Yield the ids in an id, a list of them, the result of a send, a list of such results, or JSON text of these.

    :raises ConfigurationError: if there is something else.
    """
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            value = json.loads(value)
        except ValueError:
            raise _no_ids() from None
    if isinstance(value, Mapping):
        value = value.get("send_ids")
    if isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value).strip()
        if text in {"", "None"}:
            raise _no_ids()
        yield text
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for each in value:
            yield from _send_ids(each)
    else:
        raise _no_ids()


def _no_ids() -> ConfigurationError:
    return ConfigurationError(
        "send_ids must be a send id, a list of them, or the output of a send itself, not a template that turns it "
        "into text",
        vendor=VENDOR,
        setting="send_ids",
    )
