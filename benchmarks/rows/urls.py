"""The views: with one query and with ten, which name the site, or do not, or need not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Max
from django.http import HttpResponse
from django.urls import path

from benchmarks.rows.models import Author, Comment, Country, Story

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest


def _rows(model: type[Model], request: Any, who: str) -> QuerySet[Any]:
    if who == "explicit":
        return model._default_manager.filter(site_id=request.site.pk)
    return model._default_manager.all()


def one(request: HttpRequest, who: str) -> HttpResponse:
    """Answer with the newest stories."""
    stories = _rows(Story, request, who).order_by("-published")[:10]
    return HttpResponse("\n".join(story.title for story in stories))


def ten(request: HttpRequest, who: str) -> HttpResponse:
    """Answer with what ten queries find: simple ones, a join, an aggregate, a related manager."""
    pk = request.site.pk  # the first story of a site has its number
    stories, authors = _rows(Story, request, who), _rows(Author, request, who)
    found: list[object] = [
        [story.title for story in stories.order_by("-published")[:10]],
        stories.get(pk=pk).title,
        stories.filter(section=3, published__gt=10).exists(),
        list(stories.filter(section=1).order_by("-published").values_list("title", flat=True)[:5]),
        [
            (story.title, story.author.name)
            for story in stories.select_related("author").order_by("-published")[:5]
        ],
        stories.filter(published__lt=100).aggregate(Max("published")),
        authors.count(),
        [author.name for author in authors.order_by("name")[:3]],
        list(authors.filter(story__pk=pk).values_list("name", flat=True)),
        [comment.text for comment in _rows(Comment, request, who).filter(story_id=pk)],
    ]
    return HttpResponse("\n".join(map(str, found)))


def unscoped(request: HttpRequest) -> HttpResponse:
    """Answer with rows that belong to no site."""
    countries = Country.objects.filter(name__gt="B").order_by("name")[:10]
    names = [country.name for country in countries]
    return HttpResponse("\n".join([request.get_host(), *names]))


urlpatterns = [
    path("unscoped/1/", unscoped),
    path("<who>/1/", one),
    path("<who>/10/", ten),
]
