from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from pages.models import Article
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
