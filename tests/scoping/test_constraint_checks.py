"""What is unique on all sites together is told, with the lines that mend it."""

import pytest
from django.core import checks
from django.db import models
from django.db.models.functions import Lower

from sitefleet.scoping import SiteField, SitesField, SiteUniqueConstraint
from sitefleet.scoping.constraints import name_for
from sitefleet.scoping.constraints.checks import check_constraints, check_references, references
from sitefleet.scoping.outside import Spec, specs
from sitefleet.scoping.scopes import Kind, Scope, scopes
from tests.rooms.models import Booking, Building, Hall, Key, Notice, Person, Room, Tag
from tests.scoping.madeup import apps_of_their_own

ROOMS = (Booking, Building, Hall, Key, Notice, Person, Room, Tag)


@pytest.fixture(autouse=True)
def own_apps(monkeypatch):
    """Let classes that tests make be models of the app ``rooms``, for themselves."""
    monkeypatch.setitem(globals(), "__name__", "tests.rooms.models")
    known = dict(scopes.tables)
    monkeypatch.setattr(scopes, "tables", {})
    monkeypatch.setattr(
        scopes,
        "of",
        lambda model: {**known, **scopes.tables}.get(model._meta.db_table),
    )
    with apps_of_their_own(rooms=ROOMS):
        yield


def found(model, scope=None):
    """Return what is told of a model: ids, messages, hints."""
    scopes.tables = {model._meta.db_table: scope or scopes._own(model)}
    messages = check_constraints()
    assert all(each.obj is model and each.level == checks.WARNING for each in messages)
    return [(each.id.removeprefix("sitefleet."), each.msg, each.hint) for each in messages]


def ids(model, scope=None):
    return [number for number, _, _ in found(model, scope)]


IMPORT = "from sitefleet.scoping import SiteUniqueConstraint; in Meta: constraints = "


def test_the_models_of_the_tests_have_no_mistake(monkeypatch):
    for model in ROOMS:
        scopes.tables |= {model._meta.db_table: scopes.of(model)} if scopes.of(model) else {}
    assert len(scopes.tables) == 6
    assert check_constraints() == []
    assert "check_constraints" in {
        getattr(each, "__name__", "") for each in checks.registry.registry.get_checks()
    }


def test_one_message_for_a_model_names_all_and_shows_the_lines():
    class Talk(models.Model):
        site = SiteField()
        slug = models.SlugField(unique=True)
        title = models.CharField(max_length=50)
        number = models.IntegerField()

        class Meta:
            unique_together = [("title", "number")]
            constraints = [models.UniqueConstraint(fields=["number", "slug"], name="two")]

    slug, together = (
        name_for(Talk, names, "site") for names in (["site", "slug"], ["site", "title", "number"])
    )
    ((number, message, hint),) = found(Talk)
    assert number == "W421"
    assert message == (
        "On all sites together, not on each, these are unique in rooms.Talk:"
        " slug (unique=True), unique_together (title, number), two (number, slug)."
    )
    assert hint == (
        f"Take out unique=True of slug, unique_together. {IMPORT}["
        f'SiteUniqueConstraint(fields=["site", "slug"], name="{slug}"),'
        f' SiteUniqueConstraint(fields=["site", "title", "number"], name="{together}"),'
        ' SiteUniqueConstraint(fields=["site", "number", "slug"], name="two")];'
        " then makemigrations."
    )


def test_what_includes_the_site_or_a_row_of_one_site_is_no_mistake():
    class Talk(models.Model):
        site = SiteField()
        slug = models.SlugField()
        room = models.OneToOneField(Room, models.CASCADE)
        hall = models.ForeignKey(Hall, models.CASCADE, unique=True)

        class Meta:
            unique_together = [("slug", "site"), ("room", "slug")]
            constraints = [
                models.UniqueConstraint(fields=["hall", "slug"], name="by_row"),
                models.UniqueConstraint("site", Lower("slug"), name="by_expression"),
                models.UniqueConstraint(
                    fields=["slug"], condition=models.Q(site=1), name="by_condition"
                ),
            ]

    assert found(Talk) == []


def test_rows_of_no_site_of_some_or_shared_do_not_say_the_site():
    class Talk(models.Model):
        site = SiteField()
        slug = models.SlugField()
        person = models.ForeignKey(Person, models.CASCADE)
        notice = models.ForeignKey(Notice, models.CASCADE)
        tag = models.ForeignKey(Tag, models.CASCADE)
        room = models.ForeignKey(Room, models.CASCADE, null=True)

        class Meta:
            constraints = [
                models.UniqueConstraint(fields=["person", "slug"], name="a"),
                models.UniqueConstraint(fields=["notice", "slug"], name="b"),
                models.UniqueConstraint(fields=["tag", "slug"], name="c"),
                models.UniqueConstraint(Lower("slug"), name="d"),
                models.UniqueConstraint(
                    fields=["slug"], condition=models.Q(room__isnull=True), name="e"
                ),
            ]

    ((number, message, _),) = found(Talk)
    assert number == "W421"
    assert all(f"{name} (" in message for name in "abcde")


class ExclusionConstraint(models.constraints.BaseConstraint):
    """As PostgreSQL's, whose module needs its driver."""

    index_type, condition = "GIST", None
    expressions = (("period", "&&"), (models.F("room"), "="))


def test_an_exclusion_constraint_is_a_mistake_too():
    class Talk(models.Model):
        site = SiteField()
        period = models.IntegerField()
        room = models.IntegerField()

        class Meta:
            constraints = [ExclusionConstraint(name="no_overlap")]

    ((number, message, hint),) = found(Talk)
    assert (number, "no_overlap (period, room)" in message) == ("W421", True)
    assert 'no_overlap: add (F("site"), "=") to its expressions' in hint


