"""Files on object storage as bodies of requests."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from airflow_provider_messaging.core.attachments import file_name_of, type_of
from airflow_provider_messaging.core.errors import ConfigurationError, StorageError
from airflow_provider_messaging.core.http import Stream
from airflow_provider_messaging.core.multipart import FilePart
from airflow_provider_messaging.hooks._storage import storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_PIECE = 256 * 1024
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


def stream_of(path: str, setting: str) -> Stream:
    """Return the content of a file, local or on object storage, as it lies there; it is read while it is sent.

    :raises ConfigurationError: if it does not exist, is a folder, or must not be read.
    :raises StorageError: if the storage fails, now or while the file is read; a retry may help.
    """
    target = storage_path(path, setting)
    try:
        found = target.stat()
    except _NO_FILE as error:
        raise _no_file(path, setting, error) from None
    except Exception as error:
        raise _failed(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{path!r} is a folder, not a file", setting=setting)
    size = found.st_size
    return Stream(_opener(target, path, setting), size if isinstance(size, int) else None)


def file_part(
    name: str, source: str | bytes, *, file_name: str | None = None, content_type: str | None = None, setting: str
) -> FilePart:
    """Return a file of a form.

    :param source: a path, local or on object storage, or the content itself.
    :param file_name: what the vendor is told; by default the last part of the path, `name` for content.
    :param content_type: by default what the file name suggests.
    :param setting: the argument to blame.
    :raises ConfigurationError: as `stream_of` does.
    """
    if isinstance(source, bytes):
        shown = file_name or name
        content = Stream(lambda: iter((source,)), len(source))
    else:
        shown = file_name or file_name_of(source)
        content = stream_of(source, setting)
    return FilePart(
        name=name,
        file_name=shown,
        open=content.open,
        length=content.length,
        content_type=content_type or type_of(shown),
    )


def _opener(target: ObjectStoragePath, path: str, setting: str) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        try:
            with target.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    yield piece
        except _NO_FILE as error:
            raise _no_file(path, setting, error) from None
        except Exception as error:
            raise _failed(path, error) from error

    return pieces


def _no_file(path: str, setting: str, error: OSError) -> ConfigurationError:
    problem = "access is denied" if isinstance(error, PermissionError) else "there is no such file"
    return ConfigurationError(f"{path!r} can't be read: {problem}", setting=setting)


def _failed(path: str, error: Exception) -> StorageError:
    return StorageError(f"{path!r} can't be read now: {type(error).__name__}")
