"""Models of SCOPED_MODELS get a site, unmodified; what keeps them from it is said."""

from copy import copy

import pytest
from django import forms
from django.apps import apps
from django.contrib.sites.models import Site
from django.core import serializers
from django.db import connection, models
from django.test import override_settings
from rest_framework.serializers import ModelSerializer

from sitefleet import override_site
from sitefleet.conf import find_problems
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.registry import add_site
from sitefleet.scoping import SiteField, cross_site
from sitefleet.scoping.outside import checks as outside_checks
from sitefleet.scoping.outside import scoped_models, specs
from sitefleet.scoping.outside.writer import Changes
from sitefleet.scoping.scopes import Kind, scopes


@pytest.fixture
def made():
    """Make models of the app ``rooms`` as its module would, and forget them afterwards."""
    names = set(apps.all_models["rooms"])

    def make(called, bases=(models.Model,), **body):
        return type(called, bases, {"__module__": "tests.rooms.models", **body})

    yield make
    for name in set(apps.all_models["rooms"]) - names:
        del apps.all_models["rooms"][name]
    apps.clear_cache()
    for label in ("rooms.talk", "rooms.stand"):
        scopes.withdraw(label)


@pytest.fixture
def scope(settings):
    def name(*labels, **options):
        named = {f"rooms.{label}": options for label in labels}
        settings.SITEFLEET = {**settings.SITEFLEET, "SCOPED_MODELS": named}

    return name


@pytest.fixture
def talk(made, scope):
    scope("Talk")
    return made(
        "Talk",
        title=models.CharField(max_length=20),
        chosen=type("Chosen", (models.Manager,), {"use_in_migrations": True})(),
        Meta=type("Meta", (), {"base_manager_name": "chosen", "default_manager_name": "chosen"}),
    )


@pytest.fixture
def tables(transactional_db, talk, settings):
    settings.SITE_ID = None
    with connection.schema_editor() as editor:
        editor.create_model(talk)
    yield [add_site(slug, domain=f"{slug}.example.org", name=slug) for slug in ("a", "b")]
    with connection.schema_editor() as editor:
        editor.delete_model(talk)


def names(model):
    return [field.name for field in model._meta.concrete_fields]


def test_the_field_is_the_last_and_has_no_reverse_name(talk):
    assert names(talk) == ["id", "title", "site"]
    assert talk(7, "positions stay").title == "positions stay"
    field = talk._meta.get_field("site")
    assert isinstance(field, SiteField)
    assert (field.null, field.editable, field.db_index) == (False, False, True)
    assert not [
        relation for relation in Site._meta.related_objects if relation.related_model is talk
    ]
    assert "site" not in forms.modelform_factory(talk, fields="__all__").base_fields


def test_rows_of_a_model_that_is_made_late_are_guarded(tables, talk):
    assert scopes.of(talk).kind is Kind.OWN
    a, b = tables
    with pytest.raises(SiteRequired):
        talk.chosen.count()
    with override_site(a):
        talk.chosen.create(title="A")
        mine = talk.chosen.get()
        assert mine.site_id == a.pk
        old = copy(mine)  # the way of pickle
        assert old.site_id == a.pk
        del old.__dict__["site_id"]  # as it was pickled before
        old.save()
    with override_site(b):
        assert not talk.chosen.exists()
        with pytest.raises(CrossSiteWrite):
            mine.save()


def test_fixtures_of_before_are_loaded_for_the_current_site(tables, talk):
    before = '[{"model": "rooms.talk", "pk": 1, "fields": {"title": "old"}}]'
    with override_site(tables[1]):
        for each in serializers.deserialize("json", before):
            each.save()
        assert talk.chosen.get().site_id == tables[1].pk
    for each in serializers.deserialize("json", before.replace(": 1", ": 2")):
        with pytest.raises(SiteRequired):
            each.save()


def test_a_proxy_stands_for_the_model_that_it_shows(made, scope):
    scope("Short")
    talk = made("Talk", title=models.CharField(max_length=20))
    assert names(talk) == ["id", "title"]
    short = made("Short", (talk,), Meta=type("Meta", (), {"proxy": True}))
    assert names(talk) == names(short) == ["id", "title", "site"]
    assert [model for model, _ in scoped_models()] == [talk]
    assert not outside_checks.check_models()


