"""What belongs to a site, and by what, is found from the models; fields may be declared."""

from __future__ import annotations

import pickle

import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.db import connection, models, transaction
from django.db.migrations.state import ProjectState
from django.test.utils import isolate_apps

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.scoping import SharedSiteModel, SiteModel, cross_site
from sitefleet.scoping.scopes import UNKNOWN, Kind, scopes
from tests.rooms.models import Big, Booking, Hall, Key, Notice, Person, Room, Stay, Tag


@pytest.fixture
def declared():
    """Models of Django, whose fields are not of our making."""
    scopes.declare("redirects.Redirect", "site")
    scopes.declare("flatpages.FlatPage", "sites")
    yield
    scopes.withdraw("redirects.Redirect")
    scopes.withdraw("flatpages.FlatPage")


@pytest.mark.parametrize(
    ("model", "kind", "field"),
    [
        (Room, Kind.OWN, "site"),
        (Big, Kind.OWN, "site"),
        (Booking, Kind.OWN, "venue"),
        (Tag, Kind.SHARED, "site"),
        (Notice, Kind.MANY, "sites"),
        (Hall, Kind.PATH, "room_ptr"),
        (Room.tags.through, Kind.PATH, "room"),
        (Room.neighbours.through, Kind.PATH, "from_room"),
        (Notice.sites.through, Kind.PATH, "notice"),
        (Stay, Kind.PATH, "room"),
        (Tag.suits.through, Kind.PATH, "room"),
        (Notice.boards.through, Kind.PATH, "room"),
        (Notice.readers.through, Kind.PATH, "notice"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_each_kind_is_found(model, kind, field):
    scope = scopes.of(model)
    assert (scope.kind, scope.field) == (kind, field)
    assert pickle.loads(pickle.dumps(scope)) is scope  # noqa: S301 - it was made here


def test_memberships_are_written_by_their_own_site():
    through = Notice.sites.through
    assert scopes.of_writes(through).kind is Kind.OWN
    assert scopes.of_writes(Room) is scopes.of(Room)


@pytest.mark.parametrize("model", [Person, Key, Site])
def test_other_models_are_of_no_site(model):
    assert scopes.of(model) is None
    assert scopes.of_writes(model) is None


def test_models_of_migrations_are_free(world):
    state = ProjectState.from_apps(apps)
    old = state.apps.get_model("rooms", "Room")
    assert scopes.of(old) is None
    assert old.objects.count() == 4
    rooms = [old.objects.create(name="old", site_id=world.b.site.pk), *old.objects.all()]
    assert old.objects.update(size=7) == 5
    old._base_manager.filter(pk=rooms[0].pk).update(owner_id=world.everybody.pk)
    rooms[0].save()
    assert rooms[0].delete()[0] == 1


@isolate_apps("tests.rooms")
def test_models_that_are_made_elsewhere_are_not_found():
    class Elsewhere(SiteModel):
        class Meta:
            app_label = "rooms"

    assert scopes.of(Elsewhere) is None
    assert "rooms_elsewhere" not in scopes.tables


def test_a_model_that_is_made_late_is_found():
    class Late(SiteModel):
        class Meta:
            app_label = "rooms"

    try:
        assert scopes.of(Late).kind is Kind.OWN
        with pytest.raises(SiteRequired), override_site(None):
            Late.objects.count()
    finally:
        del apps.all_models["rooms"]["late"]
        apps.clear_cache()
        scopes.find()
    assert scopes.of(Late) is None


@pytest.mark.usefixtures("late")
def test_a_child_of_a_child_goes_with_the_child():
    class Ballroom(Hall):
        class Meta:
            app_label = "rooms"

    scope = scopes.of(Ballroom)
    assert (scope.kind, scope.field, scope.parent) == (Kind.PATH, "hall_ptr", scopes.of(Hall))
    assert scope.root is scopes.of(Room)


@pytest.mark.usefixtures("late")
def test_a_table_between_goes_by_a_child_table_too():
    class Label(SharedSiteModel):
        halls = models.ManyToManyField(Hall, related_name="+")

        class Meta:
            app_label = "rooms"

    assert scopes.of(Label.halls.through).field == "hall"


@pytest.mark.usefixtures("late")
def test_a_table_between_that_has_a_site_goes_by_that_and_one_that_may_lack_its_end_by_none():
    class Own(SiteModel):
        room = models.ForeignKey(Room, models.CASCADE, related_name="+")
        person = models.ForeignKey(Person, models.CASCADE, related_name="+")

        class Meta:
            app_label = "rooms"

    class Lacking(models.Model):
        room = models.ForeignKey(Room, models.CASCADE, null=True, related_name="+")
        person = models.ForeignKey(Person, models.CASCADE, related_name="+")

        class Meta:
            app_label = "rooms"

        def __str__(self):
            return ""

    class Union(models.Model):
        owns = models.ManyToManyField(Room, through="rooms.Own", related_name="+")
        lacks = models.ManyToManyField(Room, through=Lacking, related_name="+")
        later = models.ManyToManyField("rooms.Later", related_name="+")

        class Meta:
            app_label = "rooms"

        def __str__(self):
            return ""

    assert scopes.of(Own).kind is Kind.OWN
    assert scopes.of(Lacking) is None


@pytest.mark.django_db
def test_models_of_a_registry_of_their_own_are_guarded_by_their_table():
    class Twin(models.Model):
        name = models.CharField(max_length=50)

        class Meta:
            apps = Apps()
            app_label = "elsewhere"
            db_table = Room._meta.db_table

        def __str__(self):
            return self.name

    class Other(models.Model):
        class Meta:
            apps = Apps()
            app_label = "elsewhere"

        def __str__(self):
            return ""

    by_hand = Other.objects.extra(where=["id IN (SELECT id FROM rooms_room)"])
    for rows in (Twin.objects.all(), by_hand):
        with pytest.raises(SiteRequired), override_site(None):
            rows.count()


def test_an_instance_tells_its_site(world):
    site = world.a.site.pk
    assert scopes.of(Room).owner(Room(site_id=str(site))) == site
    assert scopes.of(Tag).owner(world.shared) is None
    assert scopes.of(Hall).owner(world.a.hall) == site
    assert scopes.of(Notice).owner(world.a.notice) is UNKNOWN
    with cross_site("a look"):
        assert scopes.of(Room).owner(Room.objects.only("name").first()) is UNKNOWN


def test_conditions_say_which_rows():
    quote = connection.ops.quote_name
    assert scopes.of(Room).condition("t", quote) == (f"t.{quote('site_id')} = %s", 1)
    sql, count = scopes.of(Tag).condition("t", quote)
    assert (sql, count) == (f"(t.{quote('site_id')} = %s OR t.{quote('site_id')} IS NULL)", 1)


def test_a_declared_foreign_key_is_filled_and_guarded(world, declared):
    assert scopes.of(Redirect).kind is Kind.OWN
    for own in (world.a, world.b):
        with override_site(own.site):
            Redirect.objects.create(old_path="/x/", new_path=f"/{own.site.name}/")
    with pytest.raises(SiteRequired), transaction.atomic():
        Redirect.objects.create(old_path="/y/")
    with override_site(world.a.site):
        assert Redirect.objects.get().new_path == "/aa/"
        assert Redirect.objects.update(new_path="/changed/") == 1
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            Redirect.objects.create(site=world.b.site, old_path="/z/")
    assert Redirect.objects.get(site=world.b.site).new_path == "/bb/"


def test_declared_many_to_many_sites_are_filled_and_guarded(world, declared):
    assert scopes.of(FlatPage).kind is Kind.MANY
    for own in (world.a, world.b):
        with override_site(own.site):
            page = FlatPage.objects.create(url="/x/", title=own.site.name)
            assert list(page.sites.all()) == [own.site]
    with pytest.raises(SiteRequired):
        FlatPage.objects.count()
    with override_site(world.a.site):
        assert FlatPage.objects.get().title == "aa"
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            page.save()
        with pytest.raises(FlatPage.DoesNotExist):
            page.refresh_from_db()


def test_what_is_withdrawn_is_free_again(world):
    scopes.declare("redirects.Redirect", "site")
    scopes.withdraw("redirects.Redirect")
    assert scopes.of(Redirect) is None
    assert Redirect.objects.count() == 0


def test_a_declared_field_may_be_shared(declared):
    scopes.declare("redirects.redirect", "site", shared=True)
    assert scopes.of(Redirect).kind is Kind.SHARED


def test_foreign_keys_to_something_unique_are_looked_at_too(world):
    class Coded(models.Model):
        booking = models.ForeignKey(Booking, models.CASCADE, to_field="code", related_name="+")

        class Meta:
            app_label = "rooms"

        def __str__(self):
            return self.booking_id

    try:
        for row in (Coded(booking_id="bb-booking"), Coded(booking=world.b.booking)):
            refused = pytest.raises(CrossSiteWrite, match="bb-booking")
            with override_site(world.a.site), refused, transaction.atomic():
                row.save()
    finally:
        del apps.all_models["rooms"]["coded"]
        apps.clear_cache()
        scopes.find()
