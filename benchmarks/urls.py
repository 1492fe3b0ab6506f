"""The one view that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.sites.models import Site
from django.http import HttpResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest


def domain(request: HttpRequest) -> HttpResponse:
    """Answer with the domain of the current site."""
    return HttpResponse(Site.objects.get_current(request).domain)


urlpatterns = [path("", domain)]
