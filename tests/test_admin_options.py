"""What follows a site, edited in the admin: its theme, its URLconf, its own values of settings."""

import datetime as dt
import re
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.test import override_settings

from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.registry import add_site, configure_site, get_config
from sitefleet.test import client_for
from tests.admin_forms import LIST, change_url, form_of

#: Pages of the admin take seconds: the default tests have a minute.
pytestmark = pytest.mark.acceptance

DECLARED = {
    "SITE_TITLE": {"type": "str", "label": "Title", "help": "At the top.", "default": "<b>Us</b>"},
    "ABOUT": {"type": "text"},
    "ITEMS": {"type": "int", "default": 3, "min": 0, "max": 9},
    "RATIO": {"type": "float"},
    "PRICE": {"type": "decimal", "decimal_places": 2},
    "SHOP": {"type": "bool", "default": True},
    "OPENS": {"type": "date", "default": None},
    "STARTS": {"type": "datetime"},
    "DAILY": {"type": "time"},
    "STAY": {"type": "duration"},
    "CONTACT": {"type": "email"},
    "HOME": {"type": "url"},
    "COLOUR": {"type": "choice", "choices": [("red", "Red as <i>"), "blue"], "default": "red"},
    "WORDS": {"type": "list", "default": ["a", "b"]},
    "LANGUAGE_CODE": {},
    "TIME_ZONE": {},
    "EXTRA": {"type": "json"},
    "TAG": {"field": "django.forms.SlugField", "label": "Tag"},
}
SENT = {
    "SITE_TITLE": (" One ", " One "),
    "ABOUT": ("a\r\nb", "a\nb"),
    "ITEMS": ("5", 5),
    "RATIO": ("1.5", 1.5),
    "PRICE": ("1.50", "1.50"),
    "SHOP": ("False", False),
    "OPENS": ("2026-05-17", "2026-05-17"),
    "DAILY": ("18:30", "18:30:00"),
    "STAY": ("3 04:05:06", "P3DT04H05M06S"),
    "CONTACT": ("One <one@example.org>", "One <one@example.org>"),
    "HOME": ("example.org", "https://example.org"),
    "COLOUR": ("blue", "blue"),
    "WORDS": ("x\r\n\r\ny", ["x", "y"]),
    "LANGUAGE_CODE": ("de", "de"),
    "TIME_ZONE": ("Africa/Accra", "Africa/Accra"),
    "EXTRA": ('{"a": [1]}', {"a": [1]}),
    "TAG": ("a-b", "a-b"),
}


#: Enough for what is not about types.
FEW = {name: DECLARED[name] for name in ("SITE_TITLE", "ITEMS", "SHOP", "WORDS", "TAG")}


@pytest.fixture
def all_types(declared):
    with override_settings(SITEFLEET=declared | {"SITE_SETTINGS": DECLARED}):
        yield


@pytest.fixture(autouse=True)
def declared(tmp_path):
    for name in ("sun", "moon"):
        (tmp_path / name).mkdir()
    fleet = {
        "FRESHNESS": 0.0,
        "SITE_SETTINGS": FEW | {"LANGUAGE_CODE": {}},
        "THEME_DIRS": [tmp_path],
        "URLCONFS": ["tests.urls"],
    }
    with override_settings(SITEFLEET=fleet):
        yield fleet


@pytest.fixture
def browser(site):
    """The browser of the owner on the first site."""
    client = client_for(site)
    client.force_login(User.objects.create_superuser("owner"))
    return client


def named(**values):
    return {f"setting_{name}": value for name, value in values.items()}


def shown(response):
    """Return the form of a page, as the browser would send it back."""
    form = response.context["adminform"].form
    sent = {}
    for name, field in form.fields.items():
        bound = form[name]
        context = field.widget.get_context(bound.html_name, bound.value(), {})["widget"]
        for widget in context.get("subwidgets", [context]):
            value = widget["value"]
            value = value[0] if isinstance(value, list) else value
            sent[widget["name"]] = "" if value is None else str(value)
    return sent


def own(site):
    return get_config(site).settings


# --- values ------------------------------------------------------------------


