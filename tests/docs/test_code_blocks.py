"""Every code block of README, CONTRIBUTING and docs/ is run, parsed, or says why not."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
import uuid
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG

from airflow_provider_messaging.operators.marigold import SendEmailBatchOperator
from airflow_provider_messaging.operators.messangi import SendMessageOperator
from airflow_provider_messaging.operators.pressnxpress import EnqueueFeedbackOperator
from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.transfers._contracts import FEEDBACK_TABLE, MANIFEST_TABLE
from airflow_provider_messaging.transfers._dialects import Postgresql
from tests.contexts import fresh_tokens, task_context
from tests.docs import console
from tests.docs.blocks import MARKER, PAGES, ROOT, Block, all_blocks, blocks

__all__ = ["fresh_tokens"]

pytestmark = [pytest.mark.airflow33, pytest.mark.timeout(600)]

# Pages whose blocks of a language a test of their own runs, with more around them than would be right for all.
ELSEWHERE = {
    ("docs/adding-a-vendor.md", "python"): "tests/test_adding_a_vendor.py",
    ("docs/bounce-etl.md", "sql"): "tests/transfers/test_analyst_queries.py",
    ("docs/tutorial.md", "console"): "tests/docs/test_tutorial.py",
    ("docs/tutorial.md", "python"): "tests/docs/test_tutorial.py",
    ("docs/tutorial.md", "json"): "tests/docs/test_tutorial.py",
    ("docs/tutorial.md", "text"): "tests/docs/test_tutorial.py",
}


def parse_json(block: Block) -> None:
    try:
        documents = [json.loads(block.text)]
    except json.JSONDecodeError:
        documents = [json.loads(line) for line in block.text.splitlines() if line.strip()]
    for document in documents:
        if isinstance(document, dict) and "conn_type" in document:
            check_connection(document)


def check_connection(document: dict[str, Any]) -> None:
    """The hook of its type takes it, and the form knows each of its extras."""
    types = {each["connection-type"]: each for each in get_provider_info()["connection-types"]}
    described = types[document["conn_type"]]
    assert set(document.get("extra", {})) <= set(described["conn-fields"])
    module, _, name = described["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_FROM_THE_DOCS", json.dumps(document))
        assert hook(**{hook.conn_name_attr: "from_the_docs"}).client


def parse_ini(block: Block) -> None:
    """Options of our own section are those that Airflow is told of, by value, command or secrets backend."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(block.text)
    for section, described in get_provider_info().get("config", {}).items():
        if parser.has_section(section):
            options = {option.removesuffix("_cmd").removesuffix("_secret") for option in parser.options(section)}
            assert options <= {option.removesuffix("_secret") for option in described["options"]}


# Languages whose blocks are read as they are; Python and SQL are run below.
READ: dict[str, Callable[[Block], Any]] = {
    "json": parse_json,
    "yaml": lambda block: list(yaml.safe_load_all(block.text)),
    "toml": lambda block: tomllib.loads(block.text),
    "ini": parse_ini,
    "cfg": parse_ini,
    "console": lambda block: console.check(block.text),
    "bash": lambda block: console.check(block.text),
    "shell": lambda block: console.check(block.text),
    # `make docs` draws it, and a mistake fails there.
    "mermaid": lambda block: re.match(r"flowchart|stateDiagram|sequenceDiagram", block.text) or pytest.fail(block.text),
}
RUN = {"python", "sql"}


def elsewhere(block: Block) -> str | None:
    return ELSEWHERE.get((block.page, block.language))


def here(language: str) -> list[Block]:
    return [each for each in all_blocks() if each.language == language and not each.not_run and not elsewhere(each)]


PYTHON_PAGES = sorted({block.page for block in here("python")})


@pytest.mark.parametrize("block", [each for language in READ for each in here(language)], ids=str)
def test_a_block_can_be_read(block: Block) -> None:
    try:
        READ[block.language](block)
    except Exception as error:
        pytest.fail(f"{block} ({block.language}): {type(error).__name__}: {error}\n\n{block.text}", pytrace=False)


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: str, connections: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one namespace and within a DAG: what makes tasks makes them there, calls go to the sandbox."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "docs"}
    with DAG("docs", schedule=None) as dag:
        for block in blocks(ROOT / page):
            if block.language == "python" and not block.not_run:
                run_python(block, space)
    # Airflow 3.1 has another name for it.
    from airflow.serialization.serialized_objects import DagSerialization

    for each in [dag, *(value for value in space.values() if isinstance(value, DAG))]:
        DagSerialization.to_dict(each)


