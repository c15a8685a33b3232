"""The Asset Library."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from airflow_provider_messaging.sandbox.engageone.multipart import read_parts
from airflow_provider_messaging.sandbox.engageone.problems import no_parameters, refuse
from airflow_provider_messaging.sandbox.engageone.state import State
from airflow_provider_messaging.sandbox.http import Answer, Refused, Request, json_answer

FIELDS = ("name", "folder")


def upload(state: State, customer: str, request: Request) -> Answer:
    """Keep what there is to know of a file; its content is forgotten."""
    no_parameters(request)
    form: dict[str, Any] = {}
    for part in read_parts(request):
        if part.name in form:
            raise _invalid(f"part {part.name} is given twice")
        if part.name == "file" and part.file_name:
            form["file"] = part.summary()
        elif part.name in FIELDS and part.file_name is None:
            form[part.name] = _text(part.name, part.content)
        else:
            raise _invalid(f"part {part.name} is unknown, or a file without a name")
    if "file" not in form:
        raise _invalid("part file is missing")
    file = form["file"]
    asset = {
        "id": str(uuid4()),
        "name": form.get("name", file["file_name"]),
        "folder": form.get("folder"),
        "file_name": file["file_name"],
        "content_type": file["content_type"],
        "size": file["size"],
        "sha256": file["sha256"],
        "at": time.time(),
    }
    state.company(customer).assets.append(asset)
    return json_answer({member: asset[member] for member in ("id", "name", "size")}, 201)


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise _invalid(f"part {name} is no text")
    return text


def _invalid(detail: str) -> Refused:
    return refuse(400, f"The form is not valid: {detail}.", "INVALID_BODY")
