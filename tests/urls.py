from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from tests import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", auth.LoginView.as_view(template_name="admin/login.html"), name="login"),
    path("reset/", auth.PasswordResetView.as_view(success_url="/"), name="password_reset"),
    path(
        "reset/<uidb64>/<token>/",
        auth.PasswordResetConfirmView.as_view(),
        name="password_reset_confirm",
    ),
    path("site/", views.site, name="site"),
    path("async/", views.async_site, name="async_site"),
    path("fail/", views.fail),
    path("async-fail/", views.async_fail),
    path("stream/", views.stream),
    path("async-stream/", views.async_stream),
    path("file/", views.file),
    path("wander/", views.wander),
    path("wait/", views.wait),
    path("threads/", views.threads),
    path("links/", views.links),
    path("cookies/", views.cookies),
    path("posted/", views.posted),
    path("i18n/", include("django.conf.urls.i18n")),
]
