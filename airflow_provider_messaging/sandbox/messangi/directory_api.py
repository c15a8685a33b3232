"""The requests for lists, subscribers and owners."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_messaging.sandbox.http import Answer, Refused, Request
from airflow_provider_messaging.sandbox.messangi import resources
from airflow_provider_messaging.sandbox.messangi.answers import problem
from airflow_provider_messaging.sandbox.messangi.directory import (
    Subscribers,
    check_list,
    check_owner,
    check_subscriber,
    new_id,
)
from airflow_provider_messaging.sandbox.messangi.paging import listing
from airflow_provider_messaging.sandbox.messangi.state import State

Operation = Callable[[State, Request], Answer]


def list_lists(state: State, request: Request) -> Answer:
    return listing(request, state.directory.lists, state.settings)


def create_list(state: State, request: Request) -> Answer:
    return resources.created(state.directory.add_list(new_id(), resources.given(request, check_list)))


def get_list(state: State, request: Request) -> Answer:
    return resources.read(state.directory.lists, request.params["list_id"])


def update_list(state: State, request: Request) -> Answer:
    return resources.replace(state.directory.lists, request.params["list_id"], request, check_list)


def delete_list(state: State, request: Request) -> Answer:
    """Its subscribers go with it."""
    return resources.gone(state.directory.remove_list(request.params["list_id"]))


def list_subscribers(state: State, request: Request) -> Answer:
    return listing(request, _subscribers(state, request), state.settings)


def create_subscriber(state: State, request: Request) -> Answer:
    """An address that the list has already is a conflict here; a client that chooses ids has to know what it does."""
    subscribers = _subscribers(state, request)
    document = resources.given(request, check_subscriber)
    taken = subscribers.holds(document)
    if taken is not None:
        reason = f"The list has a subscriber with this {taken} already"
        return problem(409, reason, [{"field": taken, "message": "is taken"}])
    return resources.created(subscribers.put(new_id(), document))


def get_subscriber(state: State, request: Request) -> Answer:
    return resources.read(_subscribers(state, request), request.params["id"])


def upsert_subscriber(state: State, request: Request) -> Answer:
    return resources.upsert(_subscribers(state, request), request.params["id"], request, check_subscriber)


def patch_subscriber(state: State, request: Request) -> Answer:
    return resources.patch(_subscribers(state, request), request.params["id"], request, check_subscriber)


def delete_subscriber(state: State, request: Request) -> Answer:
    return resources.gone(_subscribers(state, request).remove(request.params["id"]))


def list_owners(state: State, request: Request) -> Answer:
    return listing(request, state.directory.owners, state.settings)


def create_owner(state: State, request: Request) -> Answer:
    return resources.created(state.directory.owners.put(new_id(), resources.given(request, check_owner)))


def get_owner(state: State, request: Request) -> Answer:
    return resources.read(state.directory.owners, request.params["id"])


def update_owner(state: State, request: Request) -> Answer:
    return resources.replace(state.directory.owners, request.params["id"], request, check_owner)


def delete_owner(state: State, request: Request) -> Answer:
    return resources.gone(state.directory.owners.remove(request.params["id"]))


def _subscribers(state: State, request: Request) -> Subscribers:
    """:raises Refused: 404, the path's list is unknown."""
    found = state.directory.subscribers.get(request.params["list_id"])
    if found is None:
        raise Refused(problem(404))
    return found


LIST, SUBSCRIBER, OWNER = "/lists/{list_id}", "/lists/{list_id}/subscribers/{id}", "/owners/{id}"
OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/lists", list_lists),
    ("POST", "/lists", create_list),
    ("GET", LIST, get_list),
    ("PUT", LIST, update_list),
    ("DELETE", LIST, delete_list),
    ("GET", f"{LIST}/subscribers", list_subscribers),
    ("POST", f"{LIST}/subscribers", create_subscriber),
    ("GET", SUBSCRIBER, get_subscriber),
    ("PUT", SUBSCRIBER, upsert_subscriber),
    ("PATCH", SUBSCRIBER, patch_subscriber),
    ("DELETE", SUBSCRIBER, delete_subscriber),
    ("GET", "/owners", list_owners),
    ("POST", "/owners", create_owner),
    ("GET", OWNER, get_owner),
    ("PUT", OWNER, update_owner),
    ("DELETE", OWNER, delete_owner),
)
"""Method, path below the prefix, and the function, whose name is the operation's."""
