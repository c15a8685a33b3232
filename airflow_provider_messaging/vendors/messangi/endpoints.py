"""The operations of Messangi Digital Engagement."""

from __future__ import annotations

from typing import Literal

from airflow_provider_messaging.core.endpoint import Evidence, Safety, endpoints_of

VENDOR = "messangi"
ChannelName = Literal["sms", "email", "whatsapp", "notification"]
HOST = "https://elastic.messangi.me"

_endpoint = endpoints_of(VENDOR)
_SAFE, _IDEMPOTENT, _UNSAFE = Safety.SAFE, Safety.IDEMPOTENT, Safety.UNSAFE
_OFFICIAL, _CLIENT_CODE, _UNPUBLISHED = Evidence.OFFICIAL, Evidence.CLIENT_CODE, Evidence.UNPUBLISHED

LOGIN = _endpoint("login", "POST", "/kingslanding/login", _IDEMPOTENT, _OFFICIAL)
SEND_SMS = _endpoint("send_sms", "POST", "/raven/v2/messages", _UNSAFE, _CLIENT_CODE)
GET_MESSAGE = _endpoint("get_message", "GET", "/raven/v2/messages/{message_id}", _SAFE, _UNPUBLISHED)
SEND_EMAIL = _endpoint("send_email", "POST", "/crowsnest/v2/emails", _UNSAFE, _CLIENT_CODE)
SEND_WHATSAPP = _endpoint("send_whatsapp", "POST", "/balerion/v3/messages", _UNSAFE, _CLIENT_CODE)
SEND_NOTIFICATION = _endpoint("send_notification", "POST", "/oberyn/v2/notification", _UNSAFE, _CLIENT_CODE)
CREATE_WALLET_TEMPLATE = _endpoint(
    "create_wallet_template", "POST", "/ironbank/v2/wallet/templates", _UNSAFE, _OFFICIAL
)

# Below the connection's extra `subscribers_prefix`, which the vendor does not publish.
_SUBSCRIBERS = "/lists/{list_id}/subscribers"
_SUBSCRIBER = f"{_SUBSCRIBERS}/{{subscriber_id}}"
LIST_LISTS = _endpoint("list_lists", "GET", "/lists", _SAFE, _OFFICIAL)
CREATE_LIST = _endpoint("create_list", "POST", "/lists", _UNSAFE, _OFFICIAL)
GET_LIST = _endpoint("get_list", "GET", "/lists/{list_id}", _SAFE, _OFFICIAL)
DELETE_LIST = _endpoint("delete_list", "DELETE", "/lists/{list_id}", _IDEMPOTENT, _OFFICIAL)
LIST_SUBSCRIBERS = _endpoint("list_subscribers", "GET", _SUBSCRIBERS, _SAFE, _OFFICIAL)
CREATE_SUBSCRIBER = _endpoint("create_subscriber", "POST", _SUBSCRIBERS, _UNSAFE, _OFFICIAL)
GET_SUBSCRIBER = _endpoint("get_subscriber", "GET", _SUBSCRIBER, _SAFE, _OFFICIAL)
UPSERT_SUBSCRIBER = _endpoint("upsert_subscriber", "PUT", _SUBSCRIBER, _IDEMPOTENT, _OFFICIAL)
PATCH_SUBSCRIBER = _endpoint("patch_subscriber", "PATCH", _SUBSCRIBER, _IDEMPOTENT, _OFFICIAL)
DELETE_SUBSCRIBER = _endpoint("delete_subscriber", "DELETE", _SUBSCRIBER, _IDEMPOTENT, _OFFICIAL)
LIST_OWNERS = _endpoint("list_owners", "GET", "/owners", _SAFE, _UNPUBLISHED)

BELOW_PREFIX = {
    endpoint.name: endpoint
    for endpoint in (
        LIST_LISTS,
        CREATE_LIST,
        GET_LIST,
        DELETE_LIST,
        LIST_SUBSCRIBERS,
        CREATE_SUBSCRIBER,
        GET_SUBSCRIBER,
        UPSERT_SUBSCRIBER,
        PATCH_SUBSCRIBER,
        DELETE_SUBSCRIBER,
        LIST_OWNERS,
    )
}
"""Those whose paths begin with the extra ``subscribers_prefix``."""

ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        LOGIN,
        SEND_SMS,
        GET_MESSAGE,
        SEND_EMAIL,
        SEND_WHATSAPP,
        SEND_NOTIFICATION,
        CREATE_WALLET_TEMPLATE,
        *BELOW_PREFIX.values(),
    )
}
