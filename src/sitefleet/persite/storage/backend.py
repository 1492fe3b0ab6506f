"""`SiteStorage`: a folder for each site, in any storage that Django knows.

Names are relative to the folder of the current site, ``sites/<id>/``, as in a chroot: what
``save()`` returns and a row keeps does not hold it. So no name leads to the files of another site,
a row may be copied to another site, and to rename a site moves no file.
"""

from __future__ import annotations

import copy
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage, storages
from django.core.files.utils import validate_file_name
from django.urls import get_script_prefix

from sitefleet.current import get_current_site_id, override_site
from sitefleet.environments import get_environment
from sitefleet.following import configured
from sitefleet.options import asked_site, current_site
from sitefleet.prefixes import mounted_prefix

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime
    from typing import Self

    from django.contrib.sites.models import Site
    from django.core.files import File

    Name = str | os.PathLike[str]

FOLDER = "sites"
#: As it stands in STORAGES and in migrations.
PATH = "sitefleet.persite.storage.SiteStorage"
DJANGO_STORAGE = "django.core.files.storage.FileSystemStorage"


class SiteStorage(Storage):
    """Keeps the files of each site in a folder of its own, in another storage.

    ``BACKEND`` and ``OPTIONS`` are those of that storage, as in ``STORAGES``; `inner` is it, with
    the files of all sites. All methods raise NoCurrentSite where there is no current site, and
    SuspiciousFileOperation for a name that leads out of the folder.

    To change what a storage does, subclass the inner one: it is asked for everything.
    """

    def __init__(
        self,
        BACKEND: str = DJANGO_STORAGE,  # noqa: N803 - as in STORAGES, whose keys these are
        OPTIONS: dict[str, Any] | None = None,  # noqa: N803
    ) -> None:
        self._options: dict[str, Any] = {"BACKEND": BACKEND, "OPTIONS": OPTIONS or {}}
        #: Whose files these are; None: those of the current site.
        self.site: Site | int | None = None
        self.inner: Storage = storages.create_storage(self._options)

    def for_site(self, site: Site | int) -> Self:
        """Return this storage for the files of ``site``, whatever the current site is.

        Raises TypeError for anything that is neither a saved ``Site`` nor its primary key.
        """
        if site is None:
            message = "for_site() takes a site or its id."
            raise TypeError(message)
        override_site(site)  # which refuses what is neither
        bound = copy.copy(self)
        bound.site = site
        return bound

    def deconstruct(self) -> tuple[str, tuple[()], dict[str, Any]]:
        """Return what a migration needs to write this storage down.

        Raises ValueError for that of one site, whose id means nothing in another database.
        """
        if self.site is not None:
            message = "Give the field a function that returns for_site(...), not the storage."
            raise ValueError(message)
        kind = type(self)
        path = PATH if kind is SiteStorage else f"{kind.__module__}.{kind.__qualname__}"
        return path, (), dict(self._options)

    @property
    def folder(self) -> str:
        """The folder of the site in the inner storage, without a slash at its end."""
        with self._entered():
            return f"{FOLDER}/{get_current_site_id()}"

    def _entered(self) -> AbstractContextManager[None]:
        return nullcontext() if self.site is None else override_site(self.site)

    # --- Names: of the site outside, of all sites inside ---------------------

    def _inside(self, name: Name) -> str:
        folder, text = self.folder, os.fspath(name).replace("\\", "/")
        if text.startswith("/"):
            text = self._below_location(text)
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in text:
            raise _outside(name, folder)
        return "/".join([folder, *parts])

    def _file_inside(self, name: Name) -> str:
        # Django's own look at what is going to be written: an empty name is the folder itself.
        validate_file_name(os.fspath(name), allow_relative_path=True)
        return self._inside(name)

    def _below_location(self, path: str) -> str:
        """Return the name in a path as `path` gives it, which Django's own storage takes too."""
        location = getattr(self, "location", "").replace(os.sep, "/")
        if not location or not f"{path}/".startswith(f"{location}/"):
            raise _outside(path, self.folder)
        return path[len(location) + 1 :]

    def _own(self, name: Name) -> str:
        folder, text = self.folder, str(name).replace("\\", "/")
        if not text.startswith(f"{folder}/"):
            raise _outside(name, folder)
        return text[len(folder) + 1 :]

    def _longest(self, max_length: int | None) -> int | None:
        # The folder is not in what a row keeps, so it takes no room there.
        return max_length + len(self.folder) + 1 if max_length else max_length

    # --- Django's storage API, complete: a test looks for what is missing ----

    def open(self, name: Name, mode: str = "rb") -> File[Any]:
        return self.inner.open(self._inside(name), mode)

    def save(self, name: Name | None, content: Any, max_length: int | None = None) -> str:
        inside = self._file_inside(content.name if name is None else name)
        return self._own(self.inner.save(inside, content, max_length=self._longest(max_length)))

    def get_valid_name(self, name: str) -> str:
        return self.inner.get_valid_name(name)  # of the file alone

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        return self.inner.get_alternative_name(file_root, file_ext)  # of the file alone

    def get_available_name(self, name: Name, max_length: int | None = None) -> str:
        inside = self._file_inside(name)
        return self._own(
            self.inner.get_available_name(inside, max_length=self._longest(max_length))
        )

    def is_name_available(self, name: Name, max_length: int | None = None) -> bool:
        longest = self._longest(max_length)
        return self.inner.is_name_available(self._file_inside(name), max_length=longest)

    def generate_filename(self, filename: Name) -> str:
        return self._own(self.inner.generate_filename(self._file_inside(filename)))

    def path(self, name: Name) -> str:
        return self.inner.path(self._inside(name))

    def delete(self, name: Name) -> None:
        inside = self._inside(name)
        if inside == self.folder:
            message = "The name must be given to delete()."
            raise ValueError(message)
        self.inner.delete(inside)

    def exists(self, name: Name) -> bool:
        return self.inner.exists(self._inside(name))

    def listdir(self, path: Name) -> tuple[list[str], list[str]]:
        inside = self._inside(path)
        try:
            return self.inner.listdir(inside)
        except FileNotFoundError:
            if inside == self.folder:
                return [], []  # nothing has been saved yet
            raise

    def size(self, name: Name) -> int:
        return self.inner.size(self._inside(name))

    def url(self, name: Name | None, *args: Any, **kwargs: Any) -> str:
        """Return where browsers find a file: a path on the host of the site, with its prefix.

        In a request of another site it is the whole address on the site's own host. Addresses
        elsewhere, as of a CDN, are left as the inner storage gives them, which gets ``args`` too.
        """
        inner: Any = self.inner
        return self._address(inner.url(self._inside(name or ""), *args, **kwargs))

    def get_accessed_time(self, name: Name) -> datetime:
        return self.inner.get_accessed_time(self._inside(name))

    def get_created_time(self, name: Name) -> datetime:
        return self.inner.get_created_time(self._inside(name))

    def get_modified_time(self, name: Name) -> datetime:
        return self.inner.get_modified_time(self._inside(name))

    # --- What other people's code asks for where the inner storage has it ----

    @property
    def location(self) -> str:
        """The folder of the site on the disk."""
        return str(Path(self._attribute("location"), self.folder))

    @property
    def base_location(self) -> str:
        """The folder of the site, as the settings of the inner storage spell its own."""
        return str(Path(self._attribute("base_location"), self.folder))

    @property
    def base_url(self) -> str | None:
        """The address of the site's folder; None where files have none."""
        base = self._attribute("base_url")
        return base if base is None else self._address(f"{base}{self.folder}/")

    def _attribute(self, name: str) -> Any:
        return getattr(self.inner, name)  # AttributeError where it has none

    def _address(self, url: str) -> str:
        if not url.startswith("/") or url.startswith("//"):
            return url
        with self._entered():
            view = current_site()
        asked, host, prefix = asked_site(), "", view.path_prefix
        if asked is not None and asked.pk == view.pk:
            prefix = mounted_prefix()  # none where SITEFLEET_SITE serves it at the root
        elif asked is not None and view.host:
            host = f"{get_environment().scheme}://{view.host}"
        mount = _server_mount()
        mount = mount if url.startswith(f"{mount}/") else ""
        return f"{host}{mount}{prefix}{url[len(mount) :]}"


def _outside(name: object, folder: str) -> SuspiciousFileOperation:
    return SuspiciousFileOperation(f"{str(name)!r} is not in the folder of the site, {folder}/.")


def _server_mount() -> str:
    """Return what the server mounts the project at, without a slash at its end."""
    # Before a relative MEDIA_URL Django has put it, at the first look and for good: that tells it
    # in threads and tasks too, where nobody sets the script prefix.
    written, completed = configured("MEDIA_URL"), settings.MEDIA_URL
    if written != completed and completed.endswith(written):
        return completed.removesuffix(written).rstrip("/")
    script = get_script_prefix()
    return script[: len(script) - len(mounted_prefix()) - 1]
