"""What is kept beside the rows: cached values, files, settings of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from sitefleet.declared import declarations
from sitefleet.kinds import KINDS
from sitefleet.registry import configure_site

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from django.contrib.sites.models import Site

    from sitefleet.canary.marks import Marks

CACHE_KEY = "sitefleet-canary"
FILE_NAME = "sitefleet-canary.txt"
TEXTS = (KINDS["str"], KINDS["text"])


class Stores:
    """Puts marks there, looks for them, and takes them away; each to be called under the site."""

    def __init__(self, marks: Marks, left: Container[Any]) -> None:
        self.marks = marks
        self.caches = [] if "cache" in left else list(caches)
        self.files = "files" not in left
        self.settings = "settings" not in left

    def plant(self, site: Site) -> Iterator[str]:
        """Put the mark of a site there; yield what went wrong."""
        for alias in self.caches:
            caches[alias].set(CACHE_KEY, self.marks.of(site, f"cache {alias}"))
        if self.files:
            mark = self.marks.of(site, "file")
            name = default_storage.save(FILE_NAME, ContentFile(mark.encode()))
            if name != FILE_NAME:
                default_storage.delete(name)
                yield f"{FILE_NAME} was there already: files are not the site's own."
        if self.settings:
            names = [name for name, item in declarations().items() if type(item.kind) in TEXTS]
            values = {name: self.marks.of(site, f"setting {name}") for name in names}
            configure_site(site, settings=values)

    def look(self) -> Iterator[tuple[str, str]]:
        """Yield where something is kept, and what."""
        for alias in self.caches:
            yield f"cache {alias}", str(caches[alias].get(CACHE_KEY))
        if self.files and default_storage.exists(FILE_NAME):
            with default_storage.open(FILE_NAME) as file:
                yield "default_storage", file.read().decode()

    def clean(self) -> None:
        """Take away what a test database does not take away with its transaction."""
        for alias in self.caches:
            caches[alias].delete(CACHE_KEY)
        if self.files:
            default_storage.delete(FILE_NAME)
