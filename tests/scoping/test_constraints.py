"""What is unique is unique on each site."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, connections, models, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.db.models.functions import Lower
from django.forms import modelform_factory
from rest_framework.serializers import ModelSerializer

from sitefleet import override_site
from sitefleet.conf import find_problems
from sitefleet.scoping import SiteField, SiteUniqueConstraint, cross_site
from sitefleet.scoping.constraints import include_site, name_for
from sitefleet.scoping.outside import Spec
from sitefleet.scoping.scopes import scopes
from tests.rooms.models import Booking
from tests.scoping.madeup import apps_of_their_own


@pytest.fixture
def sites(db, settings):
    settings.SITE_ID = None
    return [Site.objects.create(domain=f"{name}.test", name=name) for name in "ab"]


@pytest.fixture(autouse=True)
def own_apps(monkeypatch):
    """Let classes that tests make be models of the app ``rooms``, for themselves."""
    monkeypatch.setitem(globals(), "__name__", "tests.rooms.models")
    with apps_of_their_own():
        yield


def scoped(model, **options):
    """Do to a model what sitefleet does to those of SCOPED_MODELS."""
    spec = Spec(f"rooms.{model.__name__}", **options)
    if spec.add:
        null = spec.shared
        SiteField(null=null, related_name="+").contribute_to_class(model, spec.field)
    include_site(model, spec)
    scopes.tables[model._meta.db_table] = scopes._own(model)
    return model


@pytest.fixture(autouse=True)
def same_scopes(monkeypatch):
    tables = dict(scopes.tables)
    monkeypatch.setattr(scopes, "tables", tables)
    # Models with apps of their own are left alone otherwise, as those of migrations are.
    monkeypatch.setattr(scopes, "of", lambda model: tables.get(model._meta.db_table))


def kept(model):
    """Return what is unique: fields, sets of fields, constraints by their fields."""
    opts = model._meta
    return (
        [field.name for field in opts.local_fields if field.unique and not field.primary_key],
        [tuple(names) for names in opts.unique_together],
        [constraint.fields for constraint in opts.constraints],
    )


def talk():
    class Talk(models.Model):
        slug = models.SlugField(unique=True)
        title = models.CharField(max_length=50, default="")
        number = models.IntegerField(default=0)
        room = models.CharField(max_length=50, default="")

        class Meta:
            unique_together = [("title", "number")]
            constraints = [models.UniqueConstraint(fields=["room"], name="one_room")]

    return scoped(Talk)


@pytest.fixture
def table(db, monkeypatch):
    """Make tables, for the transaction of the test."""
    monkeypatch.setattr(connections["default"], "disable_constraint_checking", lambda: True)

    def make(model):
        with connection.schema_editor() as editor:
            editor.create_model(model)
        return model

    return make


def test_fields_sets_and_constraints_get_the_site_in_front():
    fields, together, constraints = kept(talk())
    assert (fields, together) == ([], [])
    assert constraints == [("site", "room"), ("site", "title", "number"), ("site", "slug")]


def test_what_django_remembers_of_a_model_is_right_after_it():
    class Talk(models.Model):
        slug = models.SlugField(unique=True)

    assert Talk._meta.total_unique_constraints == []
    model = scoped(Talk)
    assert [each.fields for each in model._meta.total_unique_constraints] == [("site", "slug")]
    checks, _ = model()._get_unique_checks(include_meta_constraints=True)
    assert checks == [(model, ("site", "slug")), (model, ("id",))]
    assert model._meta.get_field("slug").deconstruct()[3] == {}


def test_what_is_said_twice_becomes_one_constraint():
    class Talk(models.Model):
        slug = models.SlugField(unique=True)

        class Meta:
            unique_together = [("slug",)]

    assert kept(scoped(Talk)) == ([], [], [("site", "slug")])


def test_keep_leaves_all_as_it_is():
    class Talk(models.Model):
        slug = models.SlugField(unique=True)

    assert kept(scoped(Talk, unique="keep")) == (["slug"], [], [])


def test_other_words_for_it_are_refused(settings):
    for unique, expected in (("keep", []), ("site", []), ("kept", ["SCOPED_MODELS"])):
        settings.SITEFLEET = {"SCOPED_MODELS": {"rooms.Talk": {"unique": unique}}}
        assert [problem.key for problem in find_problems()] == expected


def test_what_is_one_of_a_kind_everywhere_stays_unique():
    class Talk(models.Model):
        barcode = models.CharField(max_length=5, primary_key=True, unique=True)
        profile = models.OneToOneField(Site, models.CASCADE, related_name="+")

    assert kept(scoped(Talk)) == (["profile"], [], [])
    assert Talk._meta.pk.unique

    class Person(AbstractBaseUser):
        name = models.CharField(max_length=5, unique=True)
        mail = models.CharField(max_length=5, unique=True)
        USERNAME_FIELD = "name"

    assert kept(scoped(Person)) == (["name"], [], [("site", "mail")])


def test_rows_of_which_another_scoped_row_says_the_site_need_it_not(settings):
    settings.SITEFLEET = {"SCOPED_MODELS": {"rooms.Talk": {}, "rooms.Tag": {"shared": True}}}

    class Review(models.Model):
        talk = models.ForeignKey("Talk", models.CASCADE)
        tag = models.ForeignKey("rooms.Tag", models.CASCADE)
        after = models.ForeignKey("self", models.CASCADE, unique=True, null=True)
        reviewer = models.IntegerField(default=0)

        class Meta:
            unique_together = [("talk", "reviewer"), ("tag", "reviewer")]
            constraints = [models.UniqueConstraint(fields=["talk", "tag"], name="one_of_each")]

    assert kept(scoped(Review)) == (
        [],
        [("talk", "reviewer")],
        [("talk", "tag"), ("site", "tag", "reviewer"), ("site", "after")],
    )


@pytest.mark.parametrize("first", ["target", "reference"])
def test_a_field_that_foreign_keys_refer_to_stays_unique(first):
    def reference():
        class Vote(models.Model):
            talk = models.ForeignKey("rooms.Talk", models.CASCADE, to_field="slug")
            again = models.ForeignKey("rooms.Talk", models.CASCADE, related_name="+")

    if first == "reference":
        reference()

    class Talk(models.Model):
        slug = models.SlugField(unique=True)
        code = models.SlugField(unique=True)

    scoped(Talk)
    if first == "target":
        reference()
    assert kept(Talk) == (["slug"], [], [("site", "code")])
    assert [each.fields for each in Talk._meta.total_unique_constraints] == [("site", "code")]


def test_conditions_and_expressions_are_kept_behind_the_site():
    live = models.Q(number__gt=0)

    class Talk(models.Model):
        slug = models.SlugField()
        number = models.IntegerField(default=0)

        class Meta:
            constraints = [
                models.UniqueConstraint(fields=["slug"], condition=live, name="live"),
                models.UniqueConstraint(Lower("slug"), name="lower"),
                models.UniqueConstraint(fields=["slug"], name="ops", opclasses=["text_ops"]),
                models.CheckConstraint(condition=live, name="check"),
            ]

    live_one, lower, ops, check = scoped(Talk)._meta.constraints
    assert (live_one.fields, live_one.condition, live_one.name) == (("site", "slug"), live, "live")
    assert [repr(each) for each in lower.expressions] == ["F(site)", "Lower(F(slug))"]
    assert (ops.fields, check.name) == (("slug",), "check")


def test_shared_rows_are_unique_among_themselves():
    class Talk(models.Model):
        slug = models.SlugField(unique=True)
        number = models.IntegerField(default=0)

        class Meta:
            constraints = [
                models.UniqueConstraint(
                    fields=["slug"], condition=models.Q(number=1), name="first"
                ),
                models.UniqueConstraint(fields=["number"], nulls_distinct=False, name="nulls"),
            ]

    found = scoped(Talk, shared=True)._meta.constraints
    shared = models.Q(site__isnull=True)
    assert [(each.fields, each.condition) for each in found] == [
        (("site", "slug"), models.Q(number=1)),
        (("slug",), models.Q(number=1) & shared),
        (("site", "number"), None),
        (("site", "slug"), None),
        (("slug",), shared),
    ]
    assert len({each.name for each in found}) == 5


def test_names_are_short_and_tell_constraints_apart():
    class Talk(models.Model):
        class Meta:
            db_table = '"schema"."conference_talks_and_more"'

    fields = [["site", "a" * 40], ["site", "a" * 39], ["venue", "a" * 40], ["site", "b", "a" * 40]]
    names = [name_for(Talk, each, suffix) for each in fields for suffix in ("site", "all")]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 30 and name.isidentifier() for name in names)
    assert names[0] == name_for(Talk, fields[0], "site")


def test_migrations_are_of_django_alone():
    class Talk(models.Model):
        slug = models.SlugField(unique=True)

        class Meta:
            unique_together = [("slug", "id")]

    def state():
        known = ProjectState.from_apps(get_user_model()._meta.apps)
        known.add_model(ModelState.from_model(Talk))
        return known

    before = state()
    scoped(Talk)
    changes = MigrationAutodetector(before, state())._detect_changes()
    operations = changes["rooms"][0].operations
    assert [type(each).__name__ for each in operations] == [
        "AlterUniqueTogether",
        "AddField",
        "AlterField",
        "AddConstraint",
        "AddConstraint",
    ]
    text = MigrationWriter(changes["rooms"][0]).as_string()
    assert "models.UniqueConstraint(" in text
    assert "sitefleet" not in text
    known = state()
    assert MigrationAutodetector(known, state())._detect_changes() == {}


# --- validation -------------------------------------------------------------------------------


def test_two_sites_may_have_the_same_and_the_database_refuses_it_twice_on_one(sites, table):
    model = table(talk())
    for number, site in enumerate(sites):
        model(slug="a", room=site.name, number=number, site=site).save()
    with pytest.raises(IntegrityError), transaction.atomic():
        model(slug="a", room="c", number=9, site=sites[0]).save()


def test_a_form_without_the_field_of_the_site_says_it_beside_the_field(sites, table):
    model = table(talk())
    form_class = modelform_factory(model, fields=["slug", "title", "number", "room"])
    values = {"slug": "a", "title": "t", "number": 1, "room": "r"}
    with override_site(sites[0]):
        assert form_class(values).save().site_id == sites[0].pk
        form = form_class(values)
        assert form.errors == {
            "slug": ["Talk with this Slug already exists."],
            "room": ["Talk with this Room already exists."],
            "__all__": ["Talk with this Title and Number already exists."],
        }
        row = model.objects.get()
        assert form_class({**values, "title": "u"}, instance=row).is_valid()
    with override_site(sites[1]):
        assert form_class(values).save().site_id == sites[1].pk


def test_own_models_are_validated_too(sites):
    with override_site(sites[0]):
        Booking.objects.create(code="1", day="x")
        with pytest.raises(ValidationError) as caught:
            Booking(code="1", day="y").full_clean(exclude=["venue", "room"])
        assert caught.value.message_dict == {"code": ["Booking with this Code already exists."]}
        Booking(code="1", day="y").validate_constraints(exclude=["venue", "code"])
    with override_site(sites[1]):
        Booking(code="1", day="x").full_clean(exclude=["venue", "room"])


def test_messages_of_its_own_and_other_errors_pass_as_they_are(sites, table):
    class Talk(models.Model):
        slug = models.SlugField()
        number = models.IntegerField(default=0)

        class Meta:
            constraints = [
                models.UniqueConstraint(
                    fields=["slug"], name="slug", violation_error_message="No second one."
                ),
                models.UniqueConstraint(Lower("slug"), name="lower"),
            ]

    model = table(scoped(Talk))
    with override_site(sites[0]):
        model(slug="a").save()
        with pytest.raises(ValidationError) as caught:
            model(slug="a").validate_constraints(exclude=["site"])
        assert sorted(caught.value.messages) == [
            "Constraint “lower” is violated.",
            "No second one.",
        ]
    with override_site(sites[1]):
        model(slug="a").validate_constraints(exclude=["site"])


@cross_site("shared rows")
def test_shared_rows_are_validated_among_themselves(sites, table):
    class Talk(models.Model):
        slug = models.SlugField(unique=True)

    model = table(scoped(Talk, shared=True))
    model(slug="a", site=None).save()
    model(slug="a", site=sites[0]).save()
    for site in (None, sites[0]):
        with pytest.raises(ValidationError):
            model(slug="a", site=site).validate_constraints(exclude=["site"])
        with pytest.raises(IntegrityError), transaction.atomic():
            model(slug="a", site=site).save()
    model(slug="a", site=sites[1]).validate_constraints(exclude=["site"])


def test_serializers_that_show_the_site_speak_for_it(sites, table):
    model = table(talk())

    class TalkSerializer(ModelSerializer):
        class Meta:
            fields = ["site", "slug"]

    TalkSerializer.Meta.model = model
    with override_site(sites[0]):
        for valid in (True, False):
            serializer = TalkSerializer(data={"slug": "a"})
            assert serializer.is_valid() is valid, serializer.errors
            if valid:
                serializer.save()
    with override_site(sites[1]):
        assert TalkSerializer(data={"slug": "a"}).is_valid()


def test_the_constraint_survives_a_copy():
    constraint = SiteUniqueConstraint(fields=["site", "slug"], name="one")
    assert type(constraint.clone()) is SiteUniqueConstraint
    assert constraint.deconstruct()[0] == "django.db.models.UniqueConstraint"
    assert constraint == models.UniqueConstraint(fields=["site", "slug"], name="one")
