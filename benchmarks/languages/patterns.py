"""The patterns of that project, and its one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf.urls.i18n import i18n_patterns
from django.contrib.sites.models import Site
from django.shortcuts import render
from django.urls import include, path

from benchmarks.languages import PAGES, SECTIONS

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern, URLResolver

MENU = [f"section-{number}:page-1" for number in range(SECTIONS)]


def page(request: HttpRequest) -> HttpResponse:
    """Answer with the domain of the current site and a menu."""
    domain = Site.objects.get_current(request).domain
    return render(request, "page.html", {"domain": domain, "menu": MENU})


#: What each app has; the URLconfs include it.
APPS: list[list[URLPattern]] = [
    [path(f"page-{number}/", page, name=f"page-{number}") for number in range(PAGES)]
    for _ in range(SECTIONS)
]


def all_patterns() -> list[URLResolver]:
    """Return what a URLconf makes of them when its module is executed."""
    sections = [
        path(f"section-{number}/", include((patterns, f"section-{number}")))
        for number, patterns in enumerate(APPS)
    ]
    return i18n_patterns(*sections)