@pytest.mark.usefixtures("all_types")
def test_there_is_a_field_for_each_declared_setting(browser, site):
    page = browser.get(change_url(site))
    form = page.context["adminform"].form
    fields = [name for name in form.fields if name.startswith("setting_")]
    assert fields == [f"setting_{name}" for name in DECLARED]
    text = page.content.decode()
    assert "Settings of this site" in text
    for words in ("Title", "At the top.", "Tag", "STARTS"):
        assert words in text


@pytest.mark.usefixtures("all_types")
def test_an_empty_field_tells_the_value_of_the_project(browser, site):
    with override_settings(CONTACT='all "of us" <us@example.org>'):
        text = browser.get(change_url(site)).content.decode()
    placeholders = [unescape(found) for found in re.findall(r'placeholder="([^"]*)"', text)]
    for value in ("<b>Us</b>", "3", "a, b", 'all "of us" <us@example.org>'):
        assert f"The project's: {value}" in placeholders
    assert "The project has none" in placeholders
    assert "The project has none." in text  # beside the narrow fields of a date
    assert "One on each line." in text
    first = [unescape(found) for found in re.findall(r'<option value=""[^>]*>([^<]*)<', text)]
    for value in ("Yes", "Red as <i>", "en-us", "America/Chicago"):
        assert f"The project's: {value}" in first
    assert "<b>Us</b>" not in text
    assert "Red as <i>" not in text


@pytest.mark.usefixtures("all_types")
def test_each_type_is_saved_as_what_it_is(browser, site):
    sent = named(**{name: value for name, (value, _) in SENT.items()})
    sent |= {"setting_STARTS_0": "2026-05-17", "setting_STARTS_1": "13:00"}
    with override_settings(TIME_ZONE="Africa/Accra"):
        response = browser.post(change_url(site), form_of(site, **sent))
    assert response.status_code == 302, response.context["adminform"].form.errors
    kept = {name: value for name, (_, value) in SENT.items()}
    assert own(site) == kept | {"STARTS": "2026-05-17T13:00:00+00:00"}


@pytest.mark.usefixtures("all_types")
def test_what_is_saved_is_shown_and_sent_back_unchanged(browser, site):
    values = {
        "OPENS": dt.date(2026, 5, 17),
        "STARTS": dt.datetime(2026, 5, 17, 13, 30, 15, 77, tzinfo=dt.UTC),
        "PRICE": Decimal("1.50"),
        "STAY": dt.timedelta(3, 5, 7),
        "ITEMS": 0,
        "SITE_TITLE": "",
        "WORDS": [],
        "SHOP": False,
    }
    values |= {name: value for name, (_, value) in SENT.items() if name not in values}
    configure_site(site, theme="sun", urlconf="tests.urls", settings=values)
    before = list(SiteConfig.objects.values())
    sent = shown(browser.get(change_url(site)))
    assert sent["theme"] == "sun"
    assert (sent["setting_ITEMS"], sent["setting_SHOP"]) == ("0", "False")
    response = browser.post(change_url(site), form_of(site, **sent))
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert list(SiteConfig.objects.values()) == before


def test_an_emptied_field_gives_the_projects_value_back(browser, site):
    configure_site(site, settings={"ITEMS": 5, "SHOP": False, "WORDS": ["x"], "TAG": "a"})
    sent = shown(browser.get(change_url(site))) | named(ITEMS="", SHOP="", WORDS="")
    assert browser.post(change_url(site), form_of(site, **sent)).status_code == 302
    assert own(site) == {"TAG": "a"}


def test_a_new_site_is_added_with_all_of_it(browser):
    data = form_of(slug="new", domain="new.example.org", theme="moon", urlconf="tests.urls")
    assert browser.post(f"{LIST}add/", data | named(ITEMS="5")).status_code == 302
    config = SiteConfig.objects.get(slug="new")
    assert (config.theme, config.urlconf, config.settings) == ("moon", "tests.urls", {"ITEMS": 5})


def test_the_next_request_sees_the_change(browser, site):
    with override_settings(DEFAULT_FROM_EMAIL="x@example.org"):
        browser.post(change_url(site), form_of(site, **named(LANGUAGE_CODE="de")))
        seen = client_for(get_site("one")).get("/cookies/").json()["language"]
    assert seen == "de"


