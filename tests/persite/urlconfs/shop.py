from django.urls import include, path

from tests import views
from tests.persite.urlconfs import pages

handler400 = pages.say(400)
handler403 = pages.say(403)
handler404 = pages.say(404)
handler500 = pages.say(500)
urlpatterns = [
    path("shop/where/", pages.where, name="where"),
    path("shop/async/", pages.async_where),
    path("shop/elsewhere/", pages.elsewhere),
    path("shop/activated/", pages.activated),
    path("shop/threads/", pages.in_threads),
    path("shop/fail/<kind>/", pages.fail),
    path("shop/item/<int:pk>/", pages.where, name="item"),
    path("shop/named/<name>/", pages.where, name="named"),
    path("shop/<site>/of/<view>/", pages.where, name="of"),
    path("shop/stream/", views.stream),
    path("shop/async-stream/", views.async_stream),
    path("shop/site/", views.site, name="site"),
    path("shop/i18n/", include("django.conf.urls.i18n")),
]