def run_python(block: Block, space: dict[str, Any]) -> None:
    # As many lines before it as on the page: a traceback shows where to look.
    for code, before in ((block.given, 0), (block.text, block.line)):
        try:
            exec(compile("\n" * before + code, str(ROOT / block.page), "exec"), space)
        except Exception as error:
            hint = (
                "\nWhat a block takes from elsewhere may stand in a comment above it: <!-- given … -->"
                if isinstance(error, NameError)
                else "\nWhere it can't be run at all, say so above it: <!-- not run: why -->"
            )
            pytest.fail(f"{block}: {type(error).__name__}: {error}{hint}\n\n{block.text}", pytrace=False)


SENDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "README.md": lambda row: SendEmailBatchOperator(task_id="send", messages=[row], dry_run=True),
    "docs/messages.md": lambda row: SendEmailBatchOperator(task_id="send", messages=[row], dry_run=True),
    "docs/messangi.md": lambda row: SendMessageOperator(
        task_id="send", messages=[row], sender="Shop", default_region="BR", dry_run=True
    ),
    "docs/pressnxpress.md": lambda row: EnqueueFeedbackOperator(task_id="ask", contacts=[row], dry_run=True),
}


@pytest.mark.parametrize("block", [each for each in here("json") if each.page in SENDERS], ids=str)
def test_a_row_that_is_shown_obeys_the_vendors_rules(block: Block, connections: None) -> None:
    found = SENDERS[block.page](json.loads(block.text)).execute(task_context())
    assert found["rejected"] == 0, block


@pytest.mark.parametrize("block", here("sql"), ids=str)
def test_the_sql_of_a_page_runs_on_the_tables_that_the_operators_make(block: Block, postgres_url: str) -> None:
    import psycopg2

    dialect, schema = Postgresql(), f"docs_{uuid.uuid4().hex}"
    # The pages' schema under a name of our own, in a transaction that is not committed.
    text = block.text.replace("mail.", f"{schema}.")
    with closing(psycopg2.connect(postgres_url)) as database, database.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}")
        cursor.execute(f"SET search_path TO {schema}")
        for name, contract in (
            ("events", FEEDBACK_TABLE),
            ("email_feedback", FEEDBACK_TABLE),
            ("sent", MANIFEST_TABLE),
        ):
            for statement in dialect.creation(dialect.table(name), contract):
                cursor.execute(statement)
        cursor.execute(text)


def test_every_block_is_run_read_tested_elsewhere_or_says_why_not() -> None:
    """Nothing is passed over: as many as there are fences on the pages, and each in one of the four."""
    handled = {*READ, *RUN}
    lost = [
        f"{each}: nobody knows how to test {each.language or 'a block without a language'!r}: name a language of "
        f"{sorted(handled)}, or put `<!-- not run: why -->` above it"
        for each in all_blocks()
        if each.language not in handled and not each.not_run and not elsewhere(each)
    ]
    assert not lost, "\n".join(lost)
    fences = sum(len(re.findall(r"^ *(?:```|~~~)", page.read_text(), flags=re.MULTILINE)) for page in PAGES)
    assert len(all_blocks()) * 2 == fences
    counted = len([each for each in all_blocks() if each.not_run or elsewhere(each)])
    counted += sum(len(here(language)) for language in handled)
    assert counted == len(all_blocks())


def test_a_block_that_is_not_run_gives_a_reason_that_is_a_sentence() -> None:
    short = [
        f"{each}: {each.not_run!r}" for each in all_blocks() if each.not_run is not None and len(each.not_run) < 20
    ]
    assert not short


def test_every_marker_stands_above_a_block() -> None:
    marked = sum(bool(each.not_run) + bool(each.given) for each in all_blocks())
    assert marked == sum(len(MARKER.findall(page.read_text())) for page in PAGES)


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_the_test_elsewhere_is_there_and_reads_the_page(test: str) -> None:
    pages = {Path(page).name for (page, _), place in ELSEWHERE.items() if place == test}
    text = (ROOT / test).read_text()
    assert all(f'"{page}"' in text for page in pages)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make tea", "no target 'tea'"),
        ("airflow dags lst", "invalid choice: 'lst'"),
        ("airflow dags test --no-such-option x", "--no-such-option"),
        ("airflow dags test", "required"),
        ("airflow nonsense", "invalid choice: 'nonsense'"),
        ("python -m airflow_provider_messaging.sandbox --prt 1", "no option --prt"),
        ("pip install 'airflow-provider-messaging[nothing]'", "no extra"),
        ("frobnicate --all", "frobnicate"),
        ("cat 'unfinished", "can't read it"),
    ],
)
def test_a_wrong_command_is_found(text: str, said: str) -> None:
    with pytest.raises(console.WrongCommand, match=re.escape(said)):
        console.check(text)
