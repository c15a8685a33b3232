"""Every public operator, sensor and transfer maps, takes XComArgs, and goes into a stored DAG and out of it again."""

from __future__ import annotations

import builtins
import inspect
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import airflow.serialization.serialized_objects as serialization
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, XComArg
from airflow.sdk import DAG, task

from airflow_provider_messaging.provider_info import get_provider_info

INFO = get_provider_info()


def public_operators() -> Iterator[type[BaseOperator]]:
    modules = {name for kind in ("operators", "sensors") for entry in INFO[kind] for name in entry["python-modules"]}
    modules |= {entry["python-module"] for entry in INFO["transfers"]}
    for name in sorted(modules):
        for _, found in sorted(vars(import_module(name)).items()):
            if not inspect.isclass(found) or not issubclass(found, BaseOperator) or inspect.isabstract(found):
                continue
            if found.__module__.startswith("airflow_provider_messaging.") and not found.__name__.startswith("_"):
                yield found


OPERATORS = sorted(set(public_operators()), key=lambda each: each.__name__)
EACH = pytest.mark.parametrize("operator", OPERATORS, ids=lambda each: each.__name__)


def parameters(operator: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """The constructor's parameters that are ours."""
    found: dict[str, inspect.Parameter] = {}
    for each in operator.__mro__:
        if each.__module__.startswith("airflow_provider_messaging.") and "__init__" in vars(each):
            for name, parameter in inspect.signature(vars(each)["__init__"]).parameters.items():
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                    found.setdefault(name, parameter)
    return found


def required(operator: type[BaseOperator]) -> list[str]:
    return [name for name, parameter in parameters(operator).items() if parameter.default is inspect.Parameter.empty]


@task
def given() -> list[Any]:
    return []


def a_dag() -> DAG:
    return DAG("taskflow", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))


def reread(dag: DAG) -> Any:
    """The DAG as the scheduler has it: stored as JSON, and read again."""
    how: Any = getattr(serialization, "DagSerialization", None) or serialization.SerializedDAG
    return how.from_dict(json.loads(json.dumps(how.to_dict(dag))))


def test_the_list_is_not_empty_by_mistake() -> None:
    assert {"SendEmailBatchOperator", "BounceSensor", "FeedbackToSqlOperator"} <= {each.__name__ for each in OPERATORS}
    assert len(OPERATORS) >= 20


@EACH
def test_everything_is_given_by_name(operator: type[BaseOperator]) -> None:
    for each in operator.__mro__:
        if each.__module__.startswith("airflow_provider_messaging.") and "__init__" in vars(each):
            _, *given_by = inspect.signature(vars(each)["__init__"]).parameters.values()
            kinds = {parameter.kind for parameter in given_by}
            assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}, each


@EACH
def test_every_template_field_is_a_parameter_of_the_same_name(operator: type[BaseOperator]) -> None:
    assert set(operator.template_fields) <= set(parameters(operator))


@EACH
def test_whatever_is_required_can_come_from_a_task(operator: type[BaseOperator]) -> None:
    assert set(required(operator)) <= set(operator.template_fields)


@EACH
def test_every_template_field_takes_an_xcomarg_and_waits_for_its_task(operator: type[BaseOperator]) -> None:
    for name in operator.template_fields:
        with a_dag() as dag:
            source = given()
            needed = dict.fromkeys(required(operator), "x")
            made = operator(task_id="made", **{**needed, name: source})
        assert getattr(made, name) is source
        assert made.upstream_task_ids == {"given"}, name
        assert reread(dag).get_task("made").upstream_task_ids == {"given"}, name


@EACH
def test_the_constructor_keeps_what_it_is_given_as_it_is(operator: type[BaseOperator]) -> None:
    for name, parameter in parameters(operator).items():
        value = f"{{{{ params.{name} }}}}" if name in operator.template_fields else parameter.default
        with a_dag():
            made = operator(task_id="made", **{**dict.fromkeys(required(operator), "x"), name: value})
        # Airflow's operators have a method of this name.
        attribute = "only_validate" if name == "dry_run" else name
        assert getattr(made, attribute) is value, name


@EACH
def test_the_constructor_looks_nothing_up(operator: type[BaseOperator], monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> None:
        with a_dag():
            operator(task_id="made", **dict.fromkeys(operator.template_fields, "x"))

    make()

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a constructor does no I/O")

    monkeypatch.setattr(builtins, "open", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    make()


@EACH
def test_it_maps_over_every_template_field(operator: type[BaseOperator]) -> None:
    for name in operator.template_fields:
        for values in (["a", "b"], None):
            with a_dag() as dag:
                source = given()
                fixed = {each: "x" for each in required(operator) if each != name}
                operator.partial(task_id="mapped", **fixed).expand(**{name: values or source})
            read = reread(dag).get_task("mapped")
            assert read.is_mapped, name
            assert read.upstream_task_ids == (set() if values else {"given"}), name


@EACH
def test_it_maps_over_several_arguments_at_a_time(operator: type[BaseOperator]) -> None:
    fields = list(operator.template_fields)[:2]
    with a_dag() as dag:
        fixed = {name: "x" for name in required(operator) if name not in fields}
        operator.partial(task_id="mapped", **fixed).expand_kwargs([dict.fromkeys(fields, value) for value in "ab"])
    assert reread(dag).get_task("mapped").is_mapped


@EACH
def test_what_is_fixed_by_partial_survives_the_stored_dag(operator: type[BaseOperator]) -> None:
    first, *others = operator.template_fields
    with a_dag() as dag:
        operator.partial(task_id="mapped", **dict.fromkeys(others, "fixed")).expand(**{first: ["a"]})
    assert {name: reread(dag).get_task("mapped").partial_kwargs.get(name) for name in others} == dict.fromkeys(
        others, "fixed"
    )


def test_an_xcomarg_inside_of_a_list_or_a_dictionary_is_seen() -> None:
    from airflow_provider_messaging.operators.engageone import SendCampaignOperator

    with a_dag() as dag:
        source = given()
        assert isinstance(source, XComArg)
        inside = {"campaign": "c", "communication": "c", "email_json_path": "email", "dataset": [{"email": source}]}
        SendCampaignOperator(task_id="made", **inside)
    assert reread(dag).get_task("made").upstream_task_ids == {"given"}
