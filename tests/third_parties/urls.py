"""Pages of Django's contrib apps that ask for the current site, beside the test project's."""

from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps.views import sitemap
from django.contrib.syndication.views import Feed
from django.http import JsonResponse
from django.urls import path

from tests.news.models import Article
from tests.urls import urlpatterns as of_the_project


class Articles(Sitemap):
    def items(self):
        return Article.on_site.order_by("pk")


class Latest(Feed):
    title = "News"
    link = "/news/"
    description_template = None

    def items(self):
        return Article.on_site.order_by("pk")


def titles(request):
    return JsonResponse({"titles": sorted(Article.on_site.values_list("title", flat=True))})


urlpatterns = [
    *of_the_project,
    path("sitemap.xml", sitemap, {"sitemaps": {"articles": Articles}}, name="sitemap"),
    path("feed/", Latest()),
    path("titles/", titles),
]
