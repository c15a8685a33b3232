"""Mermaid, drawn while the site is built: readers need no JavaScript and no network, and a mistake fails the build."""

from __future__ import annotations

import base64
from functools import cache
from html import escape
from typing import Any

import mermaidx
from pymdownx.superfences import SuperFencesException

THEMES = {"light": "default", "dark": "dark"}


def fence(source: str, language: str, css_class: str, options: Any, md: Any, **kwargs: Any) -> str:
    """Return the HTML of a fenced diagram, once for each colour scheme."""
    text = escape(source, quote=True)
    images = "".join(
        f'<img class="{scheme}" alt="{text}" src="data:image/svg+xml;base64,{drawn(source, theme)}">'
        for scheme, theme in THEMES.items()
    )
    return f'<div class="diagram">{images}</div>'


@cache
def drawn(source: str, theme: str) -> str:
    try:
        svg: str = mermaidx.render(source, theme=theme).svg()
    except RuntimeError as error:
        # Any other exception would be passed over, and the source shown as code.
        raise SuperFencesException(f"{error}\n{source}") from error
    # The width is the page's affair only where there is no other one.
    width = svg.split('viewBox="', 1)[1].split('"', 1)[0].split()[2]
    svg = svg.replace('width="100%"', f'width="{width}"', 1)
    return base64.b64encode(svg.encode()).decode()
