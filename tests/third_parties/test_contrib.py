"""Django's own apps follow the current site, unmodified, and never name another one's host."""

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.contrib.sites.requests import RequestSite
from django.contrib.sites.shortcuts import get_current_site
from django.core import mail
from django.core.management import call_command
from django.test import RequestFactory
from django.urls import reverse

from sitefleet import override_site
from sitefleet.models import SiteConfig
from sitefleet.registry import add_site
from sitefleet.test import client_for
from tests.news.models import Article

LIVE = {"FRESHNESS": 0.0}
LOCAL = {"FRESHNESS": 0.0, "DOMAIN_FORMAT": "{slug}.localhost:8000"}
HOSTS = {
    "live": {"one": "one.example.org", "two": "two.example.org", "de": "one.example.org"},
    "local": {slug: f"{slug}.localhost:8000" for slug in ("one", "two", "de")},
}


@pytest.fixture(params=["live", "local", "synced"])
def hosts(request, fleet, settings):
    """The hosts of three sites with an article each: in live, in a restored copy, after a sync."""
    settings.ROOT_URLCONF = "tests.third_parties.urls"
    for config in SiteConfig.objects.all():
        Article.objects.create(site_id=config.pk, title=f"News of {config.slug}")
    settings.SITEFLEET = LIVE if request.param == "live" else LOCAL
    if request.param == "synced":
        call_command("sites", "sync", verbosity=0)
    return HOSTS["live" if request.param == "live" else "local"]


def sites():
    return [(config.slug, config.pk) for config in SiteConfig.objects.order_by("slug")]


def named(text):
    """Return the hosts that a text names in addresses."""
    return set(re.findall(r"https?://([^/\"<\s]+)", text)) - {"www.w3.org", "www.sitemaps.org"}


def mounted(slug, hosts):
    """Return the path below which a site is served."""
    return "/de" if slug == "de" and hosts is HOSTS["live"] else ""


def test_the_current_site_of_django_is_the_current_site(hosts):
    for slug, pk in sites():
        answer = client_for(pk).get("/site/").json()
        assert (answer["django"], answer["domain"]) == (pk, hosts[slug])
        request = RequestFactory().get("/")
        with override_site(pk):
            assert Site.objects.get_current().pk == pk
            assert get_current_site(request).pk == pk
            assert not isinstance(get_current_site(request), RequestSite)


def test_the_manager_of_django_gives_rows_of_the_current_site(hosts):
    for slug, pk in sites():
        assert client_for(pk).get("/titles/").json() == {"titles": [f"News of {slug}"]}


def test_flatpages_are_those_of_the_current_site(hosts, settings):
    loader = "django.template.loaders.locmem.Loader"
    page = {"flatpages/default.html": "{{ flatpage.content }}"}
    options = {"loaders": [(loader, page), "django.template.loaders.app_directories.Loader"]}
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"APP_DIRS": False, "OPTIONS": options}]
    for slug, pk in sites():
        page = FlatPage.objects.create(url="/about/", title=slug, content=f"About {slug}")
        page.sites.add(pk)
    only = FlatPage.objects.create(url="/only/", title="Only", content="Only two")
    only.sites.add(Site.objects.get(name="Two"))
    for slug, pk in sites():
        client = client_for(pk)
        assert f"About {slug}" in client.get("/about/").text
        assert client.get("/only/").status_code == (200 if slug == "two" else 404)


def test_redirects_are_those_of_the_current_site(hosts):
    for slug, pk in sites():
        # Django compares the whole path, with what the site is mounted at.
        old = f"{mounted(slug, hosts)}/old/"
        Redirect.objects.create(site_id=pk, old_path=old, new_path=f"/new/{slug}/")
    for slug, pk in sites():
        assert client_for(pk).get("/old/").url == f"/new/{slug}/"


def test_sitemaps_name_the_host_of_the_current_site_alone(hosts):
    for slug, pk in sites():
        text = client_for(pk).get("/sitemap.xml").text
        article = Article.objects.get(site_id=pk)
        assert f"http://{hosts[slug]}/news/{article.pk}/" in text
        assert text.count("<loc>") == 1
        assert named(text) == {hosts[slug]}


def test_feeds_name_the_host_of_the_current_site_alone(hosts):
    for slug, pk in sites():
        text = client_for(pk).get("/feed/").text
        article = Article.objects.get(site_id=pk)
        assert f"http://{hosts[slug]}/news/{article.pk}/" in text
        assert text.count("<item>") == 1
        assert named(text) == {hosts[slug]}


def test_password_reset_mails_name_the_host_of_the_current_site_alone(hosts):
    User.objects.create_user("ada", "ada@example.com", "secret")
    for slug, pk in sites():
        mail.outbox = []
        answer = client_for(pk).post("/reset/", {"email": "ada@example.com"})
        assert answer.status_code == 302
        (message,) = mail.outbox
        assert named(message.body) == {hosts[slug]}
        (path,) = re.findall(rf"http://{re.escape(hosts[slug])}(\S*)", message.body)
        assert path.startswith(f"{mounted(slug, hosts)}/reset/")
        # The link leads to the form of the very site.
        within = path.removeprefix(mounted(slug, hosts))
        assert client_for(pk).get(within).status_code == 302
        assert f"at {hosts[slug]}" in message.body or slug in message.body.lower()


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_FORWARDED_HOST": "evil.test"},
        {"HTTP_X_FORWARDED_FOR": "evil.test"},
        {"SERVER_NAME": "evil.test"},
        {"HTTP_HOST": "one.example.org:666"},
    ],
)
def test_no_header_puts_another_host_into_a_mail(site, headers):
    User.objects.create_user("ada", "ada@example.com", "secret")
    client_for(site).post("/reset/", {"email": "ada@example.com"}, **headers)
    (message,) = mail.outbox
    assert named(message.body) == {"one.example.org"}


def test_a_mail_for_a_host_that_leads_nowhere_is_not_sent(site, client):
    User.objects.create_user("ada", "ada@example.com", "secret")
    answer = client.post("/reset/", {"email": "ada@example.com"}, HTTP_HOST="evil.test")
    assert answer.status_code == 404
    assert mail.outbox == []


def test_the_admin_views_an_object_on_the_host_of_its_site(hosts):
    User.objects.create_superuser("root", "root@example.com", "secret")
    client = client_for(Site.objects.get(name="One").pk)
    client.login(username="root", password="secret")
    article = Article.objects.get(site__name="Two")
    # This view reads the row of the other site by itself: what `sync` is there for.
    call_command("sites", "sync", verbosity=0)
    kind = ContentType.objects.get_for_model(Article)
    url = client.get(reverse("admin:view_on_site", args=[kind.pk, article.pk])).url
    assert url == f"http://{hosts['two']}/news/{article.pk}/"


def test_a_rename_is_in_the_next_sitemap(site, settings):
    settings.ROOT_URLCONF = "tests.third_parties.urls"
    Article.objects.create(site=site, title="x")
    assert named(client_for(site.pk).get("/sitemap.xml").text) == {"one.example.org"}
    Site.objects.filter(pk=site.pk).update(domain="renamed.example.org")
    assert named(client_for(site.pk).get("/sitemap.xml").text) == {"renamed.example.org"}


def test_a_placeholder_site_is_no_obstacle(db, settings):
    settings.ROOT_URLCONF = "tests.third_parties.urls"
    site = add_site("first", domain="first.example.org")
    assert client_for(site).get("/titles/").json() == {"titles": []}
