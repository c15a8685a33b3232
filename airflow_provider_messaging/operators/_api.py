"""The request that a DAG author writes, as a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._api import RequestParts
from airflow_provider_messaging.hooks._errors import no_retry_where_useless

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_messaging.hooks._base import MessagingHook


class ApiOperator(BaseOperator):
    """Sends one request to the vendor and returns the answer: decoded JSON, text, or None where it is empty.

    With `response_path` the answer goes there, and ``{"path", "bytes", "content_type", "status"}`` is returned.

    GET, HEAD, OPTIONS, PUT and DELETE are repeated where that may help. POST and PATCH are repeated only where the
    vendor surely did not take them; where nobody can say, the task fails and is not retried.

    :param path: the path below the base URL that the connection gives, without query parameters.
    :param method: GET, HEAD, OPTIONS, PUT, DELETE, POST or PATCH.
    :param query_params: query parameters; a list repeats its name, None is left out. (`params` is Airflow's own.)
    :param json: the body, sent as JSON. To send what another task returned, pass its output itself.
    :param data: the body, sent as a form; with `files` its fields.
    :param files: the files of a ``multipart/form-data`` body: by field name the path, local or on object storage, or
        the content as bytes. Files are read while they are sent.
    :param headers: more headers; credentials come from the connection and can't be replaced.
    :param response_path: a file, local or on object storage, for the body of a 2xx answer, written whole or not at
        all. Needed for answers that are neither JSON nor text.
    :param max_bytes: a longer answer is an error. Default: 64 MiB, with `response_path` 10 GiB.
    """

    template_fields: Sequence[str] = (
        "method",
        "path",
        "query_params",
        "json",
        "data",
        "files",
        "headers",
        "response_path",
    )

    def __init__(
        self,
        *,
        path: str,
        method: str = "GET",
        query_params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        response_path: str | None = None,
        max_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.method = method
        self.query_params = query_params
        self.json = json
        self.data = data
        self.files = files
        self.headers = headers
        self.response_path = response_path
        self.max_bytes = max_bytes

    @abstractmethod
    def make_hook(self) -> MessagingHook:
        """Return the vendor's hook."""

    def send(self, hook: Any, **parts: Unpack[RequestParts]) -> Any:
        """Send the request. For hooks whose ``request`` takes more than method, path and parts, override this."""
        return hook.request(self.method, self.path, **parts)

    def execute(self, context: Context) -> Any:
        """Send the request and return its answer.

        :raises AirflowFailException: where a retry is of no use, or might do harm.
        """
        with no_retry_where_useless():
            with self.make_hook() as hook:
                result = self.send(
                    hook,
                    params=self.query_params,
                    json=self.json,
                    data=self.data,
                    files=self.files,
                    headers=self.headers,
                    response_path=self.response_path,
                    max_bytes=self.max_bytes,
                )
            if isinstance(result, bytes):
                raise ConfigurationError(
                    f"the vendor took the request, but its answer has {len(result)} bytes that are neither JSON nor "
                    "text, which a task can't return; with a response_path they go to a file",
                    vendor=hook.conn_type,
                    operation="request",
                    connection=hook.conn_id,
                    setting="response_path",
                )
        return result
