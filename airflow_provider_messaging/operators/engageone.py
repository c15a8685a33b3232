"""Operators of EngageOne Communicate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_messaging.hooks.engageone import EngageOneHook
from airflow_provider_messaging.operators._addresses import (
    BlacklistAddressOperator,
    UnblacklistAddressOperator,
    VerifyAddressOperator,
)
from airflow_provider_messaging.operators._api import ApiOperator
from airflow_provider_messaging.operators._campaigns import (
    CreateCampaignOperator,
    SendCampaignOperator,
    UploadAssetOperator,
)

if TYPE_CHECKING:
    from airflow_provider_messaging.hooks._api import RequestParts

__all__ = [
    "BlacklistAddressOperator",
    "CreateCampaignOperator",
    "EngageOneApiOperator",
    "SendCampaignOperator",
    "UnblacklistAddressOperator",
    "UploadAssetOperator",
    "VerifyAddressOperator",
]


class EngageOneApiOperator(ApiOperator):
    """Sends one request to any of EngageOne's services and returns the answer.

    For the other parameters, and the result, see `ApiOperator`.

    See ``docs/engageone.md``.

    :param service: ``public``, ``private``, ``api``, ``users``, ``document-channel``, ``chat-channel``,
        ``video-channel``, ``video-delivery``, ``archiving``, ``push-notification``, ``nlu`` or ``transfer``. Those from
        ``document-channel`` on need their URL in the connection's extra ``services``.
    :param engageone_conn_id: a connection of type ``engageone``.
    """

    template_fields: Sequence[str] = ("service", *ApiOperator.template_fields, "engageone_conn_id")

    def __init__(
        self, *, service: str, engageone_conn_id: str = EngageOneHook.default_conn_name, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.engageone_conn_id = engageone_conn_id

    def make_hook(self) -> EngageOneHook:
        return EngageOneHook(self.engageone_conn_id)

    def send(self, hook: EngageOneHook, **parts: Unpack[RequestParts]) -> Any:
        return hook.request(self.service, self.method, self.path, **parts)
