"""The pages of the heavy project."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.flatpages import views
from django.urls import include, path
from rest_framework import generics, serializers
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls
from wagtail.models import Page


class PageSerializer(serializers.ModelSerializer):
    """A page, for programs."""

    class Meta:
        model = Page
        fields = ("id", "title", "slug")


class Pages(generics.ListAPIView):
    """All pages."""

    queryset = Page.objects.live()
    serializer_class = PageSerializer


urlpatterns = [
    path("admin/", admin.site.urls),
    path("cms/", include(wagtailadmin_urls)),
    path("api/pages/", Pages.as_view()),
    path("terms/", views.flatpage, {"url": "/terms/"}),
    path("", include(wagtail_urls)),
]
