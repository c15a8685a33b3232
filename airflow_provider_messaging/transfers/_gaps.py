"""What the webhook missed: pulled, compared with what landed, and added."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import msgspec

from airflow_provider_messaging.core.windows import Window
from airflow_provider_messaging.delivery.outputs import LineFile
from airflow_provider_messaging.hooks._errors import no_retry_where_useless
from airflow_provider_messaging.hooks._feedback_files import FeedbackFile, events_of, feedback_files
from airflow_provider_messaging.hooks._feedback_rows import json_object
from airflow_provider_messaging.hooks._lineage import Dataset, Lineage, collect_hook_lineage, emit_asset_events
from airflow_provider_messaging.hooks._storage import publisher, storage_path
from airflow_provider_messaging.hooks.marigold import MarigoldHook
from airflow_provider_messaging.transfers._files import RowFile
from airflow_provider_messaging.transfers._jobs import Job
from airflow_provider_messaging.transfers._known_events import KnownEvents, Standing
from airflow_provider_messaging.transfers._pulling import PullOperator
from airflow_provider_messaging.vendors.marigold.endpoints import FEEDBACK
from airflow_provider_messaging.vendors.marigold.feedback import normalise
from airflow_provider_messaging.vendors.marigold.reading import Selection
from airflow_provider_messaging.vendors.marigold.segments import Segment

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

FILL = "gap"
"""What the id of a segment begins with that was filled in."""
_CLOCKS = timedelta(days=1)
"""An event is received when it has happened; by how much two clocks may disagree on that."""

_COUNTS = {
    "pulled": (Standing.KNOWN, Standing.BARE, Standing.FILLED, Standing.MISSING),
    "known": (Standing.KNOWN, Standing.BARE),
    "filled": (Standing.FILLED,),
    "missing": (Standing.MISSING,),
    "completed": (Standing.BARE,),
}

log = logging.getLogger(__name__)


class FillFeedbackGapsOperator(PullOperator):
    """Pulls the feedback of a closed window, and adds what the webhook missed to its folder: one more segment a kind.

    An event is known if the folder has one of the same kind and reference, of the same second, in a segment or in a
    landed file. A bounce that the webhook told without its type (it does so of all indirect ones) is added as well,
    with its type. What is added are the vendor's rows, as a landing writes them; `WebhookEventTrigger` reports the new
    segments like any other, and all that reads segments takes them. A second run adds nothing. Memory does not grow
    with the number of events. See ``docs/webhooks.md``.

    Returns ``{"files": [...], "start", "end"}`` and, each by kind, ``pulled``, ``known``, ``filled`` (by earlier runs),
    ``missing`` and ``completed`` (of the known ones: added with their type): ``known + filled + missing == pulled``, so
    ``filled + missing`` is what the webhook missed. The task's outlets get all but the files as extra of their asset
    events, and the number of files.

    :param path: the root folder of the segments.
    :param look_back: as for the landing. The vendor tries for a day to post an event: what is younger than that may
        still come, and is then there twice, once pulled and once posted.

    The other parameters are those of `FeedbackToObjectStorageOperator`.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the segments and return their names and the counts.

        :raises AirflowFailException: where a retry is of no use.
        """
        with no_retry_where_useless(), ExitStack() as open_files:
            kinds = self.checked()
            window = self.window(context)
            jobs = [self._job(kind, window, open_files) for kind in kinds] if window.start < window.end else []
            with MarigoldHook(self.marigold_conn_id) as hook:
                self.pull(hook, jobs)
        files = [job.gaps.written for job in jobs if job.gaps.written]
        counts = {job.kind: job.gaps.counts for job in jobs}
        result: dict[str, Any] = {
            **{name: {kind: _sum(counts, kind, *standings) for kind in kinds} for name, standings in _COUNTS.items()},
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
        }
        log.info("Of %s events, the webhook missed %s, of which %s were filled before", *_words(result))
        emit_asset_events(cast("dict[str, Any]", context), location=self.path, extra={**result, "files": len(files)})
        sources = [FEEDBACK[kind].url(hook.client.api.base_url, hook.client.api.overrides) for kind in kinds]
        collect_hook_lineage(hook, inputs=sources, outputs=files)
        added = sum(result["missing"].values()) + sum(result["completed"].values())
        self._lineage = Lineage(
            inputs=[Dataset.at(source) for source in sources], outputs=[Dataset.at(self.path, rows=added)]
        )
        return {"files": files, **result}

    def _job(self, kind: str, window: Window, open_files: ExitStack) -> GapJob:
        """Return the job of a kind, once all that is landed of it has been read."""
        known = open_files.enter_context(closing(KnownEvents(window)))
        files = self._landed(kind, window)
        for filled in (False, True):
            chosen = (file for file in files if _is_filled(file) is filled)
            known.add(chain.from_iterable(events_of(file, "path") for file in chosen), filled=filled)
        log.info("%s: %d files of the window and later are read", kind, len(files))
        gaps = GapFile(self.path, kind, known)
        selections = [Selection(kind=kind, window=window, account_id=account) for account in self.accounts()]
        place = f"{self.path.rstrip('/')}/kind={kind}"
        return GapJob(path=place, form="ndjson", publish=publisher(place, "path"), selections=selections, gaps=gaps)

    def _landed(self, kind: str, window: Window) -> list[FeedbackFile]:
        folder = storage_path(f"{self.path.rstrip('/')}/kind={kind}", "path")
        folder.fs.invalidate_cache(folder.path)
        if not folder.fs.isdir(folder.path):
            return []
        return feedback_files(self.path, [kind], since=window.start - _CLOCKS, setting="path")


class GapFile:
    """Takes pulled rows, keeps those that are not known, and puts them in place as a segment, if there are any."""

    def __init__(self, root: str, kind: str, known: KnownEvents) -> None:
        self._root = root.rstrip("/")
        self._kind = kind
        self._known = known
        self.counts: Counter[Standing] = Counter()
        self.written = ""
        """The segment's name, once it is in place."""
        self._file: LineFile | None = None

    def begin(self) -> GapFile:
        self._file = LineFile(self._publish, compressed=True)
        return self

    def write(self, kind: str, rows: Sequence[msgspec.Raw]) -> None:
        assert self._file is not None
        for row in rows:
            data = bytes(row)
            try:
                value = json_object(data)
            except ValueError:
                log.warning("a row of the vendor's %s is no JSON object: it is left out", kind)
                continue
            standing = self._known.judge(normalise(kind, value, raw=""))
            self.counts[standing] += 1
            if standing in (Standing.MISSING, Standing.BARE):
                self._file.write_line(data if b"\n" not in data else msgspec.json.format(data, indent=-1))

    def finish(self, *, publish: bool) -> None:
        assert self._file is not None
        self._file.finish(publish=publish and self._file.lines > 0)

    def _publish(self, name: str) -> None:
        sealed_at = datetime.now(UTC)
        number = FILL + secrets.token_hex(8)
        segment = Segment(kind=self._kind, day=sealed_at.date(), sealed_at=sealed_at, id=number, compressed=True)
        path = f"{self._root}/{segment.path}"
        publisher(path, "path")(name)
        self.written = path


@dataclass(frozen=True, slots=True)
class GapJob(Job):
    """The reading of one kind; what it writes has no name before it is written."""

    gaps: GapFile

    @property
    def kind(self) -> str:
        return self.selections[0].kind

    def open(self) -> RowFile:
        return self.gaps.begin()


def _is_filled(file: FeedbackFile) -> bool:
    segment = Segment.parse(file.name)
    return segment is not None and segment.id.startswith(FILL)


def _sum(counts: dict[str, Counter[Standing]], kind: str, *standings: Standing) -> int:
    return sum(counts[kind][standing] for standing in standings) if kind in counts else 0


def _words(result: dict[str, Any]) -> Iterator[str]:
    missed = {kind: result["missing"][kind] + result["filled"][kind] for kind in result["missing"]}
    yield from map(str, (result["pulled"], missed, result["filled"]))
