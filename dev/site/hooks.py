"""What MkDocs calls while it builds the site: pages that are made, and a navigation that knows every page."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from dev.site import navigation, reference

ROOT = Path(__file__).resolve().parents[2]
TABLE = "<!-- the table of the README -->"
SOURCE = "https://github.com/airflow-provider-messaging/airflow-provider-messaging/blob/main/"
_FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_OUT = re.compile(r"\]\(\.\./[^)\s]+\)")
_LINK = re.compile(r"(?<=\]\()(?P<path>(?!https?:|#|mailto:)[^)#\s]+)(?=[)#])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    config.nav = navigation.complete(config.nav or [], Path(config.docs_dir))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page in reference.pages():
        files.append(File.generated(config, page.src, content=page.markdown))
    for src, name in navigation.FROM_ROOT.items():
        files.append(File.generated(config, src, content=from_root((ROOT / name).read_text(encoding="utf-8"))))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    markdown = _OUT.sub(lambda found: from_root(found[0].replace("](../", "](")), markdown)
    return markdown.replace(TABLE, from_root(capabilities())) if page.file.src_uri == "index.md" else markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a page would fetch anything from elsewhere when it is read."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        if found := _FETCHED.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path.name} fetches from another host: {found[0]}")


def from_root(markdown: str) -> str:
    """Text of the checkout's root with links as they are right in the folder of the documentation."""
    pages = {f"docs/{path.name}": path.name for path in (ROOT / "docs").glob("*.md")}
    pages |= {name: src for src, name in navigation.FROM_ROOT.items()}
    return _LINK.sub(lambda found: pages.get(found["path"], SOURCE + found["path"]), markdown)


def capabilities() -> str:
    """The README's table of what each vendor's part does."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("| |") and "Marigold" in line)
    return "\n".join(lines[start : lines.index("", start)])
