"""The pages that all sites have, and where the project has `where`."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth import views as auth
from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps.views import sitemap
from django.contrib.syndication.views import Feed
from django.urls import include, path

from sitefleet.persite.metrics import exposition
from sitefleet.persite.storage import serve_media
from tests.attacks import project, rooms, views
from tests.news.models import Article


class Pages(Sitemap):
    """A site map of the articles of the site."""

    def items(self):
        return Article.on_site.order_by("pk")


class News(Feed):
    """A feed of the same."""

    link = "/"
    title = "News"

    def items(self):
        return Article.on_site.all()

    def item_link(self, item):
        return f"/look/?{item.pk}"


#: Views that are found by their own name: what visitors may well ask for.
NAMED = (
    *("look", "async_look", "form", "who", "page", "account", "fragment", "signed", "links"),
    *("write", "names", "articles", "search"),
)
#: And what they should not; the canary would follow these names as well.
UNNAMED = (
    *("stream", "async_stream", "broken_stream", "async_broken_stream", "wander", "wait", "fail"),
    *("careless", "fail_elsewhere", "in_threads", "purge", "upload", "enqueue", "away", "cached"),
)


def path_of(name):
    return f"{name.replace('_', '-')}/"


common = [
    *(path(path_of(name), getattr(views, name), name=name) for name in NAMED),
    *(path(path_of(name), getattr(views, name)) for name in UNNAMED),
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(next_page="/"), name="logout"),
    path("reset/", auth.PasswordResetView.as_view(success_url="/"), name="password_reset"),
    path(
        "reset/<uidb64>/<token>/",
        auth.PasswordResetConfirmView.as_view(success_url="/"),
        name="password_reset_confirm",
    ),
    path("i18n/", include("django.conf.urls.i18n")),
    path("media/<path:name>", serve_media),
    path("metrics/", exposition, {"registry": project.registry}),
    path("sitemap.xml", sitemap, {"sitemaps": {"news": Pages}}, name="sitemap"),
    path("feed/", News(), name="feed"),
    path("news/<int:pk>/", views.article),
    path("pages/", include("django.contrib.flatpages.urls")),
    path("change/<end>/", views.change),
    path("opened/<link>/", views.opened),
    path("invoice/<path:name>", views.invoice),
    path("any/<path:rest>/", views.form),
    *rooms.urlpatterns,
    *i18n_patterns(path("lang/", views.form, name="lang")),
]
urlpatterns = [path("where/", views.look, name="where"), *common]
