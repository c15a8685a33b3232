"""Lists, their subscribers, and owners."""

from __future__ import annotations

import re
from typing import Any

import pytest

LISTS, OWNERS = "/dothraki/v1/lists", "/dothraki/v1/owners"
JANE = {"email": "jane.doe@example.com", "phone": "+573001234567", "data": {"city": "Bogotá", "tags": ["a"]}}
OBJECT_ID = re.compile("[0-9a-f]{24}")


@pytest.fixture
def subscribers(messangi: Any) -> str:
    path: str = messangi.new_list()
    return path


def data(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def refused(answer: Any, status: int = 400) -> list[str]:
    """The members that the error names."""
    assert answer.status_code == status, answer.text
    return [detail["field"] for detail in answer.json()["errors"]["details"]]


@pytest.mark.parametrize(
    ("path", "document", "changed"),
    [(LISTS, {"name": "News", "data": {"a": 1}}, {"name": "Offers"}), (OWNERS, {"email": "x"}, {"name": "Jane"})],
)
def test_lists_and_owners_live_and_die(
    messangi: Any, path: str, document: dict[str, Any], changed: dict[str, Any]
) -> None:
    made = data(messangi.post(path, json=document), 201)
    assert OBJECT_ID.fullmatch(made["id"])
    assert made == {"id": made["id"], **document}
    one = f"{path}/{made['id']}"
    assert data(messangi.get(one)) == made
    assert messangi.get(path).json()["items"] == [made]
    assert data(messangi.put(one, json=changed)) == data(messangi.get(one)) == {"id": made["id"], **changed}
    answer = messangi.delete(one)
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert messangi.request(method, one).status_code == 404
    assert messangi.put(one, json=changed).status_code == 404, "no upsert here"
    assert messangi.get(path).json()["items"] == []


def test_subscriber_created_is_read(messangi: Any, subscribers: str) -> None:
    made = data(messangi.post(subscribers, json=JANE), 201)
    assert OBJECT_ID.fullmatch(made["id"])
    assert data(messangi.get(f"{subscribers}/{made['id']}")) == made == {"id": made["id"], **JANE}


@pytest.mark.parametrize(
    ("second", "taken"),
    [
        ({"email": "jane.doe@EXAMPLE.com"}, "email"),
        ({"phone": "573001234567"}, "phone"),
        ({"email": "other@example.com", "phone": "+573001234567"}, "phone"),
    ],
)
def test_address_is_created_once_per_list(messangi: Any, subscribers: str, second: dict[str, str], taken: str) -> None:
    made = data(messangi.post(subscribers, json=JANE), 201)
    assert refused(messangi.post(subscribers, json=second), 409) == [taken]
    assert messangi.post(messangi.new_list(), json=second).status_code == 201, "another list"
    messangi.delete(f"{subscribers}/{made['id']}")
    assert messangi.post(subscribers, json=second).status_code == 201, "it is free again"


def test_address_is_free_when_its_subscriber_changed(messangi: Any, subscribers: str) -> None:
    messangi.put(f"{subscribers}/1", json=JANE)
    messangi.put(f"{subscribers}/1", json={"email": "new@example.com"})
    assert messangi.post(subscribers, json=JANE).status_code == 201
    assert refused(messangi.post(subscribers, json={"email": "new@example.com"}), 409) == ["email"]


def test_put_creates_with_the_clients_id_and_replaces(sandbox: Any, messangi: Any, subscribers: str) -> None:
    one = f"{subscribers}/crm%2F1"
    assert data(messangi.put(one, json=JANE), 201) == {"id": "crm/1", **JANE}
    assert data(messangi.put(one, json={"phone": "573001234567"})) == {"id": "crm/1", "phone": "573001234567"}
    assert data(messangi.put(one, json={"id": "crm/1", **JANE})) == data(messangi.get(one)) == {"id": "crm/1", **JANE}
    assert messangi.get(subscribers).json()["pagination"]["total"] == 1


def test_put_of_the_same_twice_changes_nothing(messangi: Any, subscribers: str) -> None:
    for _ in range(2):
        messangi.put(f"{subscribers}/1", json=JANE)
    assert messangi.get(subscribers).json()["items"] == [{"id": "1", **JANE}]


@pytest.mark.parametrize("key", ["x" * 129, "a%0Ab"])
def test_clients_id_has_limits(messangi: Any, subscribers: str, key: str) -> None:
    assert refused(messangi.put(f"{subscribers}/{key}", json=JANE)) == ["id"]


def test_patch_changes_the_members_it_has(messangi: Any, subscribers: str) -> None:
    one = f"{subscribers}/1"
    messangi.put(one, json=JANE)
    patched = data(messangi.patch(one, json={"data": {"city": "Cali"}}))
    assert patched == data(messangi.get(one)) == {"id": "1", **JANE, "data": {"city": "Cali"}}
    assert messangi.patch(one, json={}).status_code == 400
    assert refused(messangi.patch(one, json={"email": "jane"})) == ["email"]
    assert data(messangi.get(one)) == patched


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_unknown_subscriber_is_not_found(messangi: Any, subscribers: str, method: str) -> None:
    answer = messangi.request(method, f"{subscribers}/unknown", json=JANE)
    assert answer.status_code == 404
    assert answer.json()["errors"]["reason"] == "No such object"


@pytest.mark.parametrize(("method", "key"), [("GET", ""), ("POST", ""), ("PUT", "/1"), ("PATCH", "/1"), ("GET", "/1")])
def test_unknown_list_is_not_found(messangi: Any, method: str, key: str) -> None:
    assert messangi.request(method, f"{LISTS}/unknown/subscribers{key}", json=JANE).status_code == 404


def test_list_takes_its_subscribers_along(sandbox: Any, messangi: Any, subscribers: str) -> None:
    messangi.post(subscribers, json=JANE)
    messangi.delete(subscribers.removesuffix("/subscribers"))
    assert messangi.get(subscribers).status_code == 404
    assert sandbox.state("subscribers", vendor="messangi") == []


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "email"),
        ({"data": {}}, "email"),
        ({"email": "jane"}, "email"),
        ({"email": ""}, "email"),
        ({"email": None, "phone": "573001234567"}, "email"),
        ({"phone": "0300"}, "phone"),
        ({"phone": 573001234567}, "phone"),
        ({**JANE, "data": ["x"]}, "data"),
        ({**JANE, "firstname": "Jane"}, "firstname"),
    ],
)
def test_wrong_subscriber_is_refused(messangi: Any, subscribers: str, document: dict[str, Any], field: str) -> None:
    assert refused(messangi.post(subscribers, json=document)) == [field]
    assert refused(messangi.put(f"{subscribers}/1", json=document)) == [field]
    assert messangi.get(subscribers).json()["items"] == []


