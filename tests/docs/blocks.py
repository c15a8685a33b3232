"""The code blocks of the documentation, and what the pages say about testing them.

Two HTML comments, which no reader sees, may stand directly above a block::

    <!-- not run: why it can't be, in a sentence -->

    <!-- given
    from airflow.sdk import DAG    # Python that runs before the block
    -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_NOT_RUN = re.compile(r"<!--\s*not run:(?P<reason>.*?)-->", flags=re.DOTALL)
_GIVEN = re.compile(r"<!--\s*given\n(?P<code>.*?)-->", flags=re.DOTALL)
MARKER = re.compile(r"^<!--\s*(?:not run|given)\b", flags=re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    :param page: its path below the checkout.
    :param line: the line of its fence, counted from 1.
    :param language: the first word behind the fence, empty for none.
    :param not_run: why it is not run; None where it is.
    :param given: Python to run before it.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None
    given: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    return tuple(_read(page))


def _read(page: Path) -> Iterator[Block]:
    comment = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            comment += token.content
        elif token.type in {"fence", "code_block"}:
            reason, given = _NOT_RUN.search(comment), _GIVEN.search(comment)
            assert token.map is not None
            yield Block(
                page=page.relative_to(ROOT).as_posix(),
                line=token.map[0] + 1,
                language=(token.info.split() or [""])[0] if token.type == "fence" else "indented",
                text=token.content,
                not_run=" ".join(reason["reason"].split()) if reason else None,
                given=given["code"] if given else "",
            )
            comment = ""
        elif token.nesting != -1:
            comment = ""


def all_blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks(page)]
