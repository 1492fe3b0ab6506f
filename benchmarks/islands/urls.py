"""The page, and what it links to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.core.files.storage import default_storage
from django.shortcuts import render
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger("benchmarks")


def page(request: HttpRequest) -> HttpResponse:
    """Answer with the page."""
    if "visitor" not in request.session:
        request.session["visitor"] = "of this site"
    context = {
        "domain": Site.objects.get_current(request).domain,
        "rows": ContentType.objects.order_by("pk")[:5],
        "photo": default_storage.url("photo.jpg"),
        "office": settings.DEFAULT_FROM_EMAIL,
    }
    logger.info("page for %s", context["domain"])
    return render(request, "page.html", context)


urlpatterns = [path("", page, name="page"), path("news/<int:pk>/", page, name="news")]
