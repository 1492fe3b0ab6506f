"""Mode and options of a site in the admin: superusers change them, others see them."""

import pytest
from django.contrib.auth.models import Permission, User

from sitefleet.models import SiteConfig
from sitefleet.registry import configure_site, get_config
from sitefleet.test import client_for
from tests.admin_forms import LIST, change_url, form_of

SERVING = {"options": {"timeout": 60}, "environment": ["FLAVOUR"]}


@pytest.fixture(autouse=True)
def conf(settings):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "SERVING": SERVING}


@pytest.fixture
def browser(site):
    browser = client_for(site)
    browser.force_login(User.objects.create_superuser("root"))
    return browser


@pytest.fixture
def editor(site):
    editor = User.objects.create_user("editor", is_staff=True)
    editor.user_permissions.set(
        Permission.objects.filter(content_type__model__in=["site", "alias"])
    )
    browser = client_for(site)
    browser.force_login(editor)
    return browser


def served(site):
    config = get_config(site)
    return config.mode, config.serving


def test_each_field_is_saved_and_shown_again(browser, site):
    sent = {
        "mode": "dedicated",
        "serving_workers": "5",
        "serving_interface": "asgi",
        "serving_warm_up": "/\r\n/news/",
        "serving_environment": "FLAVOUR=mild",
    }
    response = browser.post(change_url(site), form_of(site, **sent))
    assert response.status_code == 302, response.context["adminform"].form.errors
    own = {
        "workers": 5,
        "interface": "asgi",
        "warm_up": ["/", "/news/"],
        "environment": {"FLAVOUR": "mild"},
    }
    assert served(site) == ("dedicated", own)
    form = browser.get(change_url(site)).context["adminform"].form
    shown = {name: form.initial.get(name) for name in sent}
    assert shown == sent | {"serving_warm_up": "/\n/news/"}
    browser.post(change_url(site), form_of(site, **shown))
    assert served(site) == ("dedicated", own)


def test_an_emptied_field_gives_the_projects_value_back(browser, site):
    configure_site(site, mode="dedicated", serving={"workers": 5, "idle": 9})
    browser.post(change_url(site), form_of(site, serving_idle="9"))
    assert served(site) == ("", {"idle": 9})


def test_the_projects_value_is_the_hint(browser, site):
    page = browser.get(change_url(site)).content.decode()
    assert 'placeholder="60"' in page
    assert 'placeholder="none"' in page
    assert "the project&#x27;s: shared" in page


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("serving_workers", "65", "from 1 to 64"),
        ("serving_workers", "many", "whole number"),
        ("serving_warm_up", "news", "at most 50 paths"),
        ("serving_warm_up", "news", "one on each line"),
        ("serving_environment", "=mild", "one variable on each line"),
        ("serving_environment", "PATH=/tmp", "cannot set PATH"),
        ("serving_environment", "TASTE=x", "does not list it"),
        ("mode", "forked", "not one of the available choices"),
    ],
)
def test_what_cannot_be_is_told_at_its_field(browser, site, field, value, said):
    response = browser.post(change_url(site), form_of(site, **{field: value}))
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert said in str(errors[field])
    assert served(site) == ("", {})


def test_who_is_no_superuser_sees_it_and_changes_nothing(editor, site):
    configure_site(site, mode="dedicated", serving={"workers": 5, "warm_up": ["/", "/<i>/"]})
    page = editor.get(change_url(site))
    text = page.content.decode()
    assert "<div>workers: 5</div>" in text
    assert "<div>warm_up: / /&lt;i&gt;/</div>" in text
    assert "serving_workers" not in page.context["adminform"].form.fields
    sent = form_of(site, name="Renamed", mode="shared", serving_workers="64")
    assert editor.post(change_url(site), sent).status_code == 302
    assert served(site) == ("dedicated", {"workers": 5, "warm_up": ["/", "/<i>/"]})
    assert get_config(site).site.name == "Renamed"


def test_what_raw_sql_has_put_there_keeps_nobody_from_the_form(browser, site):
    rows = SiteConfig.objects.filter(pk=site.pk)
    rows.update(mode="forked", serving={"workers": "5; rm", "idle": 7})
    assert browser.get(change_url(site)).status_code == 200
    assert browser.post(change_url(site), form_of(site, serving_idle="8")).status_code == 302
    assert get_config(site).serving == {"idle": 8}


def test_a_site_is_added_with_it(browser):
    data = form_of(mode="dedicated", serving_workers="3")
    assert browser.post(f"{LIST}add/", data).status_code == 302
    config = SiteConfig.objects.get(slug="new")
    assert (config.mode, config.serving) == ("dedicated", {"workers": 3})


def test_the_list_shows_the_mode_where_the_project_serves(browser, site, settings):
    configure_site(site, mode="dedicated")
    assert '<td class="field-mode">dedicated</td>' in browser.get(LIST).content.decode()
    settings.SITEFLEET = {"FRESHNESS": 0.0}
    assert "field-mode" not in browser.get(LIST).content.decode()


def test_numbers_are_explained_with_their_range(browser, site):
    page = browser.get(change_url(site)).content.decode()
    assert "Processes at most: 1 to 64." in page
    assert "given up: 1 to 86400." in page


def test_the_value_of_a_variable_may_have_spaces(browser, site):
    sent = form_of(site, serving_environment="FLAVOUR=very mild")
    assert browser.post(change_url(site), sent).status_code == 302
    assert served(site)[1] == {"environment": {"FLAVOUR": "very mild"}}


@pytest.mark.parametrize(("default", "dedicated"), [("shared", {"one"}), ("dedicated", {"two"})])
@pytest.mark.usefixtures("other_site")
def test_the_list_can_be_filtered_by_mode(browser, site, settings, default, dedicated):
    configure_site(site, mode="dedicated" if default == "shared" else "shared")
    settings.SITEFLEET = {"FRESHNESS": 0.0, "SERVING": {"mode": default}}

    def listed(query):
        found = browser.get(f"{LIST}?{query}").context["cl"].queryset
        return {one.siteconfig.slug for one in found}

    assert listed("mode=dedicated") == dedicated
    assert listed("mode=shared") == {"one", "two"} - dedicated
    assert listed("") == {"one", "two"}
    settings.SITEFLEET = {"FRESHNESS": 0.0}
    assert "mode" not in [spec.title for spec in browser.get(LIST).context["cl"].filter_specs]


def test_a_variable_that_is_listed_no_more_keeps_nobody_from_the_form(browser, site, settings):
    configure_site(site, serving={"environment": {"FLAVOUR": "mild"}})
    settings.SITEFLEET = {"FRESHNESS": 0.0}
    sent = {"serving_environment": "FLAVOUR=mild", "serving_workers": "3"}
    response = browser.post(change_url(site), form_of(site, state="maintenance", **sent))
    assert response.status_code == 302, response.context["adminform"].form.errors
    config = get_config(site)
    assert (config.state, config.serving["workers"]) == ("maintenance", 3)
    assert config.serving["environment"] == {"FLAVOUR": "mild"}
    sent["serving_environment"] = "FLAVOUR=hot"
    response = browser.post(change_url(site), form_of(site, state="maintenance", **sent))
    assert "does not list it" in str(response.context["adminform"].form.errors)
