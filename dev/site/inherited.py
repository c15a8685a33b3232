"""Parameters that an operator passes on to its base classes stand in its own entry of the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

_PARAM = re.compile(r"^:param (?P<name>\w+):.*?(?=^:|\Z)", flags=re.MULTILINE | re.DOTALL)
_BY_NAME = {griffe.ParameterKind.keyword_only}
_LINKED = re.compile(r"``?docs/(?P<page>[\w-]+)\.md``?")


class InheritedParameters(griffe.Extension):
    """Complete signatures and docstrings from the base classes within this package."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        done: set[str] = set()
        for cls in _classes(pkg):
            _complete(cls, done)
            _show_defaults(cls)
        for each in _documented(pkg):
            if each.docstring:
                # reST's way to say that code follows; Markdown shows the second colon.
                text = re.sub(r"::$", ":", each.docstring.value, flags=re.MULTILINE)
                each.docstring.value = _LINKED.sub(_link, text)


def _link(found: re.Match[str]) -> str:
    page: str = found["page"]
    return f"[{page.replace('-', ' ').capitalize()}](../../{page}.md)"


def _complete(cls: griffe.Class, done: set[str]) -> None:
    if cls.path in done:
        return
    done.add(cls.path)
    for base in cls.resolved_bases:
        if not isinstance(base, griffe.Class):
            continue
        _complete(base, done)
        _inherit(cls, base)


def _inherit(cls: griffe.Class, base: griffe.Class) -> None:
    theirs = base.members.get("__init__")
    if not isinstance(theirs, griffe.Function):
        return
    ours = cls.members.get("__init__")
    if ours is None:
        ours = griffe.Function("__init__", parameters=griffe.Parameters(*theirs.parameters), parent=cls)
        cls.set_member("__init__", ours)
    elif isinstance(ours, griffe.Function) and any(each.name == "kwargs" for each in ours.parameters):
        own = {each.name for each in ours.parameters}
        more = [each for each in theirs.parameters if each.name not in own and each.kind in _BY_NAME]
        # Before **kwargs, which take what Airflow's own classes know.
        *before, rest = ours.parameters
        ours.parameters = griffe.Parameters(*before, *more, rest)
    if cls.docstring and base.docstring:
        names = {found["name"] for found in _PARAM.finditer(cls.docstring.value)}
        known = {each.name for each in cls.members["__init__"].parameters}
        missing = [
            found[0].rstrip()
            for found in _PARAM.finditer(base.docstring.value)
            if found["name"] not in names and found["name"] in known
        ]
        cls.docstring.value = "\n".join([cls.docstring.value.rstrip(), *missing])


def _show_defaults(cls: griffe.Class) -> None:
    """Write the values of constants in place of their names."""
    for function in cls.members.values():
        for parameter in function.parameters if isinstance(function, griffe.Function) else ():
            if isinstance(parameter.default, griffe.Expr):
                parameter.default = _value(parameter.default, cls)


def _value(expression: griffe.Expr, cls: griffe.Class) -> griffe.Expr | str:
    try:
        found = cls.modules_collection[expression.canonical_path]
        target = found.final_target if isinstance(found, griffe.Alias) else found
    except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
        return expression
    value = target.value if isinstance(target, griffe.Attribute) else None
    if isinstance(value, griffe.Expr):
        return _value(value, cls) if isinstance(value, griffe.ExprName | griffe.ExprAttribute) else value
    return value or expression


def _classes(module: griffe.Module) -> Iterator[griffe.Class]:
    for member in module.members.values():
        if isinstance(member, griffe.Class):
            yield member
        elif isinstance(member, griffe.Module):
            yield from _classes(member)


def _documented(where: griffe.Module | griffe.Class) -> Iterator[griffe.Object]:
    for member in where.members.values():
        if isinstance(member, griffe.Module | griffe.Class):
            yield member
            yield from _documented(member)
        elif isinstance(member, griffe.Function):
            yield member