WRONG = {
    "SITE_TITLE": ("a\nb", "control characters"),
    "ITEMS": ("10", "more than 9"),
    "RATIO": ("many", "Enter a number"),
    "PRICE": ("1.234", "no more than 2 decimal places"),
    "SHOP": ("perhaps", "Select a valid choice"),
    "OPENS": ("soon", "Enter a valid date"),
    "DAILY": ("25:00", "Enter a valid time"),
    "STAY": ("long", "Enter a valid duration"),
    "CONTACT": ("A <a@example.org>, b@example.org", "not a mail address"),
    "HOME": ("https://joe:secret@example.org/", "a user or a password"),
    "COLOUR": ("green", "Select a valid choice"),
    "WORDS": ("a\x07b", "control characters"),
    "LANGUAGE_CODE": ("xx", "Select a valid choice"),
    "TIME_ZONE": ("Ghana", "Select a valid choice"),
    "EXTRA": ("{", "Enter a valid JSON"),
    "TAG": ("a b", "valid “slug”"),
}


@pytest.mark.usefixtures("all_types")
def test_what_cannot_be_is_told_beside_its_field_and_nothing_is_saved(browser, site):
    before = list(SiteConfig.objects.values())
    sent = named(**{name: value for name, (value, _) in WRONG.items()})
    sent |= {"setting_STARTS_0": "2026-05-17", "setting_STARTS_1": ""}
    response = browser.post(change_url(site), form_of(site, name="Other", **sent))
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    reasons = {name: reason for name, (_, reason) in WRONG.items()}
    reasons["STARTS"] = "Enter a valid time"
    assert errors.keys() == named(**reasons).keys()
    for name, reason in reasons.items():
        assert reason in errors[f"setting_{name}"][0]
    assert list(SiteConfig.objects.values()) == before


# --- what is not declared, or not good any more ------------------------------


def test_values_of_names_that_are_not_declared_survive(browser, site, declared):
    configure_site(site, settings={"ITEMS": 5, "TAG": "a"})
    fewer = declared | {"SITE_SETTINGS": {"ITEMS": {"type": "int"}}}
    with override_settings(SITEFLEET=fewer):
        sent = shown(browser.get(change_url(site)))
        assert "setting_TAG" not in sent
        changed = form_of(site, **sent | named(ITEMS="6"))
        assert browser.post(change_url(site), changed).status_code == 302
    assert own(site) == {"ITEMS": 6, "TAG": "a"}


def test_a_stored_value_that_cannot_be_used_is_told_and_stays_until_it_is_replaced(browser, site):
    SiteConfig.objects.filter(pk=site.pk).update(settings={"ITEMS": "<many>"})
    page = browser.get(change_url(site))
    text = page.content.decode()
    assert "What is stored for it cannot be used: &#x27;&lt;many&gt;&#x27;" in text
    assert shown(page)["setting_ITEMS"] == ""
    renamed = form_of(site, **shown(page) | {"name": "Other"})
    assert browser.post(change_url(site), renamed).status_code == 302
    assert own(site) == {"ITEMS": "<many>"}
    replaced = form_of(site, **shown(page) | named(ITEMS="5"))
    assert browser.post(change_url(site), replaced).status_code == 302
    assert own(site) == {"ITEMS": 5}


def test_without_declarations_there_is_no_such_part(browser, site):
    with override_settings(SITEFLEET={}):
        page = browser.get(change_url(site))
    assert "Settings of this site" not in page.content.decode()
    fields = page.context["adminform"].form.fields
    assert [name for name in fields if not name.startswith("serving_")] == [
        "name",
        "slug",
        "domain",
        "path_prefix",
        "state",
        "mode",
    ]


def test_many_settings_are_folded_away_unless_one_is_wrong(browser, site, declared):
    many = {f"SETTING_{number}": {"type": "int"} for number in range(40)}
    with override_settings(SITEFLEET=declared | {"SITE_SETTINGS": many}):
        assert folded(browser.get(change_url(site))) == 2  # these, and how the site is served
        wrong = form_of(site, **named(SETTING_39="x"))
        response = browser.post(change_url(site), wrong)
        assert folded(response) == 1
        assert list(response.context["adminform"].form.errors) == ["setting_SETTING_39"]
    few = {"ITEMS": {"type": "int"}}
    with override_settings(SITEFLEET=declared | {"SITE_SETTINGS": few}):
        assert folded(browser.get(change_url(site))) == 1


