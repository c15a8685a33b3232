"""A mistake in the metadata breaks every Airflow that has this package installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk.log import redact

from airflow_provider_messaging.core.connection import ConnectionParts
from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.transport.options import TransportOptions

ROOT = Path(__file__).resolve().parent.parent
OURS = "airflow_provider_messaging."
INFO = get_provider_info()
CONNECTION_TYPES: list[dict[str, Any]] = INFO["connection-types"]
BY_NAME = pytest.mark.parametrize("described", CONNECTION_TYPES, ids=lambda each: each["connection-type"])


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(airflow.__file__).parent / name).read_text())
    return document


def modules() -> Iterator[str]:
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in INFO[kind]:
            yield from entry["python-modules"]
    for entry in INFO["transfers"]:
        yield entry["python-module"]
    for notifier in INFO["notifications"]:
        yield notifier.rpartition(".")[0]


def test_the_metadata_obey_the_schema_that_airflow_checks_at_start() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@BY_NAME
def test_the_connection_form_obeys_the_schema_that_nothing_checks_at_run_time(described: dict[str, Any]) -> None:
    form = schema("provider.yaml.schema.json")["properties"]["connection-types"]["items"]
    if "conn-fields" not in form["properties"]:
        pytest.skip("this Airflow (3.1) has no schema for connection forms")
    jsonschema.validate(described, form)


@BY_NAME
def test_a_connection_type_has_no_misspelt_key_which_the_schema_would_let_pass(described: dict[str, Any]) -> None:
    assert set(described) == {"connection-type", "hook-class-name", "hook-name", "ui-field-behaviour", "conn-fields"}


@pytest.mark.airflow32
def test_airflow_3_2_and_newer_have_the_schema_of_connection_forms() -> None:
    form = schema("provider.yaml.schema.json")["properties"]["connection-types"]["items"]
    assert "conn-fields" in form["properties"]


def test_the_integrations_and_transfers_obey_the_stricter_schema_of_official_providers() -> None:
    strict = schema("provider.yaml.schema.json")["properties"]
    for kind in ("integrations", "transfers"):
        jsonschema.validate(INFO[kind], strict[kind])


def test_every_how_to_guide_is_a_page_and_every_integration_has_one() -> None:
    assert all(entry["how-to-guide"] for entry in INFO["integrations"])
    guides = [path for entry in INFO["integrations"] for path in entry["how-to-guide"]]
    guides += [entry["how-to-guide"] for entry in INFO["transfers"]]
    assert not [path for path in guides if not path.startswith("/docs/") or not (ROOT / path[1:]).is_file()]


@pytest.mark.parametrize("module", sorted(each for each in set(modules()) if ".triggers." not in each))
def test_every_public_class_names_its_page_in_the_docstring(module: str) -> None:
    """A reader of help(SendEmailBatchOperator) is told where the guide is: ``docs/messages.md``."""
    lacking, missing = [], []
    for name, value in vars(import_module(module)).items():
        named = import_module(module).__dict__.get("__all__")
        if name.startswith("_") or not isinstance(value, type) or not value.__module__.startswith(OURS):
            continue
        if name not in named if named is not None else value.__module__ != module:
            continue
        pages = re.findall(r"docs/[\w-]+\.md", value.__doc__ or "")
        lacking += [] if pages else [name]
        missing += [page for page in pages if not (ROOT / page).is_file()]
    assert not lacking, f"{module}: say where the guide is: See ``docs/….md``."
    assert not missing


def test_airflow_finds_the_metadata_of_the_installed_distribution_under_its_own_name() -> None:
    (found,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.module.startswith("airflow_provider_m")
    ]
    assert found.load()() == INFO
    assert found.dist is not None
    assert found.dist.metadata["Name"] == INFO["package-name"]


def test_the_module_of_the_metadata_imports_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import airflow_provider_messaging.provider_info as module; "
        "module.get_provider_info(); print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == {"airflow_provider_messaging", "airflow_provider_messaging.provider_info"}


@pytest.mark.parametrize("module", sorted(set(modules())))
def test_every_named_module_can_be_imported(module: str) -> None:
    import_module(module)


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers", "transfers", "notifications"])
def test_every_public_module_is_named(kind: str) -> None:
    folder = Path(import_module(f"airflow_provider_messaging.{kind}").__file__ or "").parent
    public = {
        f"airflow_provider_messaging.{kind}.{path.stem}"
        for path in folder.glob("*.py")
        if not path.stem.startswith("_")
    }
    assert public == {name for name in modules() if name.split(".")[1] == kind}


@BY_NAME
def test_the_hook_of_a_connection_type_is_that_of_the_form(described: dict[str, Any]) -> None:
    module, _, name = described["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert issubclass(hook, BaseHook)
    assert (hook.conn_type, hook.hook_name) == (described["connection-type"], described["hook-name"])
    assert hook.conn_name_attr in hook.__init__.__code__.co_varnames
    assert getattr(hook(**{hook.conn_name_attr: "other"}), hook.conn_name_attr) == "other"


@BY_NAME
def test_no_hook_defines_the_deprecated_form_methods(described: dict[str, Any]) -> None:
    module, _, name = described["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert not [each for each in ("get_connection_form_widgets", "get_ui_field_behaviour") if each in vars(hook)]


@BY_NAME
def test_every_field_has_a_label_and_a_help_text_that_ends_like_a_sentence(described: dict[str, Any]) -> None:
    for name, field in described["conn-fields"].items():
        assert field["label"], name
        assert len(field["description"]) > 10, name


REQUIRED = {"marigold": {"account_id"}, "engageone": {"customer_id"}}


@BY_NAME
def test_a_field_may_be_left_empty_unless_no_connection_works_without_it(described: dict[str, Any]) -> None:
    starred = {name for name, field in described["conn-fields"].items() if "null" not in field["schema"]["type"]}
    assert starred == REQUIRED.get(described["connection-type"], set())


@BY_NAME
def test_relabelled_and_hidden_fields_do_not_overlap(described: dict[str, Any]) -> None:
    behaviour = described["ui-field-behaviour"]
    hidden = set(behaviour["hidden-fields"])
    assert not hidden & {*behaviour["relabeling"], *behaviour["placeholders"]}


SECRET = "hunter2-hunter2"
SECRETS = {
    "marigold": {"proxy"},
    "engageone": {"proxy"},
    "messangi": {"proxy", "api_key", "two_factor_token"},
    "pressnxpress": {"proxy", "touchpoint_token", "touchpoint_tokens"},
}
# Airflow hides whatever has "token" in its name.
HIDDEN_FOR_THEIR_NAME = {"token_url"}


@BY_NAME
def test_airflow_hides_the_extras_that_may_hold_a_secret(described: dict[str, Any]) -> None:
    vendor, fields = described["connection-type"], described["conn-fields"]
    passwords = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert passwords <= SECRETS[vendor] <= set(fields)
    values = dict.fromkeys(SECRETS[vendor], SECRET) | {"proxy": f"http://user:{SECRET}@proxy.example:3128"}
    assert SECRET not in str(redact(values))
    assert SECRET not in str(redact({"touchpoint_tokens": {"shop": SECRET}}))


@BY_NAME
def test_airflow_does_not_hide_the_harmless_extras(described: dict[str, Any]) -> None:
    hidden = SECRETS[described["connection-type"]] | HIDDEN_FOR_THEIR_NAME
    fields = {name: f"value-of-{name}" for name in described["conn-fields"] if name not in hidden}
    assert redact(fields) == fields


@BY_NAME
def test_every_extra_that_the_form_asks_for_is_read(described: dict[str, Any]) -> None:
    read: set[str] = set()

    class Spy(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    vendor = described["connection-type"]
    extra = Spy(account_id="account", customer="contoso", customer_id="eocm-Contoso", touchpoint_token="shop")
    parts = ConnectionParts(id="c", vendor=vendor, login="id", password="secret", extra=extra)
    module, _, name = described["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    hook(**{hook.conn_name_attr: "c"}).build_client(parts)
    TransportOptions.from_extra(vendor, extra)
    assert set(described["conn-fields"]) <= read
