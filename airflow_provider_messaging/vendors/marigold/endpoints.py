"""The operations of Marigold Engage Delivery Cloud."""

from __future__ import annotations

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety

VENDOR = "marigold"


def _endpoint(name: str, method: str, path: str, safety: Safety, evidence: Evidence) -> Endpoint:
    return Endpoint(vendor=VENDOR, name=name, method=method, path=path, safety=safety, evidence=evidence)


_SAFE, _IDEMPOTENT, _UNSAFE = Safety.SAFE, Safety.IDEMPOTENT, Safety.UNSAFE
_SPECIFIED, _OFFICIAL, _UNPUBLISHED = Evidence.SPECIFIED, Evidence.OFFICIAL, Evidence.UNPUBLISHED

TOKEN = _endpoint("token", "POST", "/oauth/token", _IDEMPOTENT, _OFFICIAL)
SEND_EMAIL = _endpoint("send_email", "POST", "/email/v1/messages/send", _UNSAFE, _SPECIFIED)
SEND_PUSH = _endpoint("send_push", "POST", "/mobile/v1/messages/push/send", _UNSAFE, _SPECIFIED)
TRACK = _endpoint("track", "GET", "/tracking/v1/messages/{message_id}", _SAFE, _UNPUBLISHED)
BOUNCES = _endpoint("bounces", "GET", "/bounces/v1/bounces", _SAFE, _UNPUBLISHED)
LIST_UNSUBSCRIBES = _endpoint("list_unsubscribes", "GET", "/bounces/v1/listunsubscribes", _SAFE, _UNPUBLISHED)
COMPLAINTS = _endpoint("complaints", "GET", "/bounces/v1/complaints", _SAFE, _UNPUBLISHED)
BOUNCE = _endpoint("bounce", "GET", "/bounces/v1/bounces/{message_id}", _SAFE, _UNPUBLISHED)

ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (TOKEN, SEND_EMAIL, SEND_PUSH, TRACK, BOUNCES, LIST_UNSUBSCRIBES, COMPLAINTS, BOUNCE)
}

FEEDBACK = {"bounces": BOUNCES, "list_unsubscribes": LIST_UNSUBSCRIBES, "complaints": COMPLAINTS}
