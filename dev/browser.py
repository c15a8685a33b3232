"""Debian's Chromium, headless, for tests and pictures of Airflow's pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path(os.environ.get("MESSAGING_CHROMIUM", "/usr/bin/chromium"))
_ARGUMENTS = [
    # It visits this machine only, and as root, for instance in a container, its own sandbox does not start.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class NoBrowser(RuntimeError):
    """There is no Chromium, or nothing to drive it; the message says what to install."""


@contextmanager
def running_browser(executable: Path = CHROMIUM) -> Iterator[Browser]:
    """Start a headless browser that ends with the block.

    :raises NoBrowser: where it can't be started for lack of it.
    """
    if not executable.exists():
        raise NoBrowser(f"{executable} does not exist: apt-get install chromium, or MESSAGING_CHROMIUM names another")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowser("the package playwright is not installed: the extra 'dev'") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
