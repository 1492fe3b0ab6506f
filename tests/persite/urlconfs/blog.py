from django.conf.urls.i18n import i18n_patterns
from django.urls import path

from tests import views
from tests.persite.urlconfs import pages

handler404 = pages.say(404)
handler500 = pages.say(500)
urlpatterns = [
    path("blog/async/", pages.async_where),
    path("blog/elsewhere/", pages.elsewhere),
    path("blog/stream/", views.stream),
    path("blog/async-stream/", views.async_stream),
    path("blog/site/", views.site, name="site"),
    *i18n_patterns(path("blog/where/", pages.where, name="where")),
]
