"""The reference: a page for each public module, made of its docstrings, which are read and never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "airflow_provider_messaging"
KINDS = {
    "hooks": "Hooks",
    "operators": "Operators",
    "sensors": "Sensors",
    "triggers": "Triggers",
    "transfers": "Transfers",
    "notifications": "Notifications",
}
VENDORS = {
    "marigold": "Marigold",
    "engageone": "EngageOne",
    "messangi": "Messangi",
    "pressnxpress": "Press'nXPress",
    "suppression": "Suppression",
}


def public_names(path: Path) -> list[str]:
    """The classes and functions that a module offers: those in ``__all__``, or the ones that it defines."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node in body:
        if isinstance(node, ast.Assign) and [getattr(each, "id", "") for each in node.targets] == ["__all__"]:
            return [name for name in ast.literal_eval(node.value) if not name.isupper()]
    defined = [node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return [name for name in defined if not name.startswith("_")]


# What the classes above take from private modules: parameters that all of them have.
SHARED = {
    "operators": ("operators._delivery.DeliveryOperator", "operators._send.BatchSendOperator"),
}
ALONE = {
    "links": ("Operator links", public_names(ROOT / PACKAGE / "links.py")),
    "core.errors": ("Exceptions", public_names(ROOT / PACKAGE / "core" / "errors.py")),
    "retries": ("Retry policy", ["VendorRetryPolicy"]),
    "sandbox.process": ("The sandbox in Python", ["running_sandbox", "Sandbox"]),
}


@dataclass(frozen=True)
class Page:
    """One page of the reference.

    :param src: its path below the folder of the documentation.
    :param section: the heading it stands under in the navigation, empty for none.
    :param objects: full names of what it shows.
    :param methods: with their methods.
    """

    src: str
    title: str
    section: str
    objects: tuple[str, ...]
    methods: bool = False

    @property
    def markdown(self) -> str:
        parts = [f"# {self.title}" if not self.section else f"# {self.section}: {self.title}"]
        # What a DAG author writes is the constructor; of a hook, or of the sandbox, it is the methods as well.
        members = "\n    options:\n      members: null\n      inherited_members: true" if self.methods else ""
        parts += [f"::: {name}{members}" for name in self.objects]
        return "\n\n".join(parts) + "\n"


def pages() -> Iterator[Page]:
    """Every page, in the order of the navigation."""
    for kind, section in KINDS.items():
        modules = {path.stem: path for path in (ROOT / PACKAGE / kind).glob("*.py") if not path.stem.startswith("_")}
        order = [*(name for name in VENDORS if name in modules), *sorted(modules.keys() - VENDORS.keys())]
        for name in order:
            title = VENDORS.get(name, name.replace("_", " ").capitalize())
            found = public_names(modules[name])
            objects = tuple(f"{PACKAGE}.{kind}.{name}.{each}" for each in found)
            yield Page(f"reference/{kind}/{name}.md", title, section, objects, methods=kind == "hooks")
        if kind in SHARED:
            objects = tuple(f"{PACKAGE}.{each}" for each in SHARED[kind])
            yield Page(f"reference/{kind}/shared.md", "What all that send have in common", section, objects)
    for module, (title, names) in ALONE.items():
        objects = tuple(f"{PACKAGE}.{module}.{name}" for name in names)
        yield Page(f"reference/{module.replace('.', '-')}.md", title, "", objects, methods=module.startswith("sandbox"))


def navigation() -> list[object]:
    """The part of the navigation, in the form of mkdocs.yml."""
    sections: dict[str, list[dict[str, str]]] = {}
    alone: list[dict[str, str]] = []
    for page in pages():
        (sections.setdefault(page.section, []) if page.section else alone).append({page.title: page.src})
    return [*({title: entries} for title, entries in sections.items()), *alone]
