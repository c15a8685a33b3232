"""What people install: a wheel with the package, its types and its metadata, and nothing else."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from flit_core import buildapi
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import airflow_provider_messaging

ROOT = Path(__file__).resolve().parent.parent
VERSION = airflow_provider_messaging.__version__
DIST_INFO = f"airflow_provider_messaging-{VERSION}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return target / buildapi.build_wheel(str(target))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return BytesParser().parsebytes(archive.read(f"{DIST_INFO}/METADATA"))


def test_the_wheel_holds_every_module_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".py")}
    assert packed == {path.relative_to(ROOT).as_posix() for path in (ROOT / "airflow_provider_messaging").rglob("*.py")}


def test_the_wheel_holds_nothing_but_the_package_its_types_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names} == {"airflow_provider_messaging", DIST_INFO}
    assert "airflow_provider_messaging/py.typed" in names
    assert f"{DIST_INFO}/licenses/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]


def test_airflow_finds_the_provider_and_its_plugin_by_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(f"{DIST_INFO}/entry_points.txt").decode())
    assert dict(entry_points["apache_airflow_provider"]) == {
        "provider_info": "airflow_provider_messaging.provider_info:get_provider_info"
    }
    assert dict(entry_points["airflow.plugins"]) == {
        "messaging_webhooks": "airflow_provider_messaging.webhooks.plugin:WebhooksPlugin"
    }
    assert set(entry_points.sections()) == {"airflow.plugins", "apache_airflow_provider", "console_scripts"}


def test_the_metadata_name_version_licence_and_python(metadata: Message) -> None:
    assert metadata["Name"] == "airflow-provider-messaging"
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert SpecifierSet(metadata["Requires-Python"]) == SpecifierSet(">=3.11,<3.15")
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier", [])


def test_the_metadata_require_airflow_from_3_1_and_no_tool(metadata: Message) -> None:
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    always = {item.name: item.specifier for item in requirements if item.marker is None}
    assert always["apache-airflow"].contains("3.1.0")
    assert not always["apache-airflow"].contains("3.0.6")
    assert always["apache-airflow-providers-common-compat"].contains("1.23.0")
    assert not always.keys() & {"pytest", "hypothesis", "mypy", "ruff", "uv", "pyarrow", "pandas"}


def closure(name: str) -> set[str]:
    """Every distribution that installing one brings here, by what is installed."""
    found: set[str] = set()
    asked: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(name)]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in asked:
            continue
        asked.add((name, frozenset(wanted.extras)))
        found.add(name)
        with suppress(PackageNotFoundError):
            for requirement in map(Requirement, requires(name) or ()):
                extras = wanted.extras or {""}
                if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras):
                    todo.append(requirement)
    return found


def test_installing_brings_nothing_that_airflow_does_not_but_what_the_docs_justify() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Libraries")[2]
    rows = re.findall(r"^\| ([\w, -]+) \| (.*) \|$", table, flags=re.MULTILINE)
    justified = {name for names, why in rows if "core does not bring it" in why for name in names.split(", ")}
    more = closure("airflow-provider-messaging") - closure("apache-airflow") - {"airflow-provider-messaging"}
    assert justified <= more, "Airflow brings it after all: say so in docs/architecture.md"
    assert more == set().union(*map(closure, justified)) - closure("apache-airflow")


def test_every_requirement_is_in_the_table_of_libraries_or_comes_with_one_that_is(metadata: Message) -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Libraries")[2]
    named = {name for row in re.findall(r"^\| ([\w, -]+) \|", table, flags=re.MULTILINE) for name in row.split(", ")}
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    always = {item.name.removeprefix("apache-airflow-providers-") for item in requirements if item.marker is None}
    brought = set().union(*(closure(name) for name in ("aiohttp", "fastapi", "requests")))
    assert always - named - brought == {"apache-airflow"}


def test_the_sdist_builds_the_same_package_and_brings_the_examples(tmp_path: Path, wheel: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        sdist = tmp_path / buildapi.build_sdist(str(tmp_path))
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith(DIST_INFO)}
    assert packed <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "example_dags/data/messages.ndjson"} <= names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import airflow_provider_messaging; "
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "['airflow_provider_messaging']"