def test_body_chooses_no_id(messangi: Any, subscribers: str) -> None:
    assert refused(messangi.post(subscribers, json={**JANE, "id": "1"})) == ["id"]
    assert refused(messangi.put(f"{subscribers}/1", json={**JANE, "id": "2"})) == ["id"]
    assert refused(messangi.post(LISTS, json={"id": "1", "name": "News"})) == ["id"]


@pytest.mark.parametrize(
    ("document", "field"),
    [({}, "name"), ({"name": ""}, "name"), ({"name": "x", "size": 1}, "size"), ({"name": "x", "data": 1}, "data")],
)
def test_wrong_list_is_refused(messangi: Any, document: dict[str, Any], field: str) -> None:
    assert refused(messangi.post(LISTS, json=document)) == [field]


def test_owner_has_any_members_but_some(messangi: Any) -> None:
    assert messangi.post(OWNERS, json={}).status_code == 400
    assert messangi.post(OWNERS, json={"roles": ["admin"], "limits": {"sms": 5}}).status_code == 201


def test_state_shows_what_is_there(sandbox: Any, messangi: Any, subscribers: str) -> None:
    messangi.put(f"{subscribers}/1", json=JANE)
    owner = data(messangi.post(OWNERS, json={"name": "Jane"}), 201)
    (row,) = sandbox.state("lists", vendor="messangi")
    assert row == {"id": subscribers.split("/")[-2], "name": "News", "subscribers": 1}
    assert sandbox.state("subscribers", vendor="messangi") == [{"list": row["id"], "id": "1", **JANE}]
    assert sandbox.state("owners", vendor="messangi") == [owner]


def test_operations_have_names_of_their_own(sandbox: Any, messangi: Any, subscribers: str) -> None:
    messangi.put(f"{subscribers}/1", json=JANE)
    messangi.patch(f"{subscribers}/1", json=JANE)
    messangi.get(OWNERS)
    operations = [entry["operation"] for entry in sandbox.requests(vendor="messangi")]
    assert operations == ["create_list", "upsert_subscriber", "patch_subscriber", "list_owners"]
