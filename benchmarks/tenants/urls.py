"""The one view: the newest stories of whomever the host belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

from benchmarks.tenants.stories.models import Story

if TYPE_CHECKING:
    from django.http import HttpRequest

#: Plain Django has nobody else to name the site.
PLAIN = not settings.SCHEMAS and not apps.is_installed("sitefleet")


def newest(request: HttpRequest) -> HttpResponse:
    """Answer with ten titles."""
    stories = Story._default_manager.order_by("-pk")
    if PLAIN:
        stories = stories.filter(site_id=settings.SITE_ID)
    return HttpResponse("\n".join(story.title for story in stories[:10]))


urlpatterns = [path("", newest)]
