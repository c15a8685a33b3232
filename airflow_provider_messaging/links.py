"""Links beside a task in Airflow's UI: to what it wrote, to the vendor, and to what to do about an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlencode

from airflow.providers.common.compat.sdk import BaseOperatorLink, conf

from airflow_provider_messaging.core.errors import MessagingError
from airflow_provider_messaging.hooks._errors import help_url
from airflow_provider_messaging.provider_info import SITES

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

log = logging.getLogger(__name__)

XCOM_KEY = "messaging_links"
"""The XCom in which a task keeps its links, by the kind of each."""


class _Link(BaseOperatorLink):
    """A link that the task itself has made.

    Airflow asks for it at the end of a try, in the task's process, whether the try failed or not, and keeps the answer;
    the API server, which may not have this package, reads that.
    """

    kind: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        from airflow.providers.common.compat.sdk import XCom

        links = XCom.get_value(key=XCOM_KEY, ti_key=ti_key)
        return str(links.get(self.kind) or "") if isinstance(links, Mapping) else ""


class ManifestLink(_Link):
    """To the file that says what became of each message."""

    name = "Manifest"
    kind = "manifest"


class RejectsLink(_Link):
    """To the file with the rows that were not accepted."""

    name = "Rejects"
    kind = "rejects"


class VendorLink(_Link):
    """To the vendor's site."""

    name = "Vendor"
    kind = "vendor"


class RunbookLink(_Link):
    """To what the catalogue of errors says about a task that failed."""

    name = "What to do"
    kind = "runbook"


SEND_LINKS = (ManifestLink(), RejectsLink(), RunbookLink(), VendorLink())


@contextmanager
def links_of(context: Mapping[str, Any], vendor: str) -> Iterator[dict[str, str]]:
    """Give the task its links when the block ends, also by an error. What the block adds are paths, by kind.

    :param vendor: the module name of the task's vendor.
    """
    paths: dict[str, str] = {}
    runbook = ""
    try:
        yield paths
    except Exception as error:
        runbook = runbook_of(error)
        raise
    finally:
        try:
            links = {kind: storage_url(path) or _templates_url(context) for kind, path in paths.items()}
            links |= {"vendor": SITES.get(vendor, ""), "runbook": runbook}
            context["ti"].xcom_push(key=XCOM_KEY, value={kind: url for kind, url in links.items() if url})
        except Exception as error:
            # Messages have been sent, or the task fails already: links are not worth more than that.
            log.warning("The task has no links, they can't be pushed: %s", type(error).__name__)


def runbook_of(error: BaseException | None) -> str:
    """Return where the catalogue explains an error of ours, or the one behind it; empty for all others."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, MessagingError):
            return help_url(error)
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return ""


def storage_url(path: str) -> str:
    """Return where a browser shows a file on object storage; empty for files that no browser reaches.

    S3 and Google Cloud Storage have consoles with an address for each file. Azure has none without subscription and
    resource group: the address of the blob itself, for those who are logged in, takes its place.
    """
    # Not as a URL: a key may hold what separates parts of one.
    scheme, _, rest = str(path).partition("://")
    authority, _, key = rest.partition("/")
    before, _, bucket = authority.rpartition("@")
    if not bucket or not key:
        return ""
    if scheme in {"s3", "s3a", "s3n"}:
        return f"https://console.aws.amazon.com/s3/object/{quote(bucket)}?{urlencode({'prefix': key})}"
    if scheme in {"gs", "gcs"}:
        return f"https://console.cloud.google.com/storage/browser/_details/{quote(bucket)}/{quote(key)}"
    if scheme in {"abfs", "abfss", "wasb", "wasbs"} and before and bucket.endswith(".core.windows.net"):
        return f"https://{bucket.partition('.')[0]}.blob.core.windows.net/{quote(before)}/{quote(key)}"
    return ""


def _templates_url(context: Mapping[str, Any]) -> str:
    """Return the page of the task's rendered templates, where the path can be read, also if the task fails."""
    ti = context["ti"]
    base = conf.get("api", "base_url", fallback="") or ""
    index = getattr(ti, "map_index", None)
    mapped = f"/mapped/{index}" if isinstance(index, int) and index >= 0 else ""
    names = (quote(str(name), safe="") for name in (ti.dag_id, ti.run_id, ti.task_id))
    return "{}/dags/{}/runs/{}/tasks/{}".format(base.rstrip("/"), *names) + f"{mapped}/rendered_templates"
