"""A folder on object storage that is written below and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow_provider_messaging.core.names import SAFE
from airflow_provider_messaging.delivery.outputs import copy_to
from airflow_provider_messaging.hooks._storage import is_local, storage_path


class Folder:
    """Files below a path, local or on any object storage that Airflow knows. Safe to use from several threads.

    Names are given as parts, and a part that is not of our own making is refused: it is the last line of defence
    against a name that leads elsewhere.

    :raises ConfigurationError: if there is no file system for the path's scheme.
    """

    def __init__(self, path: str, setting: str) -> None:
        root = storage_path(path, setting)
        self.path = path.rstrip("/")
        # Taken here, once: it may look a connection up, which threads should not.
        self._fs: Any = root.fs
        self._root: str = root.path.rstrip("/")
        self._local = is_local(root)

    def put(self, local: str, *parts: str) -> None:
        """Put a local file in its place, whole or not at all."""
        target = self._target(parts)
        if self._local:
            copy_to(target)(local)
        else:
            self._fs.put_file(local, target)

    def read(self, *parts: str) -> bytes | None:
        """Return a file's bytes, None where there is none."""
        try:
            content: bytes = self._fs.cat_file(self._target(parts))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return content

    def sweep(self, *parts: str) -> None:
        """Remove from a local folder, and those in it, what a process that is no more was about to put there."""
        if not self._local:
            return
        for path in Path(self._target(parts)).rglob("*.part-*"):
            process = path.name.rpartition("-")[2]
            if process.isdecimal() and not _is_alive(int(process)):
                path.unlink(missing_ok=True)

    def uri(self, *parts: str) -> str:
        return "/".join((self.path, *parts))

    def _target(self, parts: tuple[str, ...]) -> str:
        if not parts or not all(SAFE.fullmatch(part) for part in parts):
            raise ValueError(f"{parts!r} is not a path of ours")
        return "/".join((self._root, *parts))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
