"""Take pictures of the "Add connection" forms of a real Airflow, for the docs and for people to look at.

``python -m dev.look_at_form`` starts a sandbox and an Airflow for it; ``--url`` takes one that is running.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_messaging.provider_info import get_provider_info
from airflow_provider_messaging.sandbox.process import running_sandbox
from dev.browser import NoBrowser, running_browser
from dev.connection_pages import ConnectionPages
from dev.local_airflow import LocalAirflow
from dev.processes import sigterm_as_exit

ROOT = Path(__file__).resolve().parent.parent
TYPES = {each["connection-type"]: each for each in get_provider_info()["connection-types"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="of a running Airflow; without it, one is started")
    parser.add_argument("--type", dest="types", choices=TYPES, action="append", help="a connection type (default: all)")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images", help="(default: %(default)s)")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    with sigterm_as_exit(), _airflow(options.url) as url, running_browser() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 2600})
        page.set_default_timeout(60_000)
        pages = ConnectionPages(page, url)
        for name in options.types or TYPES:
            for picture in _pictures(pages, name, options.into):
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


def _pictures(pages: ConnectionPages, conn_type: str, folder: Path) -> Iterator[Path]:
    """Open the form, choose the type, and yield a picture of each of its two parts."""
    form = pages.of_type(TYPES[conn_type]).open_new(TYPES[conn_type]["hook-name"])
    for part, section in (("standard", "Standard Fields"), ("extra", "Extra Fields")):
        pages.show(section)
        # Sections open and close with an animation, and the editors come last.
        pages.page.wait_for_timeout(1500)
        yield folder / f"connection-{conn_type}-{part}.png"
        form.screenshot(path=folder / f"connection-{conn_type}-{part}.png")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NoBrowser as error:
        sys.exit(str(error))
