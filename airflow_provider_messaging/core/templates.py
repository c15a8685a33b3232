"""Texts made from templates and a row's variables: Jinja in a sandbox, bounded, the same result every time.

A template sees variables and nothing else: no files, no other templates, no Python behind an object, nothing random.
What a template does wrong with one row's variables is that row's fault, `Unrenderable`; what is wrong with the
template itself is a `ConfigurationError` before any row is looked at.

Imports Jinja, so import this module inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, Undefined, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from airflow_provider_messaging.core.errors import ConfigurationError

MOST_CHARACTERS = 4_000_000
"""No vendor takes a longer text."""
MOST_STEPS = 100_000
"""Rounds of all loops and calls of all macros, for one text."""
_LONGEST_PADDING = 10_000
_MOST_BITS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """A template as it was given.

    :param setting: the argument that holds it, for errors.
    :param is_html: variables are escaped, unless the template says ``| safe``.
    """

    text: str
    setting: str
    is_html: bool = False


class Unrenderable(Exception):
    """A template can't be rendered with these variables; no retry changes that."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Templates:
    """Compiled templates by name. Not for several threads at once.

    :raises ConfigurationError: if a template can't be compiled; names it and the line.
    """

    def __init__(self, sources: Mapping[str, TemplateSource]) -> None:
        self._environment = _Environment()
        self._templates: dict[str, Template] = {}
        self.variables: frozenset[str] = frozenset()
        """The names that the templates ask for, whether or not they can do without."""
        for name, source in sources.items():
            self._templates[name] = self._compile(name, source)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._templates)

    def render(self, name: str, variables: dict[str, Any]) -> str:
        """Return the text of one template.

        :raises Unrenderable: MISSING_VARIABLE, TEMPLATE_NOT_ALLOWED, TEMPLATE_TOO_LONG or TEMPLATE_ERROR. Its message
            holds names and line numbers, no values.
        """
        template = self._templates[name]
        self._environment.steps = 0
        pieces: list[str] = []
        size = 0
        try:
            for piece in template.root_render_func(template.new_context(variables)):
                size += len(piece)
                if size > MOST_CHARACTERS:
                    raise _TooMuch(f"makes more than {MOST_CHARACTERS} characters")
                pieces.append(piece)
        except Exception as error:
            raise _unrenderable(error, f"the {name} template, line {_line_of(error, template)}:") from error
        return "".join(pieces)

    def _compile(self, name: str, source: TemplateSource) -> Template:
        environment = self._environment
        try:
            tree = environment.parse(source.text)
            if next(meta.find_referenced_templates(tree), _NONE) is not _NONE:
                raise ConfigurationError(
                    f"the {name} template refers to another one: include, import and extends are not available",
                    setting=source.setting,
                )
            self.variables |= meta.find_undeclared_variables(tree)
            code = environment.compile(_counted(tree), name="html" if source.is_html else "text", filename=name)
        except TemplateSyntaxError as error:
            raise ConfigurationError(
                f"the {name} template can't be read: line {error.lineno}: {error.message}", setting=source.setting
            ) from None
        except RecursionError:
            raise ConfigurationError(f"the {name} template is nested too deeply", setting=source.setting) from None
        return Template.from_code(environment, code, dict(environment.globals))


class _Missing(UndefinedError):
    def __init__(self, message: str | None = None, *, variable: object, of_a_value: bool) -> None:
        super().__init__(message)
        self.variable = variable
        self.of_a_value = of_a_value


class _Null(UndefinedError):
    """An expression has the value null, which would be written as "None"."""


class _TooMuch(SecurityError):
    """A template that would take too long or too much memory."""


class _Undefined(StrictUndefined):
    """Fails wherever it is used, and tells the name."""

    __slots__ = ()

    def __init__(self, hint: Any = None, obj: Any = missing, name: Any = None, exc: Any = UndefinedError) -> None:
        if exc is UndefinedError:
            exc = partial(_Missing, variable=name, of_a_value=obj is not missing)
        super().__init__(hint, obj, name, exc)


class _Environment(ImmutableSandboxedEnvironment):
    """Escapes in templates named ``html`` only."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(autoescape=lambda name: name == "html", undefined=_Undefined, finalize=_finalize, cache_size=0)
        self.steps = 0
        # Another text at every try would be another input.
        del self.globals["lipsum"], self.filters["random"]
        for name in ("batch", "center", "indent", "slice"):
            self.filters[name] = _with_short_arguments(self.filters[name])
        self.filters["format"] = _with_short_format(self.filters["format"])

    def step(self) -> None:
        """Count one round of a loop or one call of a macro."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise _TooMuch(f"takes more than {MOST_STEPS} rounds of its loops")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            _check_format(left, _PERCENT)
        elif operator == "*":
            _check_product(left, right)
        elif operator == "**" and _bits(left) * (right if isinstance(right, int) else 1) > _MOST_BITS:
            raise _TooMuch("makes too large a number")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        method = getattr(function, "__wrapped__", function)
        if isinstance(getattr(method, "__self__", None), str):
            if method.__name__ in _PADDING:
                _check_arguments(args)
            elif method.__name__ in ("format", "format_map"):
                _check_format(method.__self__, _FIELD)
        return super().call(context, function, *args, **kwargs)


