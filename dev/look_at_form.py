"""Take pictures of the "Add connection" forms of a real Airflow, for people to look at.

``python -m dev.look_at_form`` starts a sandbox and an Airflow for it; ``--url`` takes one that is running. Needs what
the suite does not: the package ``playwright`` and a Chromium (``--browser``).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.sandbox.process import running_sandbox
from dev.local_airflow import LocalAirflow
from dev.processes import sigterm_as_exit

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / ".airflow" / "screenshots"
TYPES = {each["connection-type"]: each["hook-name"] for each in get_provider_info()["connection-types"]}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="of a running Airflow; without it, one is started")
    parser.add_argument("--browser", default="/usr/bin/chromium", help="(default: %(default)s)")
    parser.add_argument("--type", dest="types", choices=TYPES, action="append", help="a connection type (default: all)")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sigterm_as_exit(), _airflow(options.url) as url, _browser(options.browser) as browser:
        for name in options.types or TYPES:
            for picture in _pictures(browser, url, name):
                print(picture, flush=True)
    return 0


@contextmanager
def _airflow(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url.rstrip("/")
        return
    with (
        running_sandbox() as sandbox,
        LocalAirflow(ROOT / ".airflow" / "form", ROOT / "example_dags", sandbox.connections) as airflow,
    ):
        yield airflow.url


@contextmanager
def _browser(executable: str) -> Iterator[Any]:
    try:
        # Not one of the development tools, so type checkers do not find it either.
        start: Any = import_module("playwright.sync_api").sync_playwright
    except ImportError:
        sys.exit("this script needs the package playwright: pip install playwright")
    with start() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def _pictures(browser: Any, url: str, conn_type: str) -> Iterator[Path]:
    """Open the form, choose the type, and yield a picture of each state."""
    hook_name = TYPES[conn_type]
    page = browser.new_page(viewport={"width": 1100, "height": 2600})
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{url}/connections")
    page.get_by_role("button", name=re.compile("add connection", re.IGNORECASE)).first.click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    chooser = dialog.get_by_role("combobox").first
    chooser.click()
    chooser.press_sequentially(hook_name[:8])
    page.get_by_role("option", name=hook_name).or_(page.get_by_text(hook_name, exact=True)).first.click()
    page.wait_for_timeout(1000)
    yield _picture(dialog, f"{conn_type}-standard-fields")
    extra = dialog.get_by_role("button", name=re.compile("extra fields$", re.IGNORECASE))
    if extra.count():
        extra.first.click()
        page.wait_for_timeout(1000)
        yield _picture(dialog, f"{conn_type}-extra-fields")


def _picture(dialog: Any, name: str) -> Path:
    path = PICTURES / f"connection-form-{name}.png"
    dialog.screenshot(path=path)
    return path


if __name__ == "__main__":
    sys.exit(main())
