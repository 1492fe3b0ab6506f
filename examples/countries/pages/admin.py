from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from pages.models import Article, Hotline, Office
from sitefleet import get_current_site


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    """The articles of the site on whose host the admin is open."""

    list_display = ("title", "published")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Article]:
        return Article.on_site.all()

    def save_model(self, request: HttpRequest, obj: Article, *args: Any) -> None:
        obj.site = get_current_site()
        super().save_model(request, obj, *args)


@admin.register(Office)
class OfficeAdmin(admin.ModelAdmin):
    """Nothing of sites: the rows of other sites cannot be seen from here."""

    list_display = ("city", "street")


@admin.register(Hotline)
class HotlineAdmin(admin.ModelAdmin):
    """Those of the site, and those that are shared by all, which can be seen and not changed."""

    list_display = ("name", "phone")
