"""Declared settings follow the site, read through `django.conf.settings` as ever."""

import asyncio
import copy
import datetime as dt
import gc
import logging
import pickle

import pytest
from asgiref.sync import sync_to_async
from django.conf import LazySettings, settings
from django.core import checks
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import JsonResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path

from sitefleet.current import override_site
from sitefleet.models import SiteConfig
from sitefleet.presented import Stored, shown
from sitefleet.registry import add_site, configure_site, get_config
from sitefleet.resolver import resolver
from sitefleet.test import client_for
from tests.asgi import ask

DECLARED = {
    "OPENS": {"type": "date", "default": None},
    "ITEMS": {"type": "int", "default": 3, "min": 0},
    "COLOUR": {"type": "choice", "choices": ["red", "blue"]},
    "WORDS": {"type": "list", "default": ["a"]},
    "SITE_TITLE": {"type": "str"},
    "DEFAULT_FROM_EMAIL": {},
}
FLEET = {"FRESHNESS": 0.0, "SITE_SETTINGS": DECLARED}


def read(request):
    return JsonResponse({"items": settings.ITEMS, "colour": getattr(settings, "COLOUR", "none")})


async def async_read(request):
    await asyncio.sleep(0)
    seen = [settings.ITEMS, await sync_to_async(lambda: settings.ITEMS)()]
    seen += await asyncio.gather(*(later() for _ in range(3)))
    return JsonResponse({"seen": sorted(set(seen))})


async def later():
    await asyncio.sleep(0)
    return settings.ITEMS


def stream(request):
    return StreamingHttpResponse(f"{settings.ITEMS} " for _ in range(3))


class Urls:
    urlpatterns = [
        path("read/", read),
        path("async/", async_read),
        path("stream/", stream),
    ]


@pytest.fixture(autouse=True)
def declared():
    with override_settings(SITEFLEET=FLEET, ROOT_URLCONF=Urls):
        yield


# --- where the value comes from ----------------------------------------------


def test_the_value_is_the_sites_else_the_projects_else_the_default(site, other_site):
    configure_site(site, settings={"ITEMS": 5})
    with override_site(site):
        assert settings.ITEMS == 5
    with override_site(other_site):
        assert settings.ITEMS == 3
        with override_settings(ITEMS=4):
            assert settings.ITEMS == 4
    assert settings.ITEMS == 3


def test_without_any_value_there_is_no_such_setting(site, other_site):
    configure_site(site, settings={"SITE_TITLE": "One"})
    with override_site(other_site):
        assert not hasattr(settings, "SITE_TITLE")
        assert getattr(settings, "SITE_TITLE", "none") == "none"
        with pytest.raises(AttributeError, match="SITE_TITLE"):
            _ = settings.SITE_TITLE
        with override_settings(SITE_TITLE="of the project"):
            assert settings.SITE_TITLE == "of the project"
    with override_site(site):
        assert hasattr(settings, "SITE_TITLE")
        assert settings.SITE_TITLE == "One"


def test_an_own_value_may_be_empty(site):
    configure_site(site, settings={"SITE_TITLE": "", "ITEMS": 0, "WORDS": []})
    with override_site(site), override_settings(SITE_TITLE="of the project", ITEMS=9):
        assert (settings.SITE_TITLE, settings.ITEMS, settings.WORDS) == ("", 0, [])


def test_values_are_of_their_true_type(site):
    day = dt.date(2026, 5, 17)
    configure_site(site, settings={"OPENS": day, "ITEMS": 5, "WORDS": ["x"], "COLOUR": "red"})
    with override_site(site):
        assert day == settings.OPENS
        assert type(settings.OPENS) is dt.date
        assert type(settings.ITEMS) is int
        assert type(settings.WORDS) is list
        assert type(settings.COLOUR) is str


def test_the_default_site_counts_where_it_was_entered(site):
    configure_site(site, settings={"ITEMS": 5})
    with override_settings(SITE_ID=site.pk):
        assert settings.ITEMS == 3
        with override_site(site):
            assert settings.ITEMS == 5


