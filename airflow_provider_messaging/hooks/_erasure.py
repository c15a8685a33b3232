"""Deleting the archive of profiles, and seeing that it is gone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_messaging.core.errors import AuthenticationError, ConfigurationError, MessagingError, VendorError
from airflow_provider_messaging.hooks._archive import ArchiveHook
from airflow_provider_messaging.vendors.marigold import archive

log = logging.getLogger(__name__)

_SHOWN = 3


@dataclass(slots=True)
class _Case:
    profile: str
    listed: int | None = None
    requested_at: str | None = None
    remaining: int | None = None
    verified_at: str | None = None
    error: MessagingError | None = None

    @property
    def open(self) -> bool:
        return self.requested_at is not None and self.verified_at is None


class Erasure:
    """Asks for the deletion of profiles and, with a `verify_timeout`, waits until nothing of them is listed."""

    def __init__(
        self,
        hook: ArchiveHook,
        profiles: Sequence[str],
        *,
        verify_timeout: float | None,
        poll_interval: float,
        max_concurrency: int,
    ) -> None:
        hook.open()
        self._hook = hook
        self._cases = [_Case(profile) for profile in profiles]
        self._verify_timeout = verify_timeout
        self._poll_interval = poll_interval
        self._max_concurrency = max_concurrency
        self._proven = False
        self._stopped = threading.Event()

    def run(self) -> None:
        """Delete and verify; what fails is in the receipt, and `check` raises it.

        :raises MessagingError: where going on makes no sense.
        """
        self._each(self._delete, self._cases)
        log.info("The deletion of %d profiles is asked for", sum(case.open for case in self._cases))
        if self._verify_timeout is None:
            return
        deadline = time.monotonic() + self._verify_timeout
        while waiting := [case for case in self._cases if case.open]:
            self._each(self._look, waiting)
            still = sum(case.open for case in self._cases)
            log.info("%d of %d profiles are verified", len(self._cases) - still, len(self._cases))
            left = deadline - time.monotonic()
            if not still or left <= 0 or self._stopped.wait(min(self._poll_interval, left)):
                return

    def stop(self) -> None:
        """End the wait. Safe in a signal handler."""
        self._stopped.set()

    def receipt(self) -> list[dict[str, Any]]:
        """Return a line for each profile."""
        return [
            {
                "profile": case.profile,
                "listed": case.listed,
                "requested_at": case.requested_at,
                "verified": case.verified_at is not None,
                "verified_at": case.verified_at,
                "remaining": case.remaining,
                "error": None if case.error is None else str(case.error),
            }
            for case in self._cases
        ]

    def check(self, receipt_path: str | None) -> None:
        """:raises VendorError: unless everything that was wanted is done; a retry asks for all of it again."""
        failed = [case for case in self._cases if case.requested_at is None]
        unverified = [case for case in self._cases if case.open and self._verify_timeout is not None]
        if not failed and not unverified:
            return
        errors = [str(case.error) for case in self._cases if case.error is not None][:_SHOWN]
        where = f" The receipt {receipt_path} names them." if receipt_path else ""
        raise VendorError(
            f"of {len(self._cases)} profiles {len(failed)} could not be deleted and {len(unverified)} are still listed "
            f"after {self._verify_timeout or 0:.0f} s.{where} {'; '.join(errors)}".rstrip(),
            vendor=self._hook.conn_type,
            operation="archive_delete_profile",
            connection=self._hook.conn_id,
            retryable=any(case.error is None or case.error.retryable for case in (*failed, *unverified)),
        )

    def _each(self, action: Callable[[_Case], None], cases: Iterable[_Case]) -> None:
        def guarded(case: _Case) -> None:
            if self._stopped.is_set():
                return
            try:
                action(case)
            except (AuthenticationError, ConfigurationError) as error:
                case.error = error
                self._stopped.set()
                raise
            except MessagingError as error:
                case.error = error

        with ThreadPoolExecutor(self._max_concurrency, thread_name_prefix="messaging-erasure") as pool:
            for _ in pool.map(guarded, cases):
                pass

    def _delete(self, case: _Case) -> None:
        case.listed = self._count(case)
        self._hook.delete_profile_archive(case.profile)
        case.requested_at = _now()

    def _look(self, case: _Case) -> None:
        case.error = None
        case.remaining = self._count(case)
        if case.remaining == 0:
            case.verified_at = _now()

    def _count(self, case: _Case) -> int:
        """Count what is listed. A 404 means "nothing" only once the listing's path is known to be right."""
        count = self._hook.run(archive.count_archive(self._hook.client.api, case.profile))
        if count is not None:
            self._proven = True
            return count
        if self._proven:
            return 0
        raise VendorError(
            "HTTP 404: the profile is unknown, or the path is wrong; nothing proves the one or the other",
            status=404,
            vendor=self._hook.conn_type,
            operation="archive_list",
            connection=self._hook.conn_id,
            setting="extra 'endpoints' → 'archive_list' (its path is unpublished, ours is a default)",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
