"""The pages that all sites have, and where the project has `where`."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth import views as auth
from django.contrib.sitemaps import GenericSitemap
from django.contrib.sitemaps.views import sitemap
from django.urls import include, path

from sitefleet.persite.metrics import exposition
from sitefleet.persite.storage import serve_media
from tests.attacks import project, views
from tests.news.models import Article


class Pages(GenericSitemap):
    """A site map of the articles of the site."""

    def __init__(self):
        super().__init__({"queryset": Article.objects.none()})

    def items(self):
        return Article.on_site.order_by("pk")


common = [
    path("admin/", admin.site.urls),
    path("login/", auth.LoginView.as_view(template_name="admin/login.html"), name="login"),
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
    path("feed/", views.News(), name="feed"),
    *(
        path(f"{name.replace('_', '-')}/", getattr(views, name), name=name)
        for name in ["look", "async_look", "stream", "async_stream", "fail", "form", "who", "page", "account", "fragment", "purge", "signed", "upload", "write", "enqueue", "names", "articles", "search", "away", "in_threads", "wander", "wait"]
    ),
    path("cached/<call>/", views.cached),
    path("opened/<link>/", views.opened),
    path("invoice/<path:name>", views.invoice),
    path("any/<path:rest>/", views.form),
    *i18n_patterns(path("lang/", views.form, name="lang")),
]
urlpatterns = [path("where/", views.look, name="where"), *common]
