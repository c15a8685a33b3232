"""The operations of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from airflow_provider_messaging.core.endpoint import Evidence, Safety, endpoints_of

VENDOR = "marigold"

_endpoint = endpoints_of(VENDOR)
_SAFE, _IDEMPOTENT, _UNSAFE = Safety.SAFE, Safety.IDEMPOTENT, Safety.UNSAFE
_SPECIFIED, _OFFICIAL, _UNPUBLISHED = Evidence.SPECIFIED, Evidence.OFFICIAL, Evidence.UNPUBLISHED

TOKEN = _endpoint("token", "POST", "/oauth/token", _IDEMPOTENT, _OFFICIAL)
SEND_EMAIL = _endpoint("send_email", "POST", "/email/v1/messages/send", _UNSAFE, _SPECIFIED)
SEND_PUSH = _endpoint("send_push", "POST", "/mobile/v1/messages/push/send", _UNSAFE, _SPECIFIED)
STATISTICS = _endpoint("statistics", "GET", "/email/v1/statistics", _SAFE, _UNPUBLISHED)
ARCHIVE_LIST = _endpoint("archive_list", "GET", "/archive/v1/{profile_id}", _SAFE, _UNPUBLISHED)
ARCHIVE_DELETE_PROFILE = _endpoint(
    "archive_delete_profile", "DELETE", "/archive/v1/{profile_id}", _IDEMPOTENT, _UNPUBLISHED
)
_MESSAGE = "/archive/v1/{profile_id}/{message_id}"
ARCHIVE_GET = _endpoint("archive_get", "GET", _MESSAGE, _SAFE, _UNPUBLISHED)
ARCHIVE_DELETE = _endpoint("archive_delete", "DELETE", _MESSAGE, _IDEMPOTENT, _UNPUBLISHED)
ARCHIVE_DOWNLOAD = _endpoint("archive_download", "GET", f"{_MESSAGE}/download", _SAFE, _UNPUBLISHED)
ARCHIVE_ATTACHMENT = _endpoint("archive_attachment", "GET", f"{_MESSAGE}/download/{{file_name}}", _SAFE, _UNPUBLISHED)
ARCHIVE_PREVIEW = _endpoint("archive_preview", "GET", f"{_MESSAGE}/preview", _SAFE, _UNPUBLISHED)
TRACK = _endpoint("track", "GET", "/tracking/v1/messages/{message_id}", _SAFE, _UNPUBLISHED)
BOUNCES = _endpoint("bounces", "GET", "/bounces/v1/bounces", _SAFE, _UNPUBLISHED)
LIST_UNSUBSCRIBES = _endpoint("list_unsubscribes", "GET", "/bounces/v1/listunsubscribes", _SAFE, _UNPUBLISHED)
COMPLAINTS = _endpoint("complaints", "GET", "/bounces/v1/complaints", _SAFE, _UNPUBLISHED)
BOUNCE = _endpoint("bounce", "GET", "/bounces/v1/bounces/{message_id}", _SAFE, _UNPUBLISHED)
_SUBSCRIPTIONS = "/webhooks/v1/admin/subscriptions/"
LIST_SUBSCRIPTIONS = _endpoint("list_subscriptions", "GET", _SUBSCRIPTIONS, _SAFE, _OFFICIAL)
CREATE_SUBSCRIPTION = _endpoint("create_subscription", "POST", _SUBSCRIPTIONS, _UNSAFE, _OFFICIAL)
DELETE_SUBSCRIPTION = _endpoint(
    "delete_subscription", "DELETE", f"{_SUBSCRIPTIONS}{{subscription_id}}", _IDEMPOTENT, _OFFICIAL
)

ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        TOKEN,
        SEND_EMAIL,
        SEND_PUSH,
        STATISTICS,
        ARCHIVE_LIST,
        ARCHIVE_DELETE_PROFILE,
        ARCHIVE_GET,
        ARCHIVE_DELETE,
        ARCHIVE_DOWNLOAD,
        ARCHIVE_ATTACHMENT,
        ARCHIVE_PREVIEW,
        TRACK,
        BOUNCES,
        LIST_UNSUBSCRIBES,
        COMPLAINTS,
        BOUNCE,
        LIST_SUBSCRIPTIONS,
        CREATE_SUBSCRIPTION,
        DELETE_SUBSCRIPTION,
    )
}

FEEDBACK = {"bounces": BOUNCES, "list_unsubscribes": LIST_UNSUBSCRIBES, "complaints": COMPLAINTS}
