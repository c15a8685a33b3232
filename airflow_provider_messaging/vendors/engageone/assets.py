"""Adding files to the Asset Library. The names of the form's fields are not published: ours are defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_messaging.core.flow import Api, Flow
from airflow_provider_messaging.core.multipart import FilePart, multipart
from airflow_provider_messaging.vendors.engageone.endpoints import UPLOAD_ASSET
from airflow_provider_messaging.vendors.engageone.problems import read_object

FILE_FIELD = "file"
NAME_FIELD = "name"


def upload_asset(api: Api, file: FilePart, fields: Mapping[str, str] | None = None) -> Flow[dict[str, Any]]:
    """Add a file to the Asset Library and return the vendor's answer.

    :param fields: further fields of the form, beside ``name``.
    :raises AmbiguousDeliveryError: if it may have been added all the same.
    """
    form = {NAME_FIELD: file.file_name or file.name, **(fields or {})}
    content_type, body = multipart(form, [file])
    response = yield from api.call(UPLOAD_ASSET, body=body, headers={"Content-Type": content_type})
    return read_object(api, UPLOAD_ASSET, response)