def test_a_child_table_goes_with_its_parent(made, scope):
    scope("Talk", "Keynote")
    talk = made("Talk", title=models.CharField(max_length=20))
    keynote = made("Keynote", (talk,), fee=models.IntegerField())
    assert [field.name for field in keynote._meta.local_fields] == ["talk_ptr", "fee"]
    assert scopes.of(keynote).kind is Kind.PATH
    assert not outside_checks.check_models()


def test_what_goes_between_follows_by_itself(made, scope):
    scope("Talk")
    stand = made("Stand", name=models.CharField(max_length=9))
    talk = made("Talk", stands=models.ManyToManyField(stand))
    scopes.find()
    assert scopes.of(talk.stands.through).kind is Kind.PATH


def test_shared_rows_are_of_all_sites(made, scope):
    scope("Talk", shared=True)
    talk = made("Talk", title=models.CharField(max_length=20))
    assert talk._meta.get_field("site").null
    assert scopes.of(talk).kind is Kind.SHARED


def test_a_site_that_upstream_has_is_declared(made, scope):
    scope("Talk", add=False, field="place")
    talk = made("Talk", place=models.ForeignKey(Site, models.CASCADE, related_name="+"))
    assert names(talk) == ["id", "place"]
    assert scopes.of(talk).field == "place"
    assert not outside_checks.check_models()


def test_models_of_migrations_are_left_alone(scope):
    scope("Talk")
    state = apps.__class__(())
    body = {"__module__": "x", "Meta": type("Meta", (), {"apps": state, "app_label": "rooms"})}
    assert names(type("Talk", (models.Model,), body)) == ["id"]


@pytest.mark.parametrize("value", [3, ["talk"], {"talks.Talk": {"site": 1}}, {"rooms.Talk": 3}])
def test_settings_that_cannot_be_used_are_told_by_their_own_check(made, settings, value):
    settings.SITEFLEET = {"SCOPED_MODELS": value}
    assert names(made("Talk")) == ["id"]
    assert specs() == {}
    assert not outside_checks.check_models()
    assert not outside_checks.check_migrations()


def told(check=outside_checks.check_models):
    (message,) = check()
    return message.id, message.msg + " " + message.hint


def of(*labels, **options):
    return override_settings(SITEFLEET={"SCOPED_MODELS": dict.fromkeys(labels, options)})


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("rooms.Rom", "Did you mean 'rooms.Room'"),
        ("room.Room", "Did you mean 'rooms.Room'"),
        ("shop.Order", "INSTALLED_APPS"),
        ("rooms.Zzz", "It has rooms.Person"),
        ("rooms.SiteModel", "inherit"),
    ],
)
def test_a_model_that_does_not_exist_is_told(label, hint):
    with of(label):
        identity, text = told()
        assert identity == "sitefleet.E411"
        assert hint in text


def test_a_model_that_is_swapped_is_told():
    with override_settings(AUTH_USER_MODEL="rooms.Person"), of("auth.User"):
        assert told()[0] == "sitefleet.E411"


def test_to_be_too_late_is_told():
    with of("rooms.Person"):
        assert told()[0] == "sitefleet.E412"


@pytest.mark.parametrize(
    ("field", "way"),
    [
        (models.CharField(max_length=9), '{"field": "of_site"}'),
        (models.ForeignKey(Site, models.CASCADE, related_name="+"), '{"add": False}'),
        (
            models.ForeignKey(Site, models.CASCADE, related_name="+", null=True),
            '{"add": False, "shared": True}',
        ),
        (property(lambda _: 1), '{"field": "of_site"}'),
    ],
    ids=["text", "foreign key", "foreign key or none", "property"],
)
def test_a_name_that_is_taken_is_told_with_the_way_out(made, scope, field, way):
    scope("Talk")
    made("Talk", site=field)
    identity, text = told()
    assert identity == "sitefleet.E413"
    assert way in text


def test_a_declared_field_that_is_no_site_is_told(made, scope):
    scope("Talk", add=False)
    made("Talk", where=models.ForeignKey(Site, models.CASCADE, related_name="+"))
    identity, text = told()
    assert identity == "sitefleet.E414"
    assert '"field": "where"' in text


