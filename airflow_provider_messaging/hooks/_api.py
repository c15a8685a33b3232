"""The request that a DAG author writes: any method, any path, what a vendor's own operations do not cover."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import urlencode

import msgspec

from airflow_provider_messaging.core.endpoint import Endpoint, Evidence, Safety
from airflow_provider_messaging.core.errors import ConfigurationError, MessagingError, StorageError, VendorError
from airflow_provider_messaging.core.flow import Api, Flow, with_query
from airflow_provider_messaging.core.http import MEBIBYTE, Failure, FailureKind, Request, Response, Stream
from airflow_provider_messaging.core.multipart import FilePart, multipart
from airflow_provider_messaging.hooks._storage import publisher
from airflow_provider_messaging.hooks._uploads import file_part
from airflow_provider_messaging.transport.sinks import DownloadError

if TYPE_CHECKING:
    from airflow_provider_messaging.hooks._base import MessagingHook

MAX_BYTES = 64 * MEBIBYTE
"""Bytes of an answer that is returned, at most, unless the caller says otherwise."""
MAX_DOWNLOAD_BYTES = 10 * 1024 * MEBIBYTE
"""Bytes of an answer that goes to `response_path`, at most, unless the caller says otherwise."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_OURS = frozenset(
    {"authorization", "connection", "content-length", "cookie", "host", "proxy-authorization", "transfer-encoding"}
)


class RequestParts(TypedDict, total=False):
    """What a request may have beside method and path; each may be left out or None.

    - ``params``: query parameters; a list repeats its name, None is left out.
    - ``json``: the body, as JSON.
    - ``data``: the body, as a form; with ``files`` its fields.
    - ``files``: the files of a ``multipart/form-data`` body: by field name the path, local or on object storage, or the
      content as bytes, or a `FilePart`.
    - ``headers``: more headers; credentials come from the connection and can't be replaced.
    - ``response_path``: a file, local or on object storage, for the body of a 2xx answer, written whole or not at all.
    - ``max_bytes``: a longer answer is an error. Default: 64 MiB, with ``response_path`` 10 GiB.
    """

    params: Mapping[str, Any] | None
    json: Any
    data: Mapping[str, Any] | None
    files: Mapping[str, str | bytes | FilePart] | None
    headers: Mapping[str, str] | None
    response_path: str | None
    max_bytes: int | None


def send_request(
    hook: MessagingHook,
    api: Api,
    method: str,
    path: str,
    *,
    base_url_setting: str = "host of the connection",
    reserved_headers: Collection[str] = (),
    evidence: Evidence = Evidence.UNPUBLISHED,
    **parts: Unpack[RequestParts],
) -> Any:
    """Send a request and return its answer: decoded JSON, None for an empty one, text for ``text/*``, else bytes.

    With ``response_path`` the answer goes there, and ``{"path", "bytes", "content_type", "status"}`` is returned.

    :param api: where it goes and with whose credentials.
    :param path: below the API's base URL; see `Endpoint.custom` for what it must not hold.
    :param base_url_setting: where that base URL comes from, for the error of a path that the vendor does not know.
    :param reserved_headers: those with which this vendor takes credentials, beside ``Authorization``.
    :raises ConfigurationError: naming the argument that makes no sense; nothing was sent.
    :raises AmbiguousDeliveryError: if a POST or PATCH may have been taken; a retry must not repeat it blindly.
    :raises StorageError: if a file can't be read or written; retryable unless a POST or PATCH was taken before.
    :raises MessagingError: as `Api.perform` does.
    """
    try:
        endpoint = Endpoint.custom(api.vendor, method, path, evidence=evidence, base_url_setting=base_url_setting)
        request = build_request(api, endpoint, reserved_headers=reserved_headers, **parts)
        response_path = parts.get("response_path")
        if response_path is None:
            return decode(api, endpoint, hook.run(perform(api, endpoint, request)))
        return _download(hook, api, endpoint, request, response_path)
    except MessagingError as error:
        # Errors of files and arguments do not know whose call it was.
        error.vendor = error.vendor or api.vendor
        error.operation = error.operation or "request"
        error.connection = error.connection or api.connection
        raise


def build_request(
    api: Api, endpoint: Endpoint, *, reserved_headers: Collection[str] = (), **parts: Unpack[RequestParts]
) -> Request:
    """Return the request, without credentials.

    :raises ConfigurationError: naming the argument that makes no sense.
    """
    content_type, body = _body(parts)
    headers = {"Accept": "application/json, */*;q=0.8"}
    if content_type:
        headers["Content-Type"] = content_type
    forbidden = _OURS | {name.lower() for name in reserved_headers}
    if parts.get("files"):
        forbidden |= {"content-type"}
    for name, value in _mapping(parts.get("headers"), "headers").items():
        if not _HEADER.fullmatch(name):
            raise ConfigurationError(f"{name!r} is no name of a header", setting="headers")
        if name.lower() in forbidden:
            raise ConfigurationError(f"the header {name!r} is not yours to set", setting="headers")
        if value is not None:
            headers = {known: text for known, text in headers.items() if known.lower() != name.lower()}
            headers[name] = str(value)
    most = parts.get("max_bytes") or (MAX_BYTES if parts.get("response_path") is None else MAX_DOWNLOAD_BYTES)
    request = api.request(endpoint, body=body, max_response_bytes=most)
    url = request.url
    for name, value in _pairs(parts.get("params"), "params"):
        url = with_query(url, {name: value})
    return replace(request, url=url, headers=headers)


