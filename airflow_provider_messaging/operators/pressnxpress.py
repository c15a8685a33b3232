"""Operators of Press'nXPress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks.pressnxpress import PressnxpressHook
from airflow_provider_messaging.operators._delivery import DeliveryOperator

if TYPE_CHECKING:
    from airflow_provider_messaging.core.templates import Templates
    from airflow_provider_messaging.delivery.channel import Channel
    from airflow_provider_messaging.hooks._base import Client

__all__ = ["EnqueueFeedbackOperator"]


class EnqueueFeedbackOperator(DeliveryOperator):
    """Asks contacts for feedback over a touchpoint of Press'nXPress, each once.

    A row is a contact: ``email`` (channel ``sms``: ``phone``), ``firstname``, ``lastname``, ``company``, ``identifier``
    and any attributes of your own, whose case is kept. One attribute spelt in two cases is a reject, since the vendor
    would store two. ``reference`` names the row in the manifest, ``vars`` has variables of the template `identifier`;
    neither is sent. For the other parameters see `DeliveryOperator`.

    The vendor takes one contact a request, and can't be asked what it took: requests that may or may not have been
    taken are counted and named as ambiguous, and never repeated.

    Returns ``{"contacts", "accepted", "rejected", "ambiguous", "reconciled", "resumed", "requests", "manifest_path",
    "rejects_path"}``, where ``accepted + rejected + ambiguous == contacts``.

    See ``docs/pressnxpress.md``.

    :param contacts: rows, as a list or from XCom.
    :param contacts_path: NDJSON of such rows on any object storage (``.gz`` is unpacked), instead of `contacts`.
    :param channel: ``email`` or ``sms``.
    :param identifier: a template of the identifier, for rows without one: ``order-{{ order_id }}``. It is Jinja,
        rendered for each row in a sandbox, and so no template field; a missing variable makes the row a reject.
    :param attributes: attributes, of fixed values, for every row that has none of its own; None fixes no more than the
        spelling. Rendered by Airflow, once for the task.
    :param touchpoint: another touchpoint than the connection's, by its name in the connection's extra
        ``touchpoint_tokens``.
    :param content_type: ``json`` or ``form``; the connection's where it is None.
    :param default_region: the country (``DE``) of phone numbers without a country code, which are rejects without it.
    :param on_ambiguous: ``fail`` fails the task at its end if anything is ambiguous; ``continue`` lets it succeed, and
        the result and the manifest tell.
    :param pressnxpress_conn_id: a connection of type ``pressnxpress``.
    """

    rows_field = "contacts"
    template_fields: Sequence[str] = (
        "contacts",
        "contacts_path",
        "attributes",
        "touchpoint",
        "default_region",
        *DeliveryOperator.template_fields,
        "pressnxpress_conn_id",
    )

    def __init__(
        self,
        *,
        contacts: Sequence[Any] | None = None,
        contacts_path: str | None = None,
        channel: Literal["email", "sms"] = "email",
        identifier: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        touchpoint: str | None = None,
        content_type: Literal["json", "form"] | None = None,
        default_region: str | None = None,
        on_ambiguous: Literal["fail", "continue"] = "fail",
        pressnxpress_conn_id: str = PressnxpressHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(on_ambiguous=on_ambiguous, **kwargs)
        self.contacts = contacts
        self.contacts_path = contacts_path
        self.channel = channel
        self.identifier = identifier
        self.attributes = attributes
        self.touchpoint = touchpoint
        self.content_type = content_type
        self.default_region = default_region
        self.pressnxpress_conn_id = pressnxpress_conn_id

    def make_hook(self) -> PressnxpressHook:
        return PressnxpressHook(self.pressnxpress_conn_id)

    def make_channel(self, hook: PressnxpressHook, client: Client) -> Channel:
        return hook.channel(
            client,
            self.channel,
            touchpoint=self.touchpoint,
            content_type=self.content_type,
            default_region=self.default_region,
            attributes=self.attributes,
            identifier=self._template(),
        )

    def _template(self) -> Templates | None:
        if self.identifier is None:
            return None
        if not isinstance(self.identifier, str):
            raise ConfigurationError(
                "identifier must be a template, as text; an identifier from another task belongs into the contacts, or "
                "into attributes",
                setting="identifier",
            )
        from airflow_provider_messaging.core.templates import Templates, TemplateSource

        return Templates({"identifier": TemplateSource(text=self.identifier, setting="identifier")})
