"""Many subscribers of a list, written or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.messangi import MessangiHook
from airflow_provider_messaging.operators._delivery import DeliveryOperator

if TYPE_CHECKING:
    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.hooks._base import Client


class SubscribersOperator(DeliveryOperator):
    """What writing and removing subscribers have in common."""

    rows_field = "subscribers"
    template_fields: Sequence[str] = (
        "list_id",
        "subscribers",
        "subscribers_path",
        "id_field",
        *DeliveryOperator.template_fields,
        "messangi_conn_id",
    )

    def __init__(
        self,
        *,
        list_id: str,
        subscribers: Sequence[Any] | None = None,
        subscribers_path: str | None = None,
        id_field: str = "id",
        messangi_conn_id: str = MessangiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.list_id = list_id
        self.subscribers = subscribers
        self.subscribers_path = subscribers_path
        self.id_field = id_field
        self.messangi_conn_id = messangi_conn_id

    def make_hook(self) -> MessangiHook:
        return MessangiHook(self.messangi_conn_id)

    def check_arguments(self) -> None:
        super().check_arguments()
        for name in ("list_id", "id_field"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ConfigurationError(f"{name} must be text", setting=name)


class UpsertSubscribersOperator(SubscribersOperator):
    """Writes subscribers into a list of Messangi: creates those that it does not have, replaces the others.

    A row is a subscriber with its columns, and must name its id: only then does a repeat lead to the same state, and a
    try that was killed is gone on with by the next one. Two rows of one id are a reject, since requests run at the same
    time and nobody could say which of them would win. For the other parameters see `DeliveryOperator`.

    Returns ``{"subscribers", "accepted", "rejected", "ambiguous", "reconciled", "resumed", "requests", "outcomes",
    "manifest_path", "rejects_path"}``; ``outcomes`` counts those ``created`` and ``updated`` by what the vendor said.

    See ``docs/messangi.md``.

    :param list_id: the list.
    :param subscribers: rows, as a list or from XCom.
    :param subscribers_path: NDJSON of such rows on any object storage (``.gz`` is unpacked), instead of `subscribers`.
    :param id_field: the column that holds the subscriber's id. It is sent like every other one.
    :param messangi_conn_id: a connection of type ``messangi``.
    """

    def make_channel(self, hook: MessangiHook, client: Client) -> Channel:
        return hook.upsert_channel(client, self.list_id, id_field=self.id_field)


class DeleteSubscribersOperator(SubscribersOperator):
    """Removes subscribers from a list of Messangi.

    A row is an id, or a subscriber with one. Whoever is not in the list is as good as removed, and counted as
    ``absent`` instead of ``deleted`` in the result's ``outcomes``. Parameters and result are those of
    `UpsertSubscribersOperator`.

    See ``docs/messangi.md``.
    """

    def make_channel(self, hook: MessangiHook, client: Client) -> Channel:
        return hook.delete_channel(client, self.list_id, id_field=self.id_field)
