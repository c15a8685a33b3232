"""The vendor's calls, and each of its channels as the delivery engine sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from airflow_provider_messaging.core.channel import SendChannel
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.flow import Api, Flow, NoAuth
from airflow_provider_messaging.core.http import Failure, Request
from airflow_provider_messaging.core.messages import Doubt, Message, Reject
from airflow_provider_messaging.core.retry import RetryPolicy
from airflow_provider_messaging.vendors.pressnxpress.config import CONTENT_TYPES, ContentType, PressnxpressConfig
from airflow_provider_messaging.vendors.pressnxpress.contacts import LIMITS, MEDIA_TYPES, ContactRules
from airflow_provider_messaging.vendors.pressnxpress.endpoints import (
    CHANNELS,
    REACH,
    TOKEN_SEGMENT,
    VENDOR,
    ChannelName,
)
from airflow_provider_messaging.vendors.pressnxpress.problems import read_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueChannel(SendChannel):
    """Feedback requests of one touchpoint, one contact each.

    The vendor has no key against repeats and no look-up: what may have been taken is reported, never repeated.
    """

    doubt: ClassVar[Doubt] = Doubt.REPORT

    api_key: str = field(repr=False)
    touchpoint_token: str = field(repr=False)
    content_type: ContentType
    rules: ContactRules = field(repr=False)

    def prepare(
        self, rows: Sequence[tuple[int, object]], *, reference_of: Callable[[int], str], now: datetime
    ) -> Iterable[Message | Reject]:
        return self.rules.prepare(rows, reference_of)

    def request(self, messages: Sequence[Message]) -> Request:
        [message] = messages
        return self.api.request(
            self.endpoint,
            segments={TOKEN_SEGMENT: self.touchpoint_token},
            params={"apiKey": self.api_key},
            body=message.data,
            headers={"Content-Type": MEDIA_TYPES[self.content_type]},
        )


def pressnxpress_api(config: PressnxpressConfig, *, retry: RetryPolicy = RetryPolicy()) -> Api:
    """Return the API as a connection reaches it. The key is added by the calls: it is a parameter of the URL."""
    return Api(
        vendor=VENDOR,
        connection=config.connection,
        base_url=config.base_url,
        auth=NoAuth(),
        read_problem=read_problem,
        overrides=config.overrides,
        retry=retry,
        redact=config.redactor,
    )


def enqueue_channel(
    api: Api,
    config: PressnxpressConfig,
    channel: ChannelName,
    *,
    touchpoint: str | None = None,
    content_type: ContentType | None = None,
    **rules: Any,
) -> EnqueueChannel:
    """Return the sending of feedback requests over one touchpoint.

    :param rules: as of `ContactRules`.
    :raises ConfigurationError: if the connection has no such touchpoint, or an argument makes no sense.
    """
    _check_choice("channel", channel, CHANNELS)
    if content_type is None:
        content_type = config.content_type
    _check_choice("content_type", content_type, CONTENT_TYPES)
    return EnqueueChannel(
        api=api,
        endpoint=CHANNELS[channel],
        limits=LIMITS,
        api_key=config.api_key,
        touchpoint_token=config.token_of(touchpoint),
        content_type=content_type,
        rules=ContactRules(channel=channel, content_type=content_type, **rules),
    )


def reach(api: Api) -> Flow[int]:
    """Return the status with which the host answers a request without credentials, asked once.

    :raises VendorError: if it does not answer, answers with a redirect, or with an error of its own.
    """
    once = replace(api, retry=RetryPolicy(max_attempts=1))
    reply = yield from once.exchange(REACH, once.request(REACH))
    if isinstance(reply, Failure) or 300 <= reply.status < 400 or reply.status >= 500:
        raise once.error(REACH, reply)
    return reply.status


def _check_choice(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ConfigurationError(
            f"{name} is {value!r}; it must be one of {', '.join(known)}", vendor=VENDOR, setting=name
        )