def test_a_table_that_django_does_not_manage_is_told(made, scope):
    scope("Talk")
    made("Talk", Meta=type("Meta", (), {"managed": False}))
    assert told()[0] == "sitefleet.W419"


def test_missing_migrations_are_told_with_the_command(talk, settings):
    settings.SITEFLEET = {**settings.SITEFLEET, "SCOPED_APP": "news"}
    settings.MIGRATION_MODULES = {"rooms": "tests.rooms.nothing"}
    assert told(outside_checks.check_migrations)[0] == "sitefleet.E418"


def test_no_migrations_are_read_where_nothing_is_scoped(monkeypatch):
    monkeypatch.setattr(outside_checks, "new_loader", None)
    assert outside_checks.check_migrations() == []


@pytest.mark.parametrize("label", ["", "nwes", "news"])
def test_an_app_that_migrations_cannot_go_into_is_told(settings, label):
    settings.MIGRATION_MODULES = {"news": None}
    (message,) = outside_checks.check_app(label, Changes(None, [("talks", None)], [], []))
    assert message.id == "sitefleet.E417"
    assert label != "nwes" or "Did you mean 'news'" in message.hint


def test_crossing_sees_rows_of_all_sites(tables, talk):
    for site in tables:
        with override_site(site):
            talk.chosen.create(title=site.name)
    with cross_site("test"):
        assert talk.chosen.count() == 2


def test_serializers_show_it_and_do_not_write_it(talk):
    meta = type("Meta", (), {"model": talk, "fields": "__all__"})
    fields = type("Talks", (ModelSerializer,), {"Meta": meta})().fields
    assert list(fields) == ["id", "title", "site"]
    assert fields["site"].read_only


def test_rows_between_are_not_named(made, scope):
    scope("Talk_stands")
    stand = made("Stand", name=models.CharField(max_length=9))
    talk = made("Talk", stands=models.ManyToManyField(stand))
    assert names(talk.stands.through) == ["id", "talk", "stand"]
    identity, text = told()
    assert identity == "sitefleet.E411"
    assert "name rooms.Talk" in text
    del apps.all_models["rooms"]["talk_stands"]


def test_a_proxy_with_other_options_than_its_table_is_told_and_adds_nothing(made, settings):
    settings.SITEFLEET = {"SCOPED_MODELS": {"rooms.Talk": {}, "rooms.Short": {"field": "of_site"}}}
    talk = made("Talk", title=models.CharField(max_length=20))
    made("Short", (talk,), Meta=type("Meta", (), {"proxy": True}))
    assert names(talk) == ["id", "title", "site"]
    identity, text = told()
    assert identity == "sitefleet.E411"
    assert "Take rooms.Short out" in text


@pytest.mark.parametrize("field", ["", "a b", "pk", "a__b", "a_", "class", "related_id"])
def test_a_field_that_cannot_be_called_so_is_told(made, settings, field):
    settings.SITEFLEET = {"SCOPED_MODELS": {"rooms.Talk": {"field": field}}}
    assert names(made("Talk")) == ["id"]
    assert find_problems()
    settings.SITEFLEET = {"SCOPED_MODELS": {"rooms.Talk": {"field": "of_site"}}}
    assert not find_problems()


@pytest.mark.parametrize("label", ["rooms", "auth"])
def test_migrations_do_not_go_into_an_app_of_others(settings, label, talk):
    settings.MIGRATION_MODULES = {}
    (message,) = outside_checks.check_app(label, Changes(None, [("rooms", None)], [], []))
    assert message.id == "sitefleet.E417"
    assert "is not yours" in message.msg


def test_migrations_of_others_that_are_kept_in_a_package_of_yours_are_yours(settings):
    settings.MIGRATION_MODULES = {"auth": "tests.auth_migrations"}
    assert not list(outside_checks.check_app("auth", Changes(None, [("rooms", None)], [], [])))
    settings.MIGRATION_MODULES = {"news": "news_migrations"}
    assert not list(outside_checks.check_app("news", Changes(None, [("rooms", None)], [], [])))
