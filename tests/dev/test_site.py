"""The navigation of the site and its reference; `make docs` checks the links."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_messaging.provider_info import get_provider_info
from dev.site import navigation, reference

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without importing what it names."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
MKDOCS: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)


def nav(docs: Path = ROOT / "docs") -> list[str]:
    return list(navigation.paths(navigation.complete(MKDOCS["nav"], docs)))


def test_every_page_is_reachable_from_the_navigation_once() -> None:
    found = nav()
    assert len(found) == len(set(found))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= set(found)


def test_the_navigation_names_no_page_that_is_not_there() -> None:
    made = {page.src for page in reference.pages()} | navigation.FROM_ROOT.keys()
    assert not [path for path in nav() if path not in made and not (ROOT / "docs" / path).is_file()]


def test_a_page_that_nobody_put_anywhere_stands_among_the_guides(tmp_path: Path) -> None:
    for path in navigation.paths(MKDOCS["nav"]):
        if path.endswith(".md"):
            (tmp_path / path).touch()
    (tmp_path / "stray.md").touch()
    complete = navigation.complete(MKDOCS["nav"], tmp_path)
    guides = next(entry["How-to guides"] for entry in complete if "How-to guides" in entry)
    assert guides[-1] == "stray.md"
    assert "stray.md" not in str(MKDOCS["nav"])


def public_classes() -> list[str]:
    info, found = get_provider_info(), []
    modules = [
        each
        for kind in ("hooks", "operators", "sensors", "triggers")
        for entry in info[kind]
        for each in entry["python-modules"]
    ]
    modules += [entry["python-module"] for entry in info["transfers"]]
    for name in modules:
        module = import_module(name)
        named = module.__dict__.get(
            "__all__",
            [key for key, value in vars(module).items() if isinstance(value, type) and value.__module__ == name],
        )
        found += [
            f"{name}.{each}" for each in named if not each.startswith("_") and isinstance(getattr(module, each), type)
        ]
    return sorted({*found, *info["notifications"]})


@pytest.mark.parametrize("name", public_classes())
def test_every_class_that_airflow_is_told_of_is_in_the_reference(name: str) -> None:
    assert name in {each for page in reference.pages() for each in page.objects}
