"""The files of a site: its folders as they are, and of other storages what rows name.

A storage that keeps a folder for each site has ``for_site()``, as `SiteStorage` has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import storages
from django.db.models import FileField

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer.fileformat import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sitefleet.scoping.transfer.graph import Node
    from sitefleet.scoping.transfer.keys import Keys

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


def walk(storage: Any, folder: str = "") -> Iterator[str]:
    """Yield the names of all files below a folder."""
    folders, files = storage.listdir(folder)
    prefix = f"{folder}/" if folder else ""
    yield from (prefix + name for name in sorted(files))
    for name in sorted(folders):
        yield from walk(storage, prefix + name)


def records_of(storage: Any, storage_name: str, name: str) -> Iterator[Record]:
    """Yield the records of a file; a missing one is told as such."""
    try:
        stream = storage.open(name)
    except (OSError, SuspiciousFileOperation):
        yield {"file": name, "storage": storage_name, "size": None}
        return
    digest = hashlib.sha256()
    with stream:
        yield {"file": name, "storage": storage_name, "size": stream.size}
        while data := stream.read(CHUNK):
            digest.update(data)
            yield {"data": base64.b64encode(data).decode()}
    yield {"sha256": digest.hexdigest()}


def purge(site: int) -> None:
    """Remove the folders of a site that is gone; what cannot be removed is logged."""
    for name, storage in find_storages(()).items():
        own = storage.for_site(site)
        try:
            _empty(own)
        except OSError as error:
            logger.warning("Files of site %s are left in the storage %s: %s", site, name, error)


def _empty(storage: Any, folder: str = "", *, files: bool = True) -> None:
    """Remove a folder with what is in it; without ``files`` as far as there are none."""
    folders, names = storage.listdir(folder)
    prefix = f"{folder}/" if folder else ""
    for name in folders:
        _empty(storage, prefix + name, files=files)
    for name in names if files else ():
        storage.delete(prefix + name)
    if not files and any(storage.listdir(folder)):
        return
    # Most storages have no folders that are empty; those that have, may want to keep them.
    with suppress(OSError, NotImplementedError):
        storage.delete(folder) if folder else storage.inner.delete(storage.folder)


class Receiver:
    """Takes the records of files, one file after the other, and saves what is whole."""

    def __init__(self, site: int, keys: Keys, known: dict[str, Any], *, save: bool) -> None:
        self.site, self.keys, self.save = site, keys, save
        self.storages = {
            name: item.for_site(site) if has_folders(item) else item for name, item in known.items()
        }
        self.count = 0
        self._file: Any = None
        self._record: Record = {}
        self._digest = hashlib.sha256()

    def refuse_leftovers(self) -> None:
        """Raise TransferRefused where there are files of a site that had this id before."""
        for name, storage in self.storages.items():
            if has_folders(storage) and next(walk(storage), None) is not None:
                message = (
                    f"There are files in the folder {storage.folder} of the storage {name}, left by"
                    " a site that had this id: move them away."
                )
                raise TransferRefused(message)

    def begin(self, record: Record) -> None:
        """Take the first record of a file. Raises TransferRefused for one that may not be."""
        name, storage, size = record.get("file"), record.get("storage"), record.get("size")
        known = isinstance(storage, str) and storage in self.storages
        if not isinstance(name, str) or not name or not known:
            message = f"The file {name!r} is for the storage {storage!r}, which is not here."
            raise TransferRefused(message)
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or "." in parts or "" in parts or "\0" in name:
            message = f"{name!r} is no name of a file."
            raise TransferRefused(message)
        if size is None:
            self.keys.put(f"file:{storage}", [(name, "")])
            return
        if type(size) is not int or size < 0:
            message = f"The file {name!r} has no size."
            raise TransferRefused(message)
        self._record, self._digest = record, hashlib.sha256()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the file ends

    @property
    def is_receiving(self) -> bool:
        """Tell whether a file has begun."""
        return self._file is not None

    def add(self, record: Record) -> None:
        """Take a part, or the end, of the file. Raises TransferRefused for another one."""
        name, size = self._record["file"], self._record["size"]
        if "data" in record:
            try:
                data = base64.b64decode(record["data"], validate=True)
            except (binascii.Error, TypeError, ValueError):
                data = b"\0" * (size + 1)
            self._digest.update(data)
            self._file.write(data)
            if self._file.tell() > size:
                message = f"The file {name!r} is not what was announced."
                raise TransferRefused(message)
            return
        if self._file.tell() != size or record.get("sha256") != self._digest.hexdigest():
            message = f"The file {name!r} is not what was announced."
            raise TransferRefused(message)
        self._store(self._record["storage"], name)
        self.close()
        self.count += 1

    def _store(self, storage_name: str, name: str) -> None:
        storage, saved = self.storages[storage_name], name
        if self.save:
            self._file.seek(0)
            saved = storage.get_available_name(name)
            if storage.exists(saved):
                message = f"The storage {storage_name} would write over its file {name!r}."
                raise TransferRefused(message)
            # Noted ahead: what is written in part has to go, too.
            self.keys.put_file(storage_name, saved)
            saved = storage.save(saved, File(self._file, name=saved))
            if has_folders(storage) and saved != name:
                message = f"The file {name!r} is there already."
                raise TransferRefused(message)
        self.keys.put(f"file:{storage_name}", [(name, saved)])

    def close(self) -> None:
        """Let go of the file that has been received, or not wholly."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def undo(self) -> None:
        """Remove what has been saved."""
        self.close()
        for storage_name, name in self.keys.files():
            with suppress(OSError, SuspiciousFileOperation):
                self.storages[storage_name].delete(name)
        for storage in self.storages.values():
            if has_folders(storage):
                with suppress(OSError):
                    _empty(storage, files=False)
