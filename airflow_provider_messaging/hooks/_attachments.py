"""Attachments on object storage, as Airflow reaches it."""

from __future__ import annotations

import errno
import posixpath

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_messaging.core.attachments import Opener, Read, Unreadable
from airflow_provider_messaging.core.errors import ConfigurationError
from airflow_provider_messaging.hooks._storage import is_local, storage_path

_HOPELESS = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL})
_NOT_ALLOWED = "ATTACHMENT_NOT_ALLOWED"


def attachment_opener(folder: str | None) -> Opener:
    """Return what opens the attachments that rows name.

    Rows are data, so they must not choose just any file of a worker, whose own secrets are files: without a folder
    there are no local files, with one there is nothing outside of it.

    :param folder: where relative paths start, and what absolute ones must lie below.
    """

    def open_path(path: str) -> Read:
        try:
            target = storage_path(_placed(path, folder), "attachments_path")
        except ConfigurationError as error:
            raise Unreadable("ATTACHMENT_UNREADABLE", error.message) from None
        except AirflowNotFoundException:
            raise Unreadable("ATTACHMENT_UNREADABLE", "its connection does not exist") from None
        if folder is None and is_local(target):
            raise Unreadable(_NOT_ALLOWED, "is a local file, and there is no attachments_path that it lies in")

        def read(most: int) -> bytes:
            try:
                with target.open("rb") as stream:
                    content: bytes = stream.read(most)
                    return content
            except (FileNotFoundError, NotADirectoryError):
                raise Unreadable("ATTACHMENT_NOT_FOUND", "there is no such file") from None
            except IsADirectoryError:
                raise Unreadable("ATTACHMENT_NOT_FOUND", "is a folder, not a file") from None
            except PermissionError:
                raise Unreadable("ATTACHMENT_UNREADABLE", "access is denied") from None
            except ValueError:
                raise Unreadable("ATTACHMENT_UNREADABLE", "is no path of a file") from None
            except OSError as error:
                if error.errno in _HOPELESS:
                    raise Unreadable("ATTACHMENT_UNREADABLE", "is no path of a file") from None
                raise

        return read

    return open_path


def _placed(path: str, folder: str | None) -> str:
    """Return the whole path.

    :raises Unreadable: if it leaves the folder.
    """
    if not path or "\0" in path or "::" in path:
        raise Unreadable("ATTACHMENT_UNREADABLE", "is no path of a file")
    if folder is None:
        return path
    base = _without_scheme_of_files(folder).rstrip("/") + "/"
    given = _without_scheme_of_files(path)
    whole = given if "://" in given or given.startswith("/") else base + given
    if not whole.startswith(base) or not _stays(whole[len(base) :]):
        raise Unreadable(_NOT_ALLOWED, "lies outside of attachments_path")
    return whole


def _without_scheme_of_files(path: str) -> str:
    return path.removeprefix("file://")


def _stays(rest: str) -> bool:
    return not posixpath.normpath(rest).startswith(("..", "/"))