def _finalize(value: Any) -> Any:
    if value is None:
        raise _Null("a value is null")
    if callable(value) and not isinstance(value, Undefined):
        raise SecurityError("a function is no text")
    return value


def _counted(tree: nodes.Template) -> nodes.Template:
    """Return the template with each loop and macro counting its steps."""
    repeated: list[nodes.For | nodes.Macro | nodes.CallBlock] = []
    for kind in (nodes.For, nodes.Macro, nodes.CallBlock):
        repeated += tree.find_all(kind)
    for node in repeated:
        step = nodes.Call(nodes.EnvironmentAttribute("step"), [], [], None, None)
        node.body.insert(0, nodes.ExprStmt(step).set_lineno(node.lineno, override=True))
    return tree


def _unrenderable(error: Exception, where: str) -> Unrenderable:
    if isinstance(error, _Missing):
        return Unrenderable("MISSING_VARIABLE", f"{where} {_missing(error)}")
    if isinstance(error, _Null):
        return Unrenderable("MISSING_VARIABLE", f"{where} a value is null")
    if isinstance(error, _TooMuch):
        return Unrenderable("TEMPLATE_TOO_LONG", f"{where} {error.message}")
    if isinstance(error, RecursionError):
        return Unrenderable("TEMPLATE_TOO_LONG", f"{where} calls itself without end")
    if isinstance(error, SecurityError):
        return Unrenderable("TEMPLATE_NOT_ALLOWED", f"{where} {error.message}")
    said = f" ({error.message})" if isinstance(error, TemplateError) and error.message else ""
    return Unrenderable("TEMPLATE_ERROR", f"{where} {type(error).__name__}{said}")


def _missing(error: _Missing) -> str:
    name = error.variable
    if name is None:
        return str(error.message)
    if not error.of_a_value:
        return f"the variable {name!r} is missing"
    # A key may be a row's value, and values are not for logs.
    shown = repr(name) if isinstance(name, str) and name.isidentifier() else "such key"
    return f"a value has no {shown}"


def _line_of(error: BaseException, template: Template) -> int:
    """Return the template's line at which `error` came up."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == template.filename:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


# What a single expression can make that is far too large ------------------------------------------------------


def _check_product(left: Any, right: Any) -> None:
    if _bits(left) + _bits(right) > _MOST_BITS:
        raise _TooMuch("makes too large a number")
    for repeated, times in ((left, right), (right, left)):
        if (
            isinstance(repeated, str | list | tuple)
            and isinstance(times, int)
            and len(repeated) * times > _MOST_REPEATED
        ):
            raise _TooMuch(f"repeats a text or list to more than {_MOST_REPEATED} elements")


def _check_arguments(arguments: Iterable[Any]) -> None:
    if any(isinstance(argument, int) and abs(argument) > _LONGEST_PADDING for argument in arguments):
        raise _TooMuch(f"asks for a width above {_LONGEST_PADDING}")


def _check_format(text: str, fields: re.Pattern[str]) -> None:
    """Refuse widths that are large, or that are taken from a value."""
    for field in fields.findall(text):
        if "*" in field or "{" in field[1:] or any(int(number) > _LONGEST_PADDING for number in _NUMBER.findall(field)):
            raise _TooMuch(f"asks for a width above {_LONGEST_PADDING}, or one that is a variable")


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 1


def _with_short_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        _check_arguments((*args, *kwargs.values()))
        return function(*args, **kwargs)

    return checked


def _with_short_format(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def checked(value: str, *args: Any, **kwargs: Any) -> Any:
        _check_format(str(value), _PERCENT)
        return function(value, *args, **kwargs)

    return checked


_NONE = object()
_MOST_REPEATED = 1_000_000
_PADDING = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs"})
_NUMBER = re.compile(r"[0-9]+")
_PERCENT = re.compile(r"%(?:\([^)]*\))?([#0 +-]*(?:\*|[0-9]*)(?:\.(?:\*|[0-9]*))?)")
_FIELD = re.compile(r"\{[^{}]*(:[^{}]*[{}])")
