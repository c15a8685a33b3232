"""The vendor's calls as flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from airflow_provider_messaging.core.auth import TOKENS, TokenCache
from airflow_provider_messaging.core.encoding import encode_json
from airflow_provider_messaging.core.endpoint import Endpoint, Safety
from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError, ValidationError
from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.http import Reply, Request, Response
from airflow_provider_messaging.core.paging import Page, iter_cursor_pages
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.vendors.messangi.auth import make_auth
from airflow_provider_messaging.vendors.messangi.config import MessangiConfig
from airflow_provider_messaging.vendors.messangi.endpoints import (
    BELOW_PREFIX,
    CREATE_WALLET_TEMPLATE,
    DELETE_SUBSCRIBER,
    GET_MESSAGE,
    GET_SUBSCRIBER,
    LIST_SUBSCRIBERS,
    VENDOR,
)
from airflow_provider_messaging.vendors.messangi.envelope import Envelope, read_envelope
from airflow_provider_messaging.vendors.messangi.problems import read_problem
from airflow_provider_messaging.vendors.messangi.wallet import wallet_request

_PREFIX_SETTING = "extra 'subscribers_prefix'"


class MessangiApi(Api):
    """Knows that a status of success may carry a rejection, and that some paths begin with an unpublished prefix."""

    __slots__ = ()

    def request(self, endpoint: Endpoint, **parts: Any) -> Request:
        """Build the request of an endpoint.

        :raises ConfigurationError: if its path begins with the subscribers' prefix, which the connection does not name.
        """
        if endpoint.name in BELOW_PREFIX and endpoint.name not in self.overrides and not endpoint.setting:
            raise ConfigurationError(
                f"the path of lists, subscribers and owners begins with a prefix that the vendor does not publish: "
                f"{{prefix}}{endpoint.path}",
                vendor=self.vendor,
                operation=endpoint.name,
                connection=self.connection,
                setting=f"{_PREFIX_SETTING}, or extra 'endpoints' → {endpoint.name!r}",
            )
        return Api.request(self, endpoint, **parts)

    def perform(self, endpoint: Endpoint, request: Request) -> Flow[Response]:
        """Like `Api.perform`.

        :raises ValidationError: if the vendor says with a status of success that it rejected the request.
        """
        response = yield from Api.perform(self, endpoint, request)
        # What is read may well be about a message that was rejected.
        if endpoint.safety is not Safety.SAFE and b"REJECTED" in response.body.upper():
            with suppress(ValueError):
                self.refuse_rejection(endpoint.name, read_envelope(response))
        return response

    def refuse_rejection(self, operation: str, envelope: Envelope) -> None:
        """:raises ValidationError: if the answer says that the request was rejected."""
        if envelope.is_rejection:
            raise ValidationError(
                f"the vendor rejected it: {self.redact(envelope.reason) or 'no reason given'}",
                vendor=self.vendor,
                operation=operation,
                connection=self.connection,
                trace_id=envelope.meta.transaction_id,
            )

    def error(self, endpoint: Endpoint, reply: Reply) -> MessagingError:
        error = Api.error(self, endpoint, reply)
        if reply.status in {404, 405} and endpoint.name in BELOW_PREFIX and not endpoint.setting:
            error.setting = (
                f"{_PREFIX_SETTING} (the vendor does not publish it), or the id of the list or subscriber"
                if reply.status == 404
                else _PREFIX_SETTING
            )
        return error


def messangi_api(
    config: MessangiConfig,
    *,
    cache: TokenCache = TOKENS,
    on_secret: Callable[[str], None] = lambda _: None,
    redact: Callable[[str], str] = str,
    retry: RetryPolicy = RetryPolicy(),
) -> MessangiApi:
    """Return the API as a connection reaches it; for the parameters see `make_auth` and `Api`."""
    return MessangiApi(
        vendor=VENDOR,
        connection=config.connection,
        base_url=config.base_url,
        auth=make_auth(config, cache=cache, on_secret=on_secret, retry=retry),
        read_problem=partial(read_problem, config),
        overrides=config.overrides,
        retry=retry,
        redact=redact,
    )


def read(api: Api, endpoint: Endpoint, response: Response) -> Envelope:
    """Read an answer.

    :raises VendorError: if it is not JSON.
    """
    try:
        return read_envelope(response)
    except ValueError:
        raise api.unreadable(endpoint, response) from None


def read_resource(api: Api, endpoint: Endpoint, response: Response) -> dict[str, Any]:
    """Return the resource that an answer holds: its ``data``, or all of it where it has none.

    :raises VendorError: if it is not JSON.
    """
    envelope = read(api, endpoint, response)
    return dict(envelope.data or (envelope.raw if isinstance(envelope.raw, dict) else {}))


def get_message(api: Api, message_id: str) -> Flow[dict[str, Any] | None]:
    """Return what the vendor says of a message, None where it answers 404."""
    return _get(api, GET_MESSAGE, {"message_id": message_id})


def get_subscriber(api: Api, list_id: str, subscriber_id: str) -> Flow[dict[str, Any] | None]:
    """Return a subscriber, None where the list has none of that id.

    :raises VendorError: if there is no such list.
    """
    found = yield from _get(api, GET_SUBSCRIBER, {"list_id": list_id, "subscriber_id": subscriber_id})
    if found is None:
        yield from check_list(api, list_id)
    return found


def get_resource(api: Api, endpoint: Endpoint, segments: Mapping[str, str]) -> Flow[dict[str, Any]]:
    """Return the one resource of a path."""
    return read_resource(api, endpoint, (yield from api.call(endpoint, segments=segments)))


def delete_subscriber(api: Api, list_id: str, subscriber_id: str) -> Flow[bool]:
    """Remove a subscriber; tell whether there was one.

    :raises VendorError: if there is no such list.
    """
    segments = {"list_id": list_id, "subscriber_id": subscriber_id}
    if (yield from api.call_or_none(DELETE_SUBSCRIBER, segments=segments)) is not None:
        return True
    yield from check_list(api, list_id)
    return False


def check_list(api: Api, list_id: str) -> Flow[None]:
    """Make sure that a list can be read: only then does a 404 for one of its subscribers mean that there is none.

    :raises VendorError: if it can't.
    """
    yield from api.call(LIST_SUBSCRIBERS, segments={"list_id": list_id}, params={"limit": 1})


def write(
    api: Api, endpoint: Endpoint, segments: Mapping[str, str], document: Mapping[str, Any]
) -> Flow[dict[str, Any]]:
    """Send a JSON document and return the resource that comes back."""
    response = yield from api.call(endpoint, segments=segments, body=encode_json(document))
    return read_resource(api, endpoint, response)


def create_wallet_template(api: Api, template: Mapping[str, Any]) -> Flow[dict[str, Any]]:
    """Create a wallet template; what comes back has its ``serial``."""
    response = yield from api.perform(CREATE_WALLET_TEMPLATE, wallet_request(api, encode_json(template)))
    return read_resource(api, CREATE_WALLET_TEMPLATE, response)


def iter_items(
    api: Api,
    endpoint: Endpoint,
    *,
    segments: Mapping[str, str] | None = None,
    params: Mapping[str, object] | None = None,
    page_size: int | None = None,
) -> Flow[None]:
    """Emit the pages of a listing, with ``offset`` as the cursor.

    :param page_size: the parameter ``limit``; None leaves it to the vendor.
    :raises VendorError: if a page or a cursor comes again, or a page can't be read.
    """
    given = {**(params or {}), "limit": page_size} if page_size is not None else dict(params or {})
    return iter_cursor_pages(api, endpoint, segments=segments, params=given, cursor="offset", read=read_items)


class _Items(msgspec.Struct):
    items: list[msgspec.Raw] | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    pagination: Any = None


_ITEMS = msgspec.json.Decoder(_Items)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def read_items(response: Response) -> Page:
    """Read a page: ``items``, or the one resource in ``data``, or a bare list.

    :raises msgspec.DecodeError: for anything else.
    """
    body = response.body.strip()
    if not body:
        return Page(rows=[])
    if body[:1] == b"[":
        return Page(rows=_LIST.decode(body))
    page = _ITEMS.decode(body)
    pagination = page.pagination if isinstance(page.pagination, dict) else {}
    following, total = pagination.get("next"), pagination.get("total")
    rows = page.items
    if rows is None:
        rows = _in_data(page.data)
    return Page(
        rows=rows,
        next_cursor=str(following) if isinstance(following, str | int) and following != "" else "",
        count=total if isinstance(total, int) else None,
    )


def _in_data(data: msgspec.Raw) -> list[msgspec.Raw]:
    text = bytes(data)
    if text[:1] == b"[":
        return _LIST.decode(text)
    return [data] if text[:1] == b"{" and text != b"{}" else []


def _get(api: Api, endpoint: Endpoint, segments: Mapping[str, str]) -> Flow[dict[str, Any] | None]:
    response = yield from api.call_or_none(endpoint, segments=segments)
    return None if response is None else read_resource(api, endpoint, response)