def test_another_sites_value_is_read_by_entering_it(site, other_site):
    configure_site(site, settings={"ITEMS": 5})
    with override_site(other_site):
        with override_site(site):
            assert settings.ITEMS == 5
        assert settings.ITEMS == 3


# --- as any setting ----------------------------------------------------------


def test_assignment_and_override_change_what_the_project_has(site, other_site):
    configure_site(site, settings={"ITEMS": 5})
    with override_site(other_site):
        with override_settings():
            settings.ITEMS = 7
            assert settings.ITEMS == 7
            with override_site(site):
                assert settings.ITEMS == 5
            del settings.ITEMS
            assert settings.ITEMS == 3
        assert settings.ITEMS == 3
        with override_settings(ITEMS=8):
            assert settings.ITEMS == 8
        assert settings.ITEMS == 3


def test_a_setting_that_is_not_declared_costs_nothing_and_is_left_alone():
    assert not isinstance(vars(LazySettings).get("USE_TZ"), property)
    names = {name for name, value in vars(LazySettings).items() if isinstance(value, property)}
    assert names >= set(DECLARED)
    with override_settings(SITEFLEET={}):
        names = {name for name, value in vars(LazySettings).items() if isinstance(value, property)}
        assert not names & set(DECLARED)
        assert not hasattr(settings, "ITEMS")
        assert settings.DEFAULT_FROM_EMAIL == "webmaster@localhost"
    assert settings.ITEMS == 3


def test_a_test_may_declare_something_else(site):
    configure_site(site, settings={"ITEMS": 5})
    with override_site(site):
        with override_settings(SITEFLEET={"SITE_SETTINGS": {"OTHER": {"type": "str"}}}):
            assert not hasattr(settings, "ITEMS")
            assert not hasattr(settings, "OTHER")
        assert settings.ITEMS == 5
        changed = {"SITE_SETTINGS": DECLARED | {"ITEMS": {"type": "int", "default": 4, "max": 4}}}
        with override_settings(SITEFLEET=changed):
            assert settings.ITEMS == 4  # the site's 5 is too many now
        assert settings.ITEMS == 5


def test_with_wrong_settings_nothing_follows_and_nothing_breaks():
    with override_settings(SITEFLEET=FLEET | {"SCHEME": "gopher"}):
        assert not hasattr(settings, "ITEMS")
        assert settings.DEFAULT_FROM_EMAIL == "webmaster@localhost"
    with override_settings(SITEFLEET={"SITE_SETTINGS": {"SECRET_KEY": {"type": "str"}}}):
        assert settings.SECRET_KEY == "not a secret"


# --- requests ----------------------------------------------------------------


def test_each_request_reads_its_own_site(site, other_site):
    configure_site(site, settings={"ITEMS": 5, "COLOUR": "red"})
    for _ in range(2):
        assert client_for(site).get("/read/").json() == {"items": 5, "colour": "red"}
        assert client_for(other_site).get("/read/").json() == {"items": 3, "colour": "none"}


async def test_each_async_request_reads_its_own_site(transactional_db):
    def prepare():
        site = add_site("one", domain="one.example.org")
        add_site("two", domain="two.example.org")
        configure_site(site, settings={"ITEMS": 5})

    await sync_to_async(prepare)()
    hosts = ["one.example.org", "two.example.org"] * 10
    answers = await asyncio.gather(*(ask(host, "/async/") for host in hosts))
    assert [answer.json()["seen"] for answer in answers] == [[5], [3]] * 10


def test_a_body_that_comes_later_reads_its_own_site(site, other_site):
    configure_site(site, settings={"ITEMS": 5})
    bodies = [client_for(each).get("/stream/").streaming_content for each in (site, other_site)]
    chunks = list(zip(*bodies, strict=True))
    assert chunks == [(b"5 ", b"3 ")] * 3


def test_a_change_is_seen_by_the_next_request(site):
    client = client_for(site)
    for items in (5, 6):
        configure_site(site, settings={"ITEMS": items})
        assert client.get("/read/").json()["items"] == items
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sitefleet_siteconfig SET settings = %s", ['{"ITEMS": 8}'])
    assert client.get("/read/").json()["items"] == 8
    configure_site(site, settings={"ITEMS": None})
    assert client.get("/read/").json()["items"] == 3


