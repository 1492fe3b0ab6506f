"""Files that come in with a site: saved one after the other, and gone again where it fails."""

from __future__ import annotations

import base64
import binascii
import hashlib
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.files.base import File

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.transfer.fileformat import is_text
from sitefleet.scoping.transfer.media import empty, has_folders, logger, told, walk

if TYPE_CHECKING:
    from sitefleet.scoping.transfer.keys import Keys

    Record = dict[str, Any]


class Receiver:
    """Takes the records of files, one file after the other, and saves what is whole."""

    def __init__(
        self,
        site: int,
        keys: Keys,
        known: dict[str, Any],
        lengths: dict[str, int],
        *,
        save: bool,
    ) -> None:
        self.site, self.keys, self.lengths, self.save = site, keys, lengths, save
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
        wrong = {"..", ".", ""} & {*name.split("/")}
        if wrong or "\\" in name or not is_text(name):
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
            with told(storage, name):
                saved = self._saved(storage, storage_name, name)
        self.keys.put(f"file:{storage_name}", [(name, saved)])

    def _saved(self, storage: Any, storage_name: str, name: str) -> str:
        """Save the file; return its name, which is another one where that is taken."""
        own = has_folders(storage)
        longest = None if own else self.lengths.get(storage_name)
        free = storage.get_available_name(name, max_length=longest)
        if storage.exists(free):
            message = f"The storage {storage_name} would write over its file {name!r}."
            raise TransferRefused(message)
        if own:
            # Noted ahead, as nobody else writes there: what is written in part has to go, too.
            self.keys.put_file(storage_name, free)
        saved: str = storage.save(free, File(self._file, name=free), max_length=longest)
        if not own or saved != free:
            self.keys.put_file(storage_name, saved)
        if own and saved != name:
            message = f"The file {name!r} is there already."
            raise TransferRefused(message)
        return saved

    def close(self) -> None:
        """Let go of the file that has been received, or not wholly."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def undo(self) -> None:
        """Remove what has been saved."""
        self.close()
        for storage_name, name in self.keys.files():
            try:
                self.storages[storage_name].delete(name)
            except Exception as error:  # noqa: BLE001 - of any storage; the others have to go
                logger.warning("The file %r of an import is left: %s", name, error)
        for storage in self.storages.values():
            if has_folders(storage):
                with suppress(Exception):
                    empty(storage, files=False)
