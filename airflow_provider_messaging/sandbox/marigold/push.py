"""The rules of a batch of push messages.

The page gives error codes and no body. The places of the fields are therefore this sandbox's choice:
``token``, ``provider`` and ``type`` beside ``reference``; ``title``, ``body`` and ``in_app`` in ``content``,
where a sample of an error shows ``content.title``. All other keys pass.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_messaging.sandbox.marigold.batch import check_context, check_duration, check_reference
from airflow_provider_messaging.sandbox.marigold.problems import Report
from airflow_provider_messaging.sandbox.marigold.settings import Settings

PROVIDERS = ("apple", "google", "huawei")
SIMPLE, WITH_IN_APP, SILENT = "Push", "PushWithInApp", "Silent"


def check_push(report: Report, index: int, message: dict[str, Any], settings: Settings) -> None:
    check_reference(report, index, message)
    if "context" in message:
        check_context(report, index, message["context"])
    check_duration(report, index, message, "time_to_live", longest=172_800)
    _check_token(report, index, message.get("token"))
    kind = message.get("type", SIMPLE)
    if kind not in (SIMPLE, WITH_IN_APP, SILENT):
        report.type_error(index, "type", f"{SIMPLE}, {WITH_IN_APP} or {SILENT}")
    _check_provider(report, index, message, settings)
    _check_content(report, index, message.get("content", {}), kind)
    template = message.get("template_reference")
    if "template_reference" in message and (not isinstance(template, str) or not template):
        report.add(index, "template_reference", "INVALID_TEMPLATE_REFERENCE", "Invalid template reference specified.")


def _check_token(report: Report, index: int, token: Any) -> None:
    if token is None or token == "":
        report.add(index, "token", "INVALID_EMPTY_TOKEN", "Device token is required for bulk send.")
    elif not isinstance(token, str):
        report.type_error(index, "token", "string")


def _check_provider(report: Report, index: int, message: dict[str, Any], settings: Settings) -> None:
    if not settings.push_app_configured:
        report.add(index, "", "MISSING_APP_CONFIG", "No configuration available for this Mobile App.")
    provider = message.get("provider")
    if "provider" not in message:
        return
    if not isinstance(provider, str):
        report.type_error(index, "provider", "string")
    elif provider not in PROVIDERS:
        report.add(index, "provider", "UNKNOWN_PROVIDER", f"Unknown provider '{provider}'.")
    elif provider not in settings.push_providers:
        report.add(
            index,
            "provider",
            f"MISSING_PROVIDER_CONFIG_{provider.upper()}",
            f"Not credentials are defined for '{provider}'.",
        )


def _check_content(report: Report, index: int, content: Any, kind: Any) -> None:
    if not isinstance(content, dict):
        report.type_error(index, "content", "object")
        return
    if kind != SILENT:
        for name in ("title", "body"):
            if not content.get(name):
                report.add(
                    index,
                    f"content.{name}",
                    f"INVALID_EMPTY_{name.upper()}",
                    f"Push notification {name} is mandatory when sending none silent notification.",
                )
    for name in ("title", "body"):
        if content.get(name) is not None and not isinstance(content[name], str):
            report.type_error(index, f"content.{name}", "string")
    if content.get("in_app") is not None:
        _check_in_app(report, index, content["in_app"], kind)


def _check_in_app(report: Report, index: int, in_app: Any, kind: Any) -> None:
    if kind == SIMPLE:
        report.add(
            index,
            "content.in_app",
            "INAPP_CONTENT_NOT_ALLOWED",
            "InApp content is not allowed for simple push type. Use 'PushWithInApp' type of 'Silent'.",
        )
    if not isinstance(in_app, dict):
        report.type_error(index, "content.in_app", "object")
        return
    for name in ("title", "body"):
        value = in_app.get(name)
        if not value:
            report.add(
                index,
                f"content.in_app.{name}",
                f"INVALID_INAPP_EMPTY_{name.upper()}",
                f"InApp content {name} is mandatory.",
            )
        elif not isinstance(value, str):
            report.type_error(index, f"content.in_app.{name}", "string")