def test_a_look_asks_no_database_in_a_request(site):
    configure_site(site, settings={"ITEMS": 5})
    with override_settings(SITEFLEET=FLEET | {"FRESHNESS": 60.0}):
        client = client_for(site)
        client.get("/read/")
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/read/").json()["items"] == 5
        assert len(queries) == 0


#: With a list, so that Python's collector of garbage knows of dictionaries with them.
MARKED = {"ITEMS": 4711, "WORDS": ["b"]}


def copies_in_memory():
    """Return how many dictionaries hold the values of a site: as stored, as read, in its rows."""
    gc.collect()
    found = (kept for kept in gc.get_objects() if type(kept) in {dict, Stored})
    return sum(kept.get("ITEMS") == MARKED["ITEMS"] for kept in found) - 1  # without MARKED


def test_what_was_read_goes_with_what_it_was_read_from(site, other_site):
    configure_site(site, settings=MARKED)
    for generation in range(10):
        configure_site(other_site, settings={"SITE_TITLE": str(generation)})
        with override_site(site.pk):
            assert MARKED["ITEMS"] == settings.ITEMS
        assert client_for(site).get("/read/").json()["items"] == MARKED["ITEMS"]
    assert copies_in_memory() < 10


def test_made_up_ports_do_not_multiply_the_values_of_a_site(site):
    configure_site(site, settings=MARKED)
    with override_settings(SITEFLEET=FLEET | {"FRESHNESS": 60.0}):
        for port in range(8000, 8020):
            host = f"one.example.org:{port}"
            response = Client().get("/read/", headers={"host": host})
            assert response.json()["items"] == MARKED["ITEMS"]
            assert resolver.find(host).root is not resolver.find("one.example.org").root
        del response
        assert copies_in_memory() < 10


def test_a_site_can_be_copied_and_pickled_with_its_values(site):
    configure_site(site, settings={"ITEMS": 5})
    found = resolver.find("one.example.org").root.site
    with override_site(found):
        assert settings.ITEMS == 5
    for copied in (copy.deepcopy(found), copy.copy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301 - our own
        assert shown(copied) == shown(found)
        with override_site(copied):
            assert settings.ITEMS == 5


def test_no_site_can_change_the_default_for_all_others(site, other_site):
    with override_site(site):
        settings.WORDS.append("b")
        assert settings.WORDS == ["a"]
    with override_site(other_site):
        assert settings.WORDS == ["a"]


def test_values_that_raw_sql_nested_too_deep_stop_nothing(site, other_site):
    text = f'{{"DEEP": {"[" * 400}{"]" * 400}, "ITEMS": 5}}'
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sitefleet_siteconfig SET settings = %s WHERE site_id = %s", [text, site.pk]
        )
    resolver.reset()

    def deep(levels):
        return deep(levels - 1) if levels else list(SiteConfig.objects.order_by("pk"))

    config, _ = deep(200)
    config.state = "suspended"
    config.save()
    configure_site(site, settings={"ITEMS": 6})
    with override_site(site.pk):
        assert settings.ITEMS == 6
    declared = {"DEEP": {"type": "json", "default": 1}}
    with override_settings(SITEFLEET=FLEET | {"SITE_SETTINGS": declared}), override_site(site.pk):
        assert settings.DEEP == 1


def test_text_that_is_nested_deeper_than_python_reads_is_no_value():
    assert Stored.read("[" * 100_000) == Stored.read('["x"]') == Stored.read("{") == {}


# --- values that cannot be used ----------------------------------------------


@pytest.fixture
def junk(site):
    """The first site, with values that came in past validation."""
    stored = {"ITEMS": "many", "OPENS": "soon\nERROR forged", "COLOUR": "red", "GONE": 1}
    SiteConfig.objects.filter(pk=site.pk).update(settings=stored)
    resolver.reset()
    return site


