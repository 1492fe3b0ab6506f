"""The canary tells whether anything of one site shows on another.

It plants a string of its own into the rows, files, settings and cached values of each site, asks
each site for every page that can be found, its own and those of the others, and looks for strings
of another site in what comes back: pages, headers, JSON, mails, log lines, files, caches.

::

    def test_nothing_crosses(db, site, other_site):
        Canary([site, other_site]).assert_nothing_crosses()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.urls import get_script_prefix

from sitefleet.canary.crawling import SERVER_ERROR, Crawler, overheard, plain_paths
from sitefleet.canary.marks import START, Marks
from sitefleet.canary.planting import CannotPlant, Planter, absolute_urls, by_label
from sitefleet.canary.stores import Stores
from sitefleet.current import override_site
from sitefleet.presented import shown
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from django.contrib.sites.models import Site
    from django.db import models


class Crossed(AssertionError):
    """Something of one site was seen on another, or the canary could not look."""


@dataclass(slots=True)
class Report:
    """What the canary did and saw, by slug."""

    planted: dict[str, list[str]] = field(default_factory=dict)
    """Models that were marked."""
    pages: dict[str, list[str]] = field(default_factory=dict)
    """Paths that were asked for, with their status."""
    seen: dict[str, set[str]] = field(default_factory=dict)
    """What of its own a site shows."""
    crossings: list[str] = field(default_factory=list)
    """What of another site it shows: who, of whom, what, where."""
    failures: list[str] = field(default_factory=list)
    """Pages that failed, models that could not be marked, sites that show nothing."""


class Canary:
    """Plants, crawls and tells.

    ``factories`` make rows of models where the canary cannot, by model or label: a function of the
    site and the mark. ``leave`` names models (or ``"cache"``, ``"files"``, ``"settings"``) that are
    shared on purpose. ``paths`` are asked for besides those that are found, and none that begins
    with one of ``skip``, such as ``/admin/`` for those who see all sites. ``sign_in`` is called
    with each client and its site: ``lambda client, site: client.force_login(user)``.
    """

    def __init__(  # noqa: PLR0913 - what there is to say of it, by keyword
        self,
        sites: Sequence[Site | int],
        *,
        factories: Mapping[Any, Callable[[Site, str], models.Model | None]] | None = None,
        leave: Iterable[Any] = (),
        paths: Iterable[str] = (),
        skip: Iterable[str] = (),
        sign_in: Callable[[Any, Site], None] | None = None,
    ) -> None:
        self.sites = [resolver.site(site if isinstance(site, int) else site.pk) for site in sites]
        if len(self.sites) < 2:  # noqa: PLR2004 - one has nobody to show anything to
            message = "The canary needs two sites at least."
            raise ValueError(message)
        self.slugs = {site.pk: getattr(shown(site), "slug", str(site.pk)) for site in self.sites}
        self.marks = Marks([(site, self.slugs[site.pk]) for site in self.sites])
        self.left = {item if isinstance(item, str) else item._meta.label for item in leave}
        self.stores = Stores(self.marks, self.left)
        self.planter = Planter(self.marks, by_label(factories or {}))
        self.paths = list(paths)
        self.skip = tuple(skip)
        self.sign_in = sign_in
        self.report = Report()

    def assert_nothing_crosses(self) -> Report:
        """Plant, crawl, and raise Crossed when anything crossed; return the report.

        Files and cached values are taken away again; rows go with the transaction of the test.
        """
        try:
            self._plant_and_crawl()
        finally:
            for site in self.sites:
                with override_site(site):
                    self.stores.clean()
                    self.planter.delete_files(site)
        problems = self.report.crossings + self.report.failures
        if problems:
            raise Crossed("\n".join(problems))
        return self.report

    def _plant_and_crawl(self) -> None:
        own = {site.pk: self._plant(site) for site in self.sites}
        for site in self.sites:
            with override_site(site):
                for where, text in self.stores.look():
                    self._look(site, where, text)
        found = {site.pk: self._crawl(site, own[site.pk]) for site in self.sites}
        everywhere = dict.fromkeys(path for paths in found.values() for path in paths)
        for site in self.sites:
            self._ask(site, [path for path in everywhere if path not in found[site.pk]])
            if not self.report.seen.get(self.slugs[site.pk]):
                self._fail(f"{self.slugs[site.pk]}: no page shows anything that was planted.")

    def _plant(self, site: Site) -> list[str]:
        """Mark what is a site's own; return where rows say that they are to be seen."""
        slug, paths = self.slugs[site.pk], ["/"]
        planted = self.report.planted.setdefault(slug, [])
        with override_site(site):
            for model in self.planter.paths:
                if model._meta.label in self.left:
                    continue
                try:
                    rows = self.planter.plant(model, site)
                except CannotPlant as error:
                    self._fail(
                        f"{slug}: no row could be made for {error}. Give the canary a factory for"
                        " it, or name it in `leave`."
                    )
                    continue
                if rows:
                    planted.append(model._meta.label)
                paths += absolute_urls(rows)
            for problem in self.stores.plant(site):
                self._fail(f"{slug}: {problem}")
        resolver.expire()
        return paths

    def _crawl(self, site: Site, paths: list[str]) -> list[str]:
        """Ask a site for all its pages; return their paths."""
        with override_site(site):
            prefix = get_script_prefix().rstrip("/")
            paths = [*paths, *self.paths, *(path.removeprefix(prefix) for path in plain_paths())]
        return self._ask(site, paths, follow=True)

    def _ask(self, site: Site, paths: list[str], *, follow: bool = False) -> list[str]:
        slug, asked = self.slugs[site.pk], []
        visitors = [None] if self.sign_in is None else [None, self.sign_in]
        for sign_in in visitors:
            with overheard() as heard:
                crawler = Crawler(site, sign_in, self.skip)
                pages = crawler.crawl(paths) if follow else map(crawler.ask, paths)
                for page in pages:
                    asked.append(page.path)
                    self.report.pages.setdefault(slug, []).append(f"{page.status} {page.path}")
                    self._look(site, page.path, _without_echo(page.text, page.path))
                    if page.status >= SERVER_ERROR:
                        self._fail(f"{slug}: {page.path} answers {page.status}.")
            for where, text in heard:
                self._look(site, where, _without_echo(text, *asked))
        return asked

    def _look(self, site: Site, where: str, text: str) -> None:
        slug = self.slugs[site.pk]
        for sighting in self.marks.in_text(text):
            if sighting.slug == slug:
                self.report.seen.setdefault(slug, set()).add(sighting.label)
            elif sighting.label not in self.left:
                line = f"{slug} shows {sighting.label} of {sighting.slug}: {where}"
                if line not in self.report.crossings:
                    self.report.crossings.append(line)

    def _fail(self, line: str) -> None:
        self.report.failures.append(line)


def _without_echo(text: str, *paths: str) -> str:
    """Take out what was asked for: to say that a path is not there tells nothing new."""
    for path in paths:
        if START in path:
            text = text.replace(path, "").replace(quote(path), "")
    return text


__all__ = ["Canary", "Crossed", "Report"]
