"""Templates: what is missing is told, what runs away is stopped, and HTML is escaped."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_messaging.core import templates
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.core.templates import Templates, TemplateSource, Unrenderable


def compiled(text: str, *, name: str = "text", is_html: bool = False) -> Templates:
    return Templates({name: TemplateSource(text=text, setting=name, is_html=is_html)})


def rendered(text: str, *, is_html: bool = False, **variables: Any) -> str:
    return compiled(text, is_html=is_html).render("text", variables)


def fault(text: str, **variables: Any) -> tuple[str, str]:
    with pytest.raises(Unrenderable) as caught:
        rendered(text, **variables)
    return caught.value.code, caught.value.message


def test_variables_are_filled_in() -> None:
    assert rendered("{{ a }} {{ b.c[0] }}{% if d %}!{% endif %}", a=1, b={"c": ["x"]}, d=True) == "1 x!"


def test_html_is_escaped_and_text_is_not() -> None:
    assert rendered("<b>{{ a }}</b>{{ '&' }}", a="<i>\"'&", is_html=True) == "<b>&lt;i&gt;&#34;&#39;&amp;</b>&amp;"
    assert rendered("{{ a }}", a="<i>&") == "<i>&"
    assert rendered("{{ a | safe }}", a="<i>", is_html=True) == "<i>"


def test_an_html_template_escapes_beside_a_text_template_that_does_not() -> None:
    both = Templates(
        {
            "html": TemplateSource(text="{{ a }}", setting="html", is_html=True),
            "text": TemplateSource(text="{{ a }}", setting="text"),
        }
    )
    assert [both.render(name, {"a": "<"}) for name in ("html", "text", "html")] == ["&lt;", "<", "&lt;"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ name }}", "line 1: the variable 'name' is missing"),
        ("\n\n{{ name }}", "line 3: the variable 'name' is missing"),
        ("{% if name %}x{% endif %}", "the variable 'name' is missing"),
        ("{% for x in name %}x{% endfor %}", "the variable 'name' is missing"),
        ("{{ name.first }}", "the variable 'name' is missing"),
        ("{{ name | upper }}", "the variable 'name' is missing"),
        ("{{ a.city }}", "a value has no 'city'"),
        ("{{ a['b@example.com'] }}", "a value has no such key"),
        ("{{ a.city.street }}", "a value has no 'city'"),
        ("{{ null }}", "a value is null"),
        ("{{ a.null }}", "a value is null"),
    ],
)
def test_what_is_missing_is_told_by_name_template_and_line(text: str, says: str) -> None:
    code, message = fault(text, a={"null": None}, null=None)
    assert code == "MISSING_VARIABLE"
    assert message.startswith("the text template, line ")
    assert says in message


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ name | default('you') }}", "you"),
        ("{% if name is defined %}x{% else %}y{% endif %}", "y"),
        ("{{ empty }}", ""),
        ("{{ empty or 'you' }}", "you"),
        ("{{ 'x' if empty }}", ""),
        ("{% for x in [1, 2] %}{{ loop.index }}/{{ loop.length }} {% else %}none{% endfor %}", "1/2 2/2 "),
        ("{% for x in [] %}{{ x }}{% else %}none{% endfor %}", "none"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m(2) }}", "<1><2>"),
        ("{% set x = 'a' %}{{ x * 3 }} {{ 2 * 3 }} {{ 2 ** 8 }}", "aaa 6 256"),
        ("{{ 'Order 20261101: %s, %.2f' | format(1, 2) }}", "Order 20261101: 1, 2.00"),
        ("{{ 'Order 20261101: %05d' % 7 }}", "Order 20261101: 00007"),
        ("{{ 'Order 20261101: {:>3}'.format(7) }}", "Order 20261101:   7"),
        ("{{ 'x'.ljust(3) }}|{{ 'x' | center(3) }}|{{ 'a\nb' | indent(2) }}", "x  | x |a\n  b"),
        ("{{ '20261101'.replace('2026', '') }} {{ number }}", "1101 123456789"),
    ],
)
def test_ordinary_templates_work(text: str, made: str) -> None:
    assert rendered(text, empty="", number=123456789) == made


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a\nb {% if %}", "line 2"),
        ("{{ name", "line 1"),
        ("{% for x in y %}", "line 1"),
        ("\n{{ x | nosuch }}", "line 2: No filter named 'nosuch'"),
        ("{{ x | random }}", "No filter named 'random'"),
        ("{% include 'other' %}", "include, import and extends are not available"),
        ("{% extends name %}", "include, import and extends are not available"),
        ("{% from 'x' import y %}", "include, import and extends are not available"),
        ("{{ (" + "(" * 5_000, "html"),
    ],
)
def test_a_template_that_can_not_work_is_an_error_of_the_argument(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        compiled(text, name="html")
    assert "the html template" in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.setting == "html"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ a.append(1) }}",
        "{{ a['__class__'] }}",
        "{{ ''['__class__'] }}",
        "{{ range }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ (a | attr('__class__')).x }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_what_is_behind_an_object_is_out_of_reach(text: str) -> None:
    code, _ = fault(text, a=[])
    assert code in {"TEMPLATE_NOT_ALLOWED", "MISSING_VARIABLE"}


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        3 * "{% for i in a %}" + "{% set x = i %}" + 3 * "{% endfor %}",
        "{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ big * big }}",
        "{{ 'x'.ljust(10 ** 9) }}",
        "{{ 'x' | center(10 ** 9) }}",
        "{{ [1] | slice(10 ** 9) | list }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 1000000000) }}",
    ],
)
def test_what_runs_away_is_stopped_soon(text: str) -> None:
    began = time.process_time()
    code, _ = fault(text, a=list(range(100)), big=2**4000)
    assert code == "TEMPLATE_TOO_LONG"
    assert time.process_time() - began < 5


def test_a_text_that_is_too_long_is_given_up_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST_CHARACTERS", 10)
    assert rendered("{{ a }}", a="x" * 10) == "x" * 10
    assert fault("{{ a }}", a="x" * 11) == (
        "TEMPLATE_TOO_LONG",
        "the text template, line 1: makes more than 10 characters",
    )


def test_every_text_may_take_as_many_steps_as_the_first() -> None:
    looping = compiled("{% for i in range(60000) %}{% endfor %}ok")
    assert [looping.render("text", {}) for _ in range(3)] == ["ok"] * 3


@pytest.mark.parametrize(
    ("text", "says"), [("{{ 1 / 0 }}", "ZeroDivisionError"), ("\n{{ a + 1 }}", "line 2: TypeError")]
)
def test_any_other_failure_is_told_without_values(text: str, says: str) -> None:
    code, message = fault(text, a="ada@example.com")
    assert code == "TEMPLATE_ERROR"
    assert says in message
    assert "ada" not in message


def test_the_variables_of_all_templates_are_known() -> None:
    both = Templates(
        {
            "subject": TemplateSource(text="{{ a }}{{ b | default('') }}", setting="subject"),
            "text": TemplateSource(text="{% set own = 1 %}{{ own }}{% if c %}{{ d.e }}{% endif %}", setting="text"),
        }
    )
    assert both.variables == {"a", "b", "c", "d"}
    assert both.names == ("subject", "text")


def test_rendering_changes_no_variable() -> None:
    variables = {"a": [1, 2], "b": {"c": 1}}
    compiled("{% set a = 3 %}{{ a }}{{ b.c }}").render("text", variables)
    assert variables == {"a": [1, 2], "b": {"c": 1}}
