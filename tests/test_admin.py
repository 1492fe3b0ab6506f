"""Sites in the admin: one form, errors beside the field, seen at the next request."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.sites.models import Site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sitefleet import override_site
from sitefleet.admin import SiteAdmin
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, add_site, get_config, set_state
from sitefleet.scoping import cross_site
from sitefleet.test import client_for
from tests.admin_forms import LIST, change_url, form_of
from tests.rooms.models import Booking, Building

LOCAL = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "SCHEME": "http", "FRESHNESS": 0.0}


@pytest.fixture
def owner(db):
    return User.objects.create_superuser("owner", password="secret")


@pytest.fixture
def browser(site, owner):
    """The browser of the owner on the first site."""
    client = client_for(site)
    client.force_login(owner)
    return client


# --- the list ----------------------------------------------------------------


def test_the_list_tells_all_of_a_site(browser, fleet):
    set_state(fleet[1], "archived")
    page = browser.get(LIST).content.decode()
    for text in ("Two", "two.example.org", "archived", "one.example.org/de"):
        assert text in page
    link = '<a href="https://two.example.org/" target="_blank" rel="noopener">'
    assert link in page
    assert '<a href="https://one.example.org/de/"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=Two", {"two"}),
        ("q=tw", {"two"}),
        ("q=two.example.org", {"two"}),
        ("q=one.example.org", {"one", "de"}),
        ("q=further", {"two"}),
        ("siteconfig__state__exact=archived", {"two"}),
        ("siteconfig__state__exact=active&q=two", set()),
    ],
)
def test_the_list_can_be_searched_and_filtered(browser, fleet, query, found):
    add_alias(fleet[1], "further.example.org")
    set_state(fleet[1], "archived")
    listed = browser.get(f"{LIST}?{query}").context["cl"].queryset
    assert {site.siteconfig.slug for site in listed} == found


def test_the_list_can_be_sorted_by_each_column(browser, fleet):
    for column in range(1, 5):
        assert browser.get(f"{LIST}?o={column}").status_code == 200


def test_the_list_needs_the_same_queries_for_few_sites_and_for_many(browser, fleet):
    def count():
        browser.get(LIST)
        Site.objects.clear_cache()
        with CaptureQueriesContext(connection) as queries:
            browser.get(LIST)
        return len(queries)

    few = count()
    for number in range(20):
        add_site(f"s{number}", domain=f"s{number}.example.org")
    assert count() == few


# --- add and change ----------------------------------------------------------


def test_a_site_is_added_with_its_aliases_and_served_at_once(browser):
    data = form_of(
        name="Ghana", slug="GH", domain="Example.GH.", aliases=["Old.example.gh", "*.example.gh"]
    )
    assert browser.post(f"{LIST}add/", data).status_code == 302
    config = SiteConfig.objects.get(slug="gh")
    assert (config.site.name, config.site.domain) == ("Ghana", "example.gh")
    names = set(config.site.fleet_aliases.values_list("name", flat=True))
    assert names == {"old.example.gh", "*.example.gh"}
    assert browser.get("/site/", headers={"host": "example.gh"}).json()["id"] == config.pk
    moved = browser.get("/site/", headers={"host": "old.example.gh"})
    assert moved["Location"] == "https://example.gh/site/"


def test_a_site_below_a_path_prefix_shares_the_domain(browser, site):
    data = form_of(slug="de", domain="one.example.org", path_prefix="de/")
    assert browser.post(f"{LIST}add/", data).status_code == 302
    config = SiteConfig.objects.get(slug="de")
    assert (config.production_domain, config.path_prefix) == ("one.example.org", "/de")
    assert browser.get("/de/site/").json()["id"] == config.pk


def test_the_form_shows_what_is_saved(browser, fleet):
    page = browser.get(change_url(fleet[2]))
    assert page.context["adminform"].form.initial == {
        "name": "DE",
        "slug": "de",
        "domain": "one.example.org",
        "path_prefix": "/de",
        "state": "active",
        "mode": "",
    }
    assert '<a href="https://one.example.org/de/"' in page.content.decode()
    assert browser.get(f"{LIST}add/").status_code == 200


def test_each_field_can_be_changed_and_the_next_request_sees_it(browser, site, other_site):
    assert client_for(other_site).get("/site/").status_code == 200
    data = form_of(
        other_site, name="Zwei", slug="zwei", domain="zwei.example.org", state="maintenance"
    )
    assert browser.post(change_url(other_site), data).status_code == 302
    config = get_config(other_site)
    assert (config.slug, config.state) == ("zwei", "maintenance")
    assert (config.site.name, config.site.domain) == ("Zwei", "zwei.example.org")
    assert browser.get("/site/", headers={"host": "two.example.org"}).status_code == 404
    browser.logout()
    assert browser.get("/site/", headers={"host": "zwei.example.org"}).status_code == 503


def test_a_prefix_is_put_on_and_taken_off(browser, other_site):
    browser.post(change_url(other_site), form_of(other_site, path_prefix="/zwei"))
    assert get_config(other_site).path_prefix == "/zwei"
    browser.post(change_url(other_site), form_of(other_site, path_prefix=""))
    config = get_config(other_site)
    assert (config.path_prefix, config.site.domain) == ("", "two.example.org")


def test_a_form_that_is_sent_back_as_it_was_changes_nothing(browser, fleet):
    add_alias(fleet[2], "x.example.org")
    before = list(SiteConfig.objects.values()), list(Site.objects.values())
    for each in fleet:
        aliases = list(Alias.objects.filter(site_id=each.pk))
        assert browser.post(change_url(each), form_of(each, aliases)).status_code == 302
    assert (list(SiteConfig.objects.values()), list(Site.objects.values())) == before


def test_an_alias_is_deleted_below_its_site(browser, site):
    alias = add_alias(site, "old.example.org")
    data = form_of(site, [alias]) | {"fleet_aliases-0-DELETE": "on"}
    assert browser.post(change_url(site), data).status_code == 302
    assert not Alias.objects.exists()


# --- actions, delete, who may ------------------------------------------------


@pytest.mark.parametrize(
    ("action", "state"), [("set_active", "active"), ("set_maintenance", "maintenance")]
)
def test_an_action_sets_the_state_of_many(browser, fleet, action, state):
    chosen = [fleet[1].pk, fleet[2].pk]
    set_state(fleet[2], "archived")
    data = {"action": action, "_selected_action": chosen}
    page = browser.post(LIST, data, follow=True)
    assert {get_config(each).state for each in fleet[1:]} == {state}
    assert f"2 sites are {state} now." in page.content.decode()


def test_a_site_is_deleted_with_its_names(browser, site, other_site):
    add_alias(other_site, "old.example.org")
    url = reverse("admin:sites_site_delete", args=[other_site.pk])
    assert browser.post(url, {"post": "yes"}).status_code == 302
    assert not SiteConfig.objects.filter(slug="two").exists()
    assert browser.get("/site/", headers={"host": "old.example.org"}).status_code == 404


@pytest.mark.parametrize("view", ["delete", "action"])
def test_rows_that_a_site_would_take_with_it_are_seen_from_any_host(
    browser, site, other_site, view
):
    with override_site(other_site):
        Building.objects.create(name="Town hall")  # protects its site
        Booking.objects.create(code="1")  # goes with it
    url = f"/admin/sites/site/{other_site.pk}/delete/"
    data = {"action": "delete_selected", "_selected_action": other_site.pk}
    path, form = (url, {}) if view == "delete" else ("/admin/sites/site/", data)
    answer = browser.post(path, {**form, "post": "yes"})
    assert "Town hall" in answer.content.decode()
    assert Site.objects.filter(pk=other_site.pk).exists()
    with override_site(other_site):
        Building.objects.all().delete()
    browser.post(path, {**form, "post": "yes"})
    assert not Site.objects.filter(pk=other_site.pk).exists()
    with cross_site("look"):
        assert not Booking.objects.exists()


def test_who_may_only_look_cannot_act(site, other_site):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_site"))
    client = client_for(site)
    client.force_login(user)
    assert "set_maintenance" not in client.get(LIST).content.decode()
    client.post(LIST, {"action": "set_maintenance", "_selected_action": [other_site.pk]})
    assert get_config(other_site).state == "active"


# --- environments ------------------------------------------------------------


def test_outside_of_live_the_production_domain_is_edited(site, owner, settings):
    settings.SITEFLEET = LOCAL
    other = add_site("two", name="Two", domain="two.example.org")
    client = client_for(add_site("admin", domain="admin.example.org"))
    client.force_login(owner)
    page = client.get(change_url(other))
    assert page.context["adminform"].form.initial["domain"] == "two.example.org"
    assert '<a href="http://two.localhost:8000/"' in page.content.decode()
    assert (
        client.post(change_url(other), form_of(other, domain="zwei.example.org")).status_code == 302
    )
    config = get_config(other)
    assert config.production_domain == "zwei.example.org"
    assert Site.objects.get(pk=other.pk).domain == "two.localhost:8000"
    listed = client.get(LIST).content.decode()
    assert "zwei.example.org" in listed
    assert '<a href="http://two.localhost:8000/"' in listed


def test_a_site_without_a_domain_has_no_link_in_live(browser):
    later = add_site("later")
    assert "https://later" not in browser.get(LIST).content.decode()
    assert browser.get(change_url(later)).status_code == 200


# --- beside Django's own -----------------------------------------------------


def test_it_stands_in_for_the_admin_of_contrib():
    assert type(admin.site._registry[Site]) is SiteAdmin


SCRIPT = """
import django
from django.conf import settings

apps = ["admin", "auth", "contenttypes", "messages", "sessions", "sites"]
apps = [f"django.contrib.{{app}}" for app in apps]
settings.configure(INSTALLED_APPS={order}, DATABASES={{}})
django.setup()
from django.contrib import admin
from django.contrib.sites.models import Site

print(type(admin.site._registry[Site]).__module__)
"""


@pytest.mark.acceptance  # it starts three Pythons
def test_it_does_so_in_any_order_of_apps():
    orders = (
        '["sitefleet", *apps]',
        '[*apps, "sitefleet"]',
        'apps + ["sitefleet.apps.SitefleetConfig"]',
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(order=order)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for order in orders
    ]
    for process in processes:
        assert process.communicate(timeout=60) == ("sitefleet.admin\n", "")


def test_a_name_with_other_letters_is_found_in_either_spelling(browser, site):
    add_alias(site, "bücher.example")
    for query in ("bücher.example", "Bücher.example", "xn--bcher-kva"):
        listed = browser.get(LIST, {"q": query}).context["cl"].queryset
        assert [found.pk for found in listed] == [site.pk], query
    assert not browser.get(LIST, {"q": "büch.example"}).context["cl"].queryset
