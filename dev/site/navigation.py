"""The navigation of the site: that of mkdocs.yml, the reference, and pages that nobody put anywhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev.site import reference

# Pages that are kept where people look for them in a checkout.
FROM_ROOT = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def complete(nav: list[Any], docs: Path) -> list[Any]:
    """Return the navigation with every page of the folder in it.

    :param nav: as mkdocs.yml has it.
    """
    found: list[Any] = copy.deepcopy([_with_reference(entry) for entry in nav])
    known = {*paths(found), *FROM_ROOT}
    guides = next(entry for entry in found if "How-to guides" in entry)["How-to guides"]
    guides += [path.name for path in sorted(docs.glob("*.md")) if path.name not in known]
    return found


def paths(nav: Any) -> Iterator[str]:
    """The paths of all pages, in order."""
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from paths(each)


def _with_reference(entry: Any) -> Any:
    return {"Reference": reference.navigation()} if entry == {"Reference": "reference/"} else entry
