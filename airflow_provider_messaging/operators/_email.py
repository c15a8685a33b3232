"""What completes the rows of an e-mail send: templates, defaults, attachments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._attachments import attachment_opener
from airflow_provider_messaging.hooks._storage import open_binary, storage_path

if TYPE_CHECKING:
    from airflow_provider_messaging.vendors.marigold.compose import Composer


def make_composer(
    *,
    inline: dict[str, Any],
    paths: dict[str, Any],
    defaults: dict[str, Any] | None,
    attachments_path: str | None,
) -> Composer:
    """Read and compile the templates and return the composer of one send.

    :param inline: templates by field.
    :param paths: files of templates by field.
    :raises ConfigurationError: if a template can't be found or read, a default is none, or both forms are given.
    """
    from airflow_provider_messaging.core.attachments import Attachments
    from airflow_provider_messaging.core.templates import Templates, TemplateSource
    from airflow_provider_messaging.vendors.marigold.compose import Composer
    from airflow_provider_messaging.vendors.marigold.email import EMAIL_LIMITS

    most_bytes = EMAIL_LIMITS.max_bytes
    sources: dict[str, TemplateSource] = {}
    for name, text in inline.items():
        path, setting = paths[name], name
        if text is not None and path is not None:
            raise ConfigurationError(f"give either {name} or {name}_path", setting=f"{name} or {name}_path")
        if path is not None:
            setting = f"{name}_path"
            text = _read_template(path, setting, most_bytes)
        if text is None:
            continue
        if not isinstance(text, str):
            raise ConfigurationError(
                f"{name} must be the template itself, as text, not {type(text).__name__}: Airflow does not render it, "
                f"so the output of another task can't stand here; write that to a file and use {name}_path",
                setting=setting,
            )
        # The line break that an editor puts at the end of a file is not meant.
        text = text.strip("\r\n") if name == "subject" else text
        sources[name] = TemplateSource(text=text, setting=setting, is_html=name == "html")
    if attachments_path is not None:
        storage_path(attachments_path, "attachments_path")
    return Composer(
        attachments=Attachments(attachment_opener(attachments_path), most_bytes=most_bytes * 3 // 4),
        most_bytes=most_bytes,
        defaults=defaults,
        templates=Templates(sources) if sources else None,
    )


def _read_template(path: str, setting: str, most_bytes: int) -> str:
    with open_binary(path, setting) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ConfigurationError(f"the template has more than {most_bytes} bytes", setting=setting)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the template is not in UTF-8 (byte {error.start})", setting=setting) from None
