"""The ROOT_URLCONF beside the others."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import path

from tests import views
from tests.persite.urlconfs import pages

handler500 = pages.say(500)
urlpatterns = [
    path("elsewhere/", pages.elsewhere),
    path("async/", pages.async_where),
    path("stream/", views.stream),
    path("async-stream/", views.async_stream),
    path("site/", views.site, name="site"),
    *i18n_patterns(path("where/", pages.where, name="where"), prefix_default_language=False),
]