def test_shared_rows_need_two_constraints():
    class Talk(models.Model):
        site = SiteField(null=True)
        slug = models.SlugField()
        name = models.SlugField(unique=True)

        class Meta:
            constraints = [SiteUniqueConstraint(fields=["site", "slug"], name="one")]

    of_all, twice = found(Talk)
    assert (of_all[0], of_all[2].count("SiteUniqueConstraint(")) == ("W421", 2)
    assert 'fields=["name"], condition=Q(site__isnull=True)' in of_all[2]
    assert twice[:2] == ("W425", "Shared rows of rooms.Talk may be the same twice: one.")
    name = name_for(Talk, ["site", "slug"], "all")
    assert twice[2] == (
        'In Meta: constraints = [..., SiteUniqueConstraint(fields=["slug"],'
        f' condition=Q(site__isnull=True), name="{name}")]; then makemigrations.'
    )


@pytest.mark.parametrize("mended", ["condition", "nulls_distinct"])
def test_shared_rows_that_are_unique_among_themselves_are_no_mistake(mended):
    class Talk(models.Model):
        site = SiteField(null=True)
        slug = models.SlugField()

        class Meta:
            constraints = (
                [models.UniqueConstraint(fields=["site", "slug"], name="a", nulls_distinct=False)]
                if mended == "nulls_distinct"
                else [
                    models.UniqueConstraint(fields=["site", "slug"], name="a"),
                    models.UniqueConstraint(
                        fields=["slug"], condition=models.Q(site__isnull=True), name="b"
                    ),
                ]
            )

    assert found(Talk) == []


def test_what_cannot_include_the_site_is_told_as_that():
    class Note(models.Model):
        sites = SitesField()
        slug = models.SlugField(unique=True)

    scope = Scope(Note, Kind.MANY, "sites", "id", Scope(Note, Kind.OWN, "sites", "site_id"), "id")
    ((number, _, hint),) = found(Note, scope)
    assert (number, "in another table" in hint) == ("W422", True)

    class Lounge(Room):
        code = models.SlugField(unique=True)

    scope = Scope(Lounge, Kind.PATH, "room_ptr", "room_ptr_id", scopes.of(Room), "id")
    ((number, _, hint),) = found(Lounge, scope)
    assert (number, "in the table of its parent" in hint) == ("W422", True)


def test_a_one_to_one_field_to_what_belongs_to_no_site_is_told():
    class Profile(models.Model):
        site = SiteField()
        person = models.OneToOneField(Person, models.CASCADE)

    ((number, message, hint),) = found(Profile)
    assert number == "W423"
    assert message == (
        "A row of rooms.Person has one row of rooms.Profile on all sites together: person."
    )
    assert 'ForeignKey, unique with "site"' in hint


@pytest.mark.parametrize(
    ("pk", "expected"),
    [
        (lambda: models.CharField(max_length=5, primary_key=True), ["W424"]),
        (lambda: models.UUIDField(primary_key=True), ["W424"]),
        (lambda: models.UUIDField(primary_key=True, default=int), []),
        (lambda: models.BigAutoField(primary_key=True), []),
        (lambda: models.OneToOneField(Person, models.CASCADE, primary_key=True), ["W424"]),
        (lambda: models.OneToOneField(Room, models.CASCADE, primary_key=True), []),
    ],
    ids=["text", "uuid", "random", "number", "person", "room"],
)
def test_a_primary_key_that_means_something_is_told(pk, expected):
    class Ticket(models.Model):
        site = SiteField()
        barcode = pk()

    assert ids(Ticket) == expected


def test_a_primary_key_of_several_fields_may_include_the_site():
    class Seat(models.Model):
        pk = models.CompositePrimaryKey("site", "number")
        site = SiteField()
        number = models.IntegerField()

    class Ticket(models.Model):
        pk = models.CompositePrimaryKey("person", "number")
        site = SiteField()
        person = models.ForeignKey(Person, models.CASCADE)
        number = models.IntegerField()

    assert (ids(Seat), ids(Ticket)) == ([], ["W424"])


def test_for_models_of_other_people_the_hint_is_about_settings(settings):
    class Talk(models.Model):
        site = SiteField()
        slug = models.SlugField(unique=True)

    for unique, expected in (("keep", "manage.py scopemodels"), ("site", "stays so")):
        settings.SITEFLEET = {"SCOPED_MODELS": {"rooms.Talk": {"unique": unique}}}
        assert specs()["rooms.talk"] == Spec("rooms.Talk", unique=unique)
        ((number, _, hint),) = found(Talk)
        assert (number, expected in hint) == ("W421", True)


def test_tables_that_django_does_not_make_are_left_alone():
    class Talk(models.Model):
        site = SiteField()
        slug = models.SlugField(unique=True)

        class Meta:
            managed = False

    assert found(Talk) == []


# --- references -------------------------------------------------------------------------------


def test_the_database_can_hold_references_to_rows_of_one_site():
    assert [field.name for field in references(scopes.of(Room))] == ["building"]
    assert [field.name for field in references(scopes.of(Booking))] == ["room"]
    assert [*references(scopes.of(Hall))] == [*references(scopes.of(Notice))] == []


@pytest.mark.django_db
def test_references_are_looked_at_with_row_level_security_only(settings):
    assert check_references(["default"]) == []
    settings.SITEFLEET = {"RLS": "transaction"}
    assert check_references(None) == []


def test_a_constraint_that_names_no_field_is_left_to_the_check_of_django():
    class Talk(models.Model):
        site = SiteField()

        class Meta:
            constraints = [models.UniqueConstraint(fields=["gone"], name="gone")]

    assert ids(Talk) == []