def folded(response):
    return response.content.decode().count("<details>")


# --- theme and URLconf -------------------------------------------------------


def choices(page, name):
    return [
        (str(value), str(label))
        for value, label in page.context["adminform"].form[name].field.choices
    ]


def test_themes_on_disk_and_urlconfs_of_the_settings_can_be_chosen(browser, site):
    page = browser.get(change_url(site))
    assert choices(page, "theme") == [("", "none"), ("moon", "moon"), ("sun", "sun")]
    assert choices(page, "urlconf") == [("", "the project's"), ("tests.urls", "tests.urls")]
    data = form_of(site, theme="moon", urlconf="tests.urls")
    assert browser.post(change_url(site), data).status_code == 302
    config = get_config(site)
    assert (config.theme, config.urlconf) == ("moon", "tests.urls")
    browser.post(change_url(site), form_of(site, theme="", urlconf=""))
    config = get_config(site)
    assert (config.theme, config.urlconf) == ("", "")


@pytest.mark.parametrize("field", ["theme", "urlconf"])
def test_what_is_no_choice_is_refused(browser, site, field):
    response = browser.post(change_url(site), form_of(site, **{field: "other"}))
    assert list(response.context["adminform"].form.errors) == [field]


def test_a_theme_that_is_gone_stays_until_another_is_chosen(browser, site):
    configure_site(site, theme="gone")
    page = browser.get(change_url(site))
    assert ("gone", "gone (missing)") in choices(page, "theme")
    data = form_of(site, **shown(page) | {"name": "Other"})
    assert browser.post(change_url(site), data).status_code == 302
    assert get_config(site).theme == "gone"
    browser.post(change_url(site), form_of(site, theme="sun"))
    assert get_config(site).theme == "sun"


def test_a_urlconf_that_is_gone_stays_until_another_is_chosen(browser, other_site):
    SiteConfig.objects.filter(pk=other_site.pk).update(urlconf="gone.urls")
    page = browser.get(change_url(other_site))
    assert ("gone.urls", "gone.urls (missing)") in choices(page, "urlconf")
    data = form_of(other_site, **shown(page) | {"name": "Other", "state": "suspended"})
    assert browser.post(change_url(other_site), data).status_code == 302
    config = get_config(other_site)
    assert (config.urlconf, config.state) == ("gone.urls", "suspended")
    browser.post(change_url(other_site), form_of(other_site, urlconf="tests.urls"))
    assert get_config(other_site).urlconf == "tests.urls"


# --- who may -----------------------------------------------------------------


@pytest.fixture
def viewer(site):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_site"))
    client = client_for(site)
    client.force_login(user)
    return client


def test_who_may_only_look_sees_the_values_and_changes_none(viewer, site):
    configure_site(
        site,
        theme="sun",
        urlconf="tests.urls",
        settings={"SITE_TITLE": "<i>One</i>", "SHOP": False},
    )
    text = viewer.get(change_url(site)).content.decode()
    for words in ("sun", "tests.urls", "Title: &lt;i&gt;One&lt;/i&gt;", "SHOP: No"):
        assert words in text
    assert "setting_" not in text
    assert viewer.post(change_url(site), form_of(site, **named(ITEMS="5"))).status_code == 403
    assert own(site) == {"SITE_TITLE": "<i>One</i>", "SHOP": False}


def test_who_may_only_look_sees_that_there_are_none(viewer):
    other = add_site("plain", domain="plain.example.org", path_prefix="/x")
    text = viewer.get(change_url(other)).content.decode()
    assert "/x" in text
    assert viewer.get(f"{LIST}add/").status_code == 403


def test_the_log_of_the_admin_names_just_what_was_changed(browser, site):
    configure_site(site, settings={"SHOP": True, "ITEMS": 5, "WORDS": ["a"]})
    sent = shown(browser.get(change_url(site))) | named(ITEMS="6")
    browser.post(change_url(site), form_of(site, **sent))
    (entry,) = User.objects.get(username="owner").logentry_set.all()
    assert entry.get_change_message() == "Changed ITEMS."
