from django.urls import path

from sitefleet.persite.storage import serve_media

urlpatterns = [path("media/<path:name>", serve_media)]
