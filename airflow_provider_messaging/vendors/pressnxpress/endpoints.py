"""The operations of Press'nXPress."""

from __future__ import annotations

from typing import Literal

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety, endpoints_of

VENDOR = "pressnxpress"
TOKEN_SEGMENT = "touchpoint_token"

_endpoint = endpoints_of(VENDOR)
_MAIL, _SMS = (f"/channel/{name}/{{{TOKEN_SEGMENT}}}/enqueue" for name in ("mail", "sms"))

ENQUEUE_EMAIL = _endpoint("enqueue_email", "POST", _MAIL, Safety.UNSAFE, Evidence.SPECIFIED)
ENQUEUE_SMS = _endpoint("enqueue_sms", "POST", _SMS, Safety.UNSAFE, Evidence.OFFICIAL)

ENDPOINTS = {endpoint.name: endpoint for endpoint in (ENQUEUE_EMAIL, ENQUEUE_SMS)}

ChannelName = Literal["email", "sms"]
CHANNELS: dict[ChannelName, Endpoint] = {"email": ENQUEUE_EMAIL, "sms": ENQUEUE_SMS}

REACH = _endpoint("reach", "GET", "/", Safety.SAFE, Evidence.UNPUBLISHED)
"""No operation of the vendor's: a request without credentials, to see that somebody answers. Any answer will do."""
