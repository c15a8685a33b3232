"""Where this package's documentation is."""

from __future__ import annotations

PAGES = "https://github.com/airflow-provider-messaging/airflow-provider-messaging/blob/main/docs/{page}.md"
"""Changed here when the pages move; all links of operators, mails and errors are made of it."""


def documentation(page: str, section: str = "") -> str:
    """Return the URL of a page, by its file name without ``.md``, or of a section, by its heading's anchor."""
    return PAGES.format(page=page) + (f"#{section}" if section else "")
