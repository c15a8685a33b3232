"""The operations of EngageOne Communicate, and the services they belong to."""

from __future__ import annotations

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety, endpoints_of

VENDOR = "engageone"

_endpoint = endpoints_of(VENDOR)
_SAFE, _IDEMPOTENT, _UNSAFE = Safety.SAFE, Safety.IDEMPOTENT, Safety.UNSAFE
_OFFICIAL, _CLIENT_CODE, _UNPUBLISHED = Evidence.OFFICIAL, Evidence.CLIENT_CODE, Evidence.UNPUBLISHED

TOKEN = _endpoint("token", "POST", "/authenticate", _IDEMPOTENT, _OFFICIAL)
SEND_CAMPAIGN = _endpoint("send_campaign", "POST", "/campaigns/v2/{campaign}/transactional", _UNSAFE, _OFFICIAL)
SEND_CAMPAIGN_V1 = _endpoint("send_campaign_v1", "POST", "/campaigns/{campaign}/transactional", _UNSAFE, _OFFICIAL)
SEND_STATUS = _endpoint("send_status", "GET", "/campaigns/transactional/{send_id}/status", _SAFE, _UNPUBLISHED)
BLACKLIST = _endpoint("blacklist", "POST", "/blacklist", _IDEMPOTENT, _UNPUBLISHED)
UNBLACKLIST = _endpoint("unblacklist", "DELETE", "/blacklist/{email}", _IDEMPOTENT, _UNPUBLISHED)
VERIFY = _endpoint("verify", "POST", "/verify", _IDEMPOTENT, _UNPUBLISHED)
CREATE_CAMPAIGN = _endpoint("create_campaign", "POST", "/campaigns", _UNSAFE, _UNPUBLISHED)
LIST_CAMPAIGNS = _endpoint("list_campaigns", "GET", "/campaigns", _SAFE, _UNPUBLISHED)
GET_CAMPAIGN = _endpoint("get_campaign", "GET", "/campaigns/{id}", _SAFE, _UNPUBLISHED)
LIST_COMMUNICATIONS = _endpoint("list_communications", "GET", "/communications", _SAFE, _UNPUBLISHED)
GET_COMMUNICATION = _endpoint("get_communication", "GET", "/communications/{id}", _SAFE, _UNPUBLISHED)
LIST_TEMPLATES = _endpoint("list_templates", "GET", "/templates", _SAFE, _UNPUBLISHED)
GET_TEMPLATE = _endpoint("get_template", "GET", "/templates/{id}", _SAFE, _UNPUBLISHED)
UPLOAD_ASSET = _endpoint("upload_asset", "POST", "/assets", _UNSAFE, _UNPUBLISHED)
LIST_DATA_SOURCES = _endpoint("list_data_sources", "GET", "/data", _SAFE, _CLIENT_CODE)
GET_DATA_SOURCE = _endpoint("get_data_source", "GET", "/data/{id}", _SAFE, _CLIENT_CODE)

USERS, PUBLIC, PRIVATE, API, VIDEO_DELIVERY = "users", "public", "private", "api", "video-delivery"
SERVICES: dict[str, tuple[Endpoint, ...]] = {
    USERS: (TOKEN,),
    PUBLIC: (BLACKLIST, UNBLACKLIST, VERIFY),
    PRIVATE: (
        CREATE_CAMPAIGN,
        LIST_CAMPAIGNS,
        GET_CAMPAIGN,
        LIST_COMMUNICATIONS,
        GET_COMMUNICATION,
        LIST_TEMPLATES,
        GET_TEMPLATE,
        UPLOAD_ASSET,
        LIST_DATA_SOURCES,
        GET_DATA_SOURCE,
    ),
    API: (SEND_CAMPAIGN, SEND_CAMPAIGN_V1, SEND_STATUS),
    "document-channel": (),
    "chat-channel": (),
    "video-channel": (),
    VIDEO_DELIVERY: (),
    "archiving": (),
    "push-notification": (),
    "nlu": (),
    "transfer": (),
}
"""The vendor's services with those of their operations that we know. The others have the generic request only."""

WITHOUT_CREDENTIALS = frozenset({PUBLIC, VIDEO_DELIVERY})
"""The Public API takes none, as its page says; neither does a video player, which runs at the recipient's."""

ENDPOINTS = {endpoint.name: endpoint for endpoints in SERVICES.values() for endpoint in endpoints}
