import os

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import get_language

from pages.models import Article, Hotline, Office
from pages.portal import things_to_try
from pages.sites import PORTAL, fleet, slug_of
from sitefleet.scoping import cross_site


def front(request: HttpRequest) -> HttpResponse:
    context: dict[str, object] = {"articles": Article.on_site.all()}
    if slug_of(request.site) == PORTAL:
        context["tries"] = things_to_try(fleet())
        with cross_site("the portal lists the offices of all countries"):
            context["all_offices"] = list(
                Office.objects.select_related("site").order_by("site_id", "city")
            )
    return _page(request, "front.html", context)


def article(request: HttpRequest, pk: int) -> HttpResponse:
    # The number of another site's article is none here.
    found = get_object_or_404(Article.on_site, pk=pk)
    return _page(request, "article.html", {"article": found})


def _page(request: HttpRequest, name: str, context: dict[str, object]) -> HttpResponse:
    """Render a template: that of the site's theme, or else the one that all sites share."""
    shared = {
        "slug": slug_of(request.site),
        "site": request.site,
        "fleet": fleet(),
        "offices": Office.objects.all(),
        "hotlines": Hotline.objects.all(),
        "language": get_language(),
        "process": os.getpid(),
    }
    return render(request, name, shared | context)
