"""docs/errors.md knows every error class and every code of the package, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from airflow_provider_messaging.core import errors
from airflow_provider_messaging.core.documentation import documentation
from airflow_provider_messaging.core.errors import MessagingError, StorageError, VendorError
from airflow_provider_messaging.hooks._errors import help_url
from airflow_provider_messaging.transport.sinks import DownloadError
from airflow_provider_messaging.vendors.marigold.archive import TooLargeError

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "airflow_provider_messaging"
PAGE = (ROOT / "docs" / "errors.md").read_text()
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
# What is written like a code and is none.
OTHERS = {
    "REQUESTS_CA_BUNDLE": "an environment variable",
    "CURL_CA_BUNDLE": "an environment variable",
    "SSL_CERT_FILE": "an environment variable",
    "SQLITE_BUSY": "SQLite's word",
    "SQLITE_LOCKED": "SQLite's word",
    "UNATTRIBUTED_KEY": "a name in an __all__",
}
# Not of a vendor's rules, and not met by who writes DAGs.
ELSEWHERE = {"sandbox", "cli"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in ELSEWHERE:
            yield ".".join(("airflow_provider_messaging", *parts)), ast.parse(path.read_text())


def codes_in_the_source() -> set[str]:
    """Every constant that is written like a code, and what is given as ``code=`` by the name of a constant."""
    found: set[str] = set()
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.add(node.value)
            if isinstance(node, ast.keyword) and node.arg == "code":
                if isinstance(node.value, ast.Constant) and node.value.value:
                    found.add(node.value.value)
                elif isinstance(node.value, ast.Name) and node.value.id.isupper():
                    found.add(getattr(import_module(name), node.value.id))
    return found - set(OTHERS)


def codes_in_the_catalogue() -> set[str]:
    """The codes in the first column of the tables behind the heading of the codes."""
    tables = PAGE.partition("## Codes of rejected rows")[2]
    rows = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| `")]
    return {code for row in rows for code in re.findall(r"`([A-Z_0-9]+)`", row)}


def test_every_code_of_the_source_is_in_the_catalogue() -> None:
    assert codes_in_the_source() - codes_in_the_catalogue() == set()


def test_the_catalogue_has_no_code_that_the_source_does_not_have() -> None:
    assert codes_in_the_catalogue() - codes_in_the_source() == set()


def test_the_codes_are_found_in_the_source() -> None:
    assert {"INVALID_TAG_LENGTH", "REJECTED", "VENDOR_REJECTED", "ATTACHMENT_TOO_LARGE"} <= codes_in_the_source()


def test_what_is_taken_for_no_code_still_stands_in_the_source() -> None:
    written = {
        node.value
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(OTHERS) <= written


CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MessagingError)]


def test_every_error_has_an_entry_and_every_entry_an_error() -> None:
    entries = re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(entries) == sorted(each.__name__ for each in CLASSES)


@pytest.mark.parametrize("kind", [each for each in CLASSES if each is not MessagingError])
def test_every_entry_says_the_cause_what_was_sent_and_what_to_do(kind: type[MessagingError]) -> None:
    entry = PAGE.partition(f"## `{kind.__name__}`\n")[2].partition("\n## ")[0]
    assert "**Cause**" in entry
    assert "**Sent**" in entry or kind.__name__ == "ValidationError"
    assert "**To do**" in entry


@pytest.mark.parametrize("kind", CLASSES)
def test_the_link_of_an_error_leads_to_its_entry(kind: type[MessagingError]) -> None:
    page, _, anchor = help_url(kind("x")).partition("#")
    assert page == documentation("errors")
    assert f"## `{kind.__name__}`" in PAGE
    assert anchor == kind.__name__.lower()


@pytest.mark.parametrize(("kind", "parent"), [(DownloadError, StorageError), (TooLargeError, VendorError)])
def test_the_link_of_a_finer_error_leads_to_its_parent(
    kind: type[MessagingError], parent: type[MessagingError]
) -> None:
    assert help_url(kind("x")).endswith(f"#{parent.__name__.lower()}")
