"""The files of a site: its folders as they are, and of other storages what rows name.

A storage that keeps a folder for each site has ``for_site()``, as `SiteStorage` has.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import storages
from django.db.models import FileField

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer.fileformat import CHUNK, is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sitefleet.scoping.transfer.graph import Node

    Record = dict[str, Any]

logger = logging.getLogger("sitefleet")


def has_folders(storage: Any) -> bool:
    """Tell whether a storage keeps a folder for each site."""
    return hasattr(storage, "for_site")


def find_storages(nodes: Iterable[Node]) -> dict[str, Any]:
    """Return the storages that a site may have files in, by alias, else by the field."""
    found = {
        alias: storages[alias]
        for alias in settings.STORAGES
        if alias != "staticfiles" and has_folders(storages[alias])
    }
    for node in nodes:
        for field in node.fields:
            if isinstance(field, FileField) and name_of(field, found) is None:
                found[f"{node.label}.{field.name}"] = field.storage
    return found


def name_of(field: Any, known: dict[str, Any]) -> str | None:
    """Return the name of the storage of a field among those that are known."""
    wanted = _identity(field.storage)
    return next((name for name, item in known.items() if _identity(item) == wanted), None)


def _identity(storage: Any) -> Any:
    try:
        return repr(storage.deconstruct())
    except (AttributeError, TypeError, ValueError):
        return id(storage)


def find_lengths(nodes: Iterable[Node], known: dict[str, Any]) -> dict[str, int]:
    """Return how long a name may be that rows keep, by the storages of `find_storages`."""
    found: dict[str, int] = {}
    for node in nodes:
        for field in node.fields:
            name = name_of(field, known) if isinstance(field, FileField) else None
            if name is not None and field.max_length:
                found[name] = min(field.max_length, found.get(name, field.max_length))
    return found


def walk(storage: Any, folder: str = "") -> Iterator[str]:
    """Yield the names of all files below a folder, and of links, behind which it does not look."""
    folders, files, links = _listed(storage, folder)
    yield from sorted([*files, *links])
    for name in sorted(folders):
        yield from walk(storage, name)


def _listed(storage: Any, folder: str) -> tuple[list[str], list[str], list[str]]:
    """Return the folders in a folder, the files and the links to folders; all with the folder."""
    with told(storage, folder):
        folders, files = storage.listdir(folder)
    prefix = f"{folder}/" if folder else ""
    links = [name for name in folders if stat.S_ISLNK(_mode(storage, prefix + name))]
    return (
        [prefix + name for name in folders if name not in links],
        [prefix + name for name in files],
        [prefix + name for name in links],
    )


def _mode(storage: Any, name: str) -> int:
    """Return what is on the disk under a name, no link followed; 0 where it is on no disk."""
    try:
        return os.lstat(storage.path(name)).st_mode
    except (NotImplementedError, AttributeError, OSError, SuspiciousFileOperation):
        return 0


@contextmanager
def told(storage: Any, name: str) -> Iterator[None]:
    """Raise TransferRefused for what a storage raises, whose errors may be of any kind."""
    try:
        yield
    except TransferRefused:
        raise
    except Exception as error:
        what = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        message = f"The storage {type(storage).__name__} cannot do it with {name!r}: {what}"
        raise TransferRefused(message) from error


def records_of(storage: Any, storage_name: str, name: str) -> Iterator[Record]:
    """Yield the records of a file; one that is not there, or is a link, is told as such.

    Raises TransferRefused where it cannot be read, or has a name that no storage would take.
    """
    if not is_text(name) or "\\" in name:
        message = f"The file {name!r} cannot be carried by that name: rename it, or use --no-media."
        raise TransferRefused(message)
    missing: Record = {"file": name, "storage": storage_name, "size": None}
    mode = _mode(storage, name)
    if mode and not stat.S_ISREG(mode):
        yield missing
        return
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as copy:
        try:
            # As it is at one moment, however long it takes to write it down, and while it grows.
            with told(storage, name), storage.open(name) as stream:
                shutil.copyfileobj(stream, copy, CHUNK)
        except TransferRefused as error:
            with told(storage, name):
                if not isinstance(error.__cause__, SuspiciousFileOperation) and storage.exists(
                    name
                ):
                    raise
            yield missing
            return
        yield missing | {"size": copy.tell()}
        copy.seek(0)
        while data := copy.read(CHUNK):
            digest.update(data)
            yield {"data": base64.b64encode(data).decode()}
    yield {"sha256": digest.hexdigest()}


def purge(site: int) -> None:
    """Remove the folders of a site that is gone; what cannot be removed is logged."""
    for name, storage in find_storages(()).items():
        own = storage.for_site(site)
        left: Any = ""
        try:
            empty(own)
            left = next(walk(own), None)
        except Exception as error:  # noqa: BLE001 - of any storage; the site is gone already
            left = error
        if left is not None:
            logger.warning("Files of site %s are left in the storage %s: %s", site, name, left)


def empty(storage: Any, folder: str = "", *, files: bool = True) -> None:
    """Remove a folder with what is in it; without ``files`` as far as there are none.

    Links go, and what they lead to stays.
    """
    if stat.S_ISLNK(_mode(storage, folder)):
        if files:
            os.unlink(storage.path(folder))  # noqa: PTH108 - a path of the storage
        return
    folders, names, links = _listed(storage, folder)
    for name in [*folders, *links]:
        empty(storage, name, files=files)
    for name in names if files else ():
        storage.delete(name)
    if not files and any(storage.listdir(folder)):
        return
    # Most storages have no folders that are empty; those that have, may want to keep them.
    with suppress(OSError, NotImplementedError):
        storage.delete(folder) if folder else storage.inner.delete(storage.folder)