def test_a_value_that_cannot_be_used_is_told_once_and_the_projects_counts(junk, caplog):
    caplog.set_level(logging.ERROR)
    for _ in range(3):
        with override_site(junk):
            assert settings.ITEMS == 3
            assert settings.OPENS is None
            assert settings.COLOUR == "red"
        resolver.reset()
    told = [record.getMessage() for record in caplog.records if record.name == "sitefleet"]
    assert len(told) == 2
    assert "The site one (id 1) has a value for ITEMS that cannot be used" in told[0]
    assert "'many' is not a whole number" in told[0]
    assert all("\n" not in line for line in told)


@pytest.mark.parametrize("stored", [[1, 2], "text", 5, None])
def test_settings_that_are_no_dictionary_are_none(site, stored):
    SiteConfig.objects.filter(pk=site.pk).update(settings=stored or {})
    if stored is None:
        SiteConfig.objects.filter(pk=site.pk).update(settings={"ITEMS": None})
    resolver.reset()
    with override_site(site):
        assert settings.ITEMS == 3


def test_values_of_names_that_are_not_declared_now_are_kept(junk):
    with override_settings(SITEFLEET={"SITE_SETTINGS": {"COLOUR": DECLARED["COLOUR"]}}):
        configure_site(junk, settings={"COLOUR": "blue"})
        stored = get_config(junk).settings
    assert stored == {"ITEMS": "many", "OPENS": "soon\nERROR forged", "COLOUR": "blue", "GONE": 1}


def test_what_is_given_is_validated(site):
    for settings_given in ({"ITEMS": -1}, {"COLOUR": "green"}, {"OPENS": "soon"}):
        with pytest.raises(ValidationError) as caught:
            configure_site(site, settings=settings_given)
        assert list(caught.value.message_dict) == ["settings"]
    assert get_config(site).settings == {}


# --- checks ------------------------------------------------------------------


def found(**options):
    messages = checks.run_checks(**options)
    ours = ("E341", "E342", "E343", "W348", "W349")
    return [message for message in messages if message.id[-4:] in ours]


def test_declarations_and_values_that_are_fine_are_not_reported(site):
    configure_site(site, settings={"ITEMS": 5})
    assert found(databases=["default"]) == []


@pytest.mark.parametrize(
    ("name", "spec", "mistake"),
    [
        ("OPENS", {"type": "dat"}, "E341"),
        ("DEBUG", {"type": "bool"}, "E342"),
        ("STRIPE_KEY", {"type": "str"}, "E343"),
    ],
)
def test_a_declaration_that_cannot_work_is_an_error_with_a_hint(name, spec, mistake):
    with override_settings(SITEFLEET={"SITE_SETTINGS": {name: spec}}):
        (message,) = found()
    assert message.id == f"sitefleet.{mistake}"
    assert message.level == checks.ERROR
    assert name in message.msg
    assert message.hint


@pytest.mark.parametrize(("value", "count"), [("many", 1), (-1, 1), ([], 1), (5, 0), (None, 0)])
def test_a_value_of_the_project_that_is_of_another_type_is_reported(value, count):
    with override_settings(ITEMS=value):
        messages = found()
    assert [message.id for message in messages] == ["sitefleet.W349"] * count
    assert all("ITEMS of the project" in message.msg and message.hint for message in messages)


@pytest.mark.parametrize(("value", "count"), [("green", 0), (5, 1)])
def test_what_the_project_has_need_not_be_a_choice_of_sites(value, count):
    with override_settings(COLOUR=value):
        assert len(found()) == count
    declared = {"SITE_SETTINGS": {"LANGUAGE_CODE": {}}}
    with override_settings(SITEFLEET=declared, LANGUAGE_CODE="en-us"):
        assert found() == []


def test_values_that_cannot_be_used_are_listed_by_the_database_check(junk):
    messages = found(databases=["default"])
    assert [message.id for message in messages] == ["sitefleet.W348"] * 2
    assert "The site one has a value for ITEMS that cannot be used" in messages[0].msg
    assert "OPENS" in messages[1].hint
    assert found() == []


def test_with_wrong_settings_the_checks_leave_it_to_the_first_of_them(site):
    with override_settings(SITEFLEET={"SITE_SETTINGS": {"opens": {}}}):
        assert found(databases=["default"]) == []