def perform(api: Api, endpoint: Endpoint, request: Request) -> Flow[Response]:
    """Like `Api.perform`; an answer that is too large is no reason for a retry."""
    reply = yield from api.exchange(endpoint, request)
    if isinstance(reply, Response) and reply.ok:
        return reply
    error = api.error(endpoint, reply)
    if isinstance(reply, Failure) and reply.kind is FailureKind.TOO_LARGE:
        error.retryable, error.setting = False, "max_bytes"
    raise error


def decode(api: Api, endpoint: Endpoint, response: Response) -> Any:
    """Return JSON as what it stands for, None for an empty body, text for ``text/*``, and any other body as bytes.

    :raises VendorError: if the body is no JSON although its type says so.
    """
    if not response.body:
        return None
    content_type = response.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind.endswith(("/json", "+json")):
        try:
            return msgspec.json.decode(response.body.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, UnicodeError):
            if not kind:
                return response.body
        raise VendorError(
            f"HTTP {response.status}, but the body is not JSON, as its type says",
            status=response.status,
            vendor=api.vendor,
            operation=endpoint.name,
            connection=api.connection,
        )
    if kind.startswith("text/"):
        charset = found[1] if (found := _CHARSET.search(content_type)) else "utf-8"
        try:
            return response.body.decode(charset, "replace")
        except LookupError:
            return response.body.decode("utf-8", "replace")
    return response.body


def _download(hook: MessagingHook, api: Api, endpoint: Endpoint, request: Request, path: str) -> dict[str, Any]:
    publish = publisher(path, "response_path")
    taken = endpoint.safety is Safety.UNSAFE
    with tempfile.TemporaryDirectory(prefix="messaging-") as folder:
        local = os.path.join(folder, "answer")
        try:
            response = hook.run(perform(api, endpoint, replace(request, download_to=local)))
        except DownloadError as error:
            raise _lost(error.message, taken) from error
        try:
            publish(local)
        except Exception as error:
            raise _lost(f"the answer can't be written to {path!r} ({type(error).__name__})", taken) from error
    return {
        "path": path,
        "bytes": response.downloaded,
        "content_type": response.headers.get("content-type"),
        "status": response.status,
    }


def _lost(problem: str, taken: bool) -> StorageError:
    """Return the error of an answer that can't be kept: where the vendor has acted, a retry would make it act twice."""
    if not taken:
        return StorageError(problem)
    error = StorageError(f"{problem}; the vendor took the request, so it is not repeated", setting="response_path")
    error.retryable = False
    return error


def _body(parts: RequestParts) -> tuple[str, bytes | Stream | None]:
    given = parts.get("json")
    data, files = parts.get("data"), _mapping(parts.get("files"), "files")
    if given is not None:
        if data is not None or files:
            raise ConfigurationError("give json, or data and files", setting="json, data or files")
        try:
            return "application/json", msgspec.json.encode(given)
        except TypeError as error:
            problem = str(error)
        except (ValueError, RecursionError) as error:
            problem = type(error).__name__
        # Out here, so that it does not drag along an error that holds the text in question.
        raise ConfigurationError(f"json can't be written as JSON: {problem}", setting="json")
    if files:
        fields = {}
        for name, value in _pairs(data, "data"):
            if name in fields:
                raise ConfigurationError(f"the field {name!r} can't be repeated beside files", setting="data")
            fields[name] = value
        return multipart(fields, [_part(name, source) for name, source in files.items()])
    if data is not None:
        return "application/x-www-form-urlencoded", urlencode(list(_pairs(data, "data"))).encode()
    return "", None


def _part(name: str, source: Any) -> FilePart:
    if isinstance(source, FilePart):
        return replace(source, name=name)
    if isinstance(source, str | bytes):
        return file_part(name, source, setting="files")
    raise ConfigurationError(f"the file {name!r} must be a path or bytes", setting="files")


def _mapping(value: Any, setting: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f"{setting} must be a mapping of names to values", setting=setting)
    return value


def _pairs(value: Any, setting: str) -> Iterator[tuple[str, str | bytes]]:
    """Yield names and values as text, in order."""
    for name, entry in _mapping(value, setting).items():
        for each in entry if isinstance(entry, Sequence) and not isinstance(entry, str | bytes) else (entry,):
            if isinstance(each, Mapping | Sequence) and not isinstance(each, str | bytes):
                raise ConfigurationError(f"{name!r} must be a plain value or a list of them", setting=setting)
            if isinstance(each, bytes) and setting == "data":
                yield name, each
            elif each is not None:
                yield name, str(each).lower() if isinstance(each, bool) else _text(each, name, setting)


def _text(value: Any, name: str, setting: str) -> str:
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    if not _is_text(text) or not _is_text(name):
        raise ConfigurationError(f"{name!r} holds what is no text", setting=setting)
    return text


def _is_text(text: str) -> bool:
    with suppress(UnicodeEncodeError):
        text.encode()
        return True
    return False
