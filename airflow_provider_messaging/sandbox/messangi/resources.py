"""What the verbs do to a resource, whichever collection it is in."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from airflow_provider_messaging.sandbox.http import Answer, Refused, Request
from airflow_provider_messaging.sandbox.messangi.answers import envelope, problem, refuse
from airflow_provider_messaging.sandbox.messangi.bodies import take
from airflow_provider_messaging.sandbox.messangi.collection import Collection, Document

Check = Callable[[Document], None]
MAX_ID = 128


def given(request: Request, check: Check, key: str | None = None) -> Document:
    """The body, checked, without its id.

    :param key: the id that the path gives; without one the body may have none either.
    :raises Refused: the body breaks a rule.
    """
    document = take(request)
    if "id" in document and document.pop("id") != key:
        raise refuse("id", "is given by the server" if key is None else "is another one than the path's")
    check(document)
    return document


def read(collection: Collection, key: str) -> Answer:
    encoded = collection.raw(key)
    return problem(404) if encoded is None else _one("found", encoded)


def created(encoded: bytes) -> Answer:
    return _one("created", encoded, 201)


def replace(collection: Collection, key: str, request: Request, check: Check) -> Answer:
    """Replace a resource that is there."""
    if key not in collection:
        return problem(404)
    return _one("replaced", collection.put(key, given(request, check, key)))


def upsert(collection: Collection, key: str, request: Request, check: Check) -> Answer:
    """Replace a resource, or create it with the id that the client chose."""
    if len(key) > MAX_ID or not key.isprintable():
        raise refuse("id", f"must be at most {MAX_ID} printable characters")
    document, known = given(request, check, key), key in collection
    encoded = collection.put(key, document)
    return _one("replaced", encoded) if known else created(encoded)


def patch(collection: Collection, key: str, request: Request, check: Check) -> Answer:
    """Replace the members that the body has, each as a whole, and keep the others."""
    known = collection.get(key)
    if known is None:
        return problem(404)
    del known["id"]
    changes = given(request, _check_nothing, key)
    if not changes:
        raise Refused(problem(400, "There is nothing to change"))
    check(merged := {**known, **changes})
    return _one("updated", collection.put(key, merged))


def gone(removed: bool) -> Answer:
    return Answer(204) if removed else problem(404)


def _check_nothing(document: Document) -> None:
    return


def _one(done: str, encoded: bytes, status: int = 200) -> Answer:
    return envelope(f"The resource is {done}", status, data=msgspec.Raw(encoded))
