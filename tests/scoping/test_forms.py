"""Forms that were made when modules were imported, with no site, follow the site that validates."""

import datetime as dt

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms import inlineformset_factory, modelformset_factory

from sitefleet import override_site
from sitefleet.exceptions import SiteRequired
from sitefleet.scoping import SiteModel, cross_site
from tests.rooms.models import Booking, Building, Key, Room, Tag
from tests.scoping.madeup import tables_of

pytestmark = pytest.mark.django_db


class RoomForm(forms.ModelForm):
    class Meta:
        model = Room
        fields = ["name", "building", "tags"]


class BookingForm(forms.ModelForm):
    class Meta:
        model = Booking
        fields = ["code", "day", "room"]


class ChoosingForm(forms.Form):
    room = forms.ModelChoiceField(Room.objects.all())
    tags = forms.ModelMultipleChoiceField(Tag.objects.order_by("name"), required=False)
    base = forms.ModelChoiceField(Room._base_manager.all(), required=False)


Keys = inlineformset_factory(Room, Key, fk_name="room", fields=["number"], extra=1)
Rooms = inlineformset_factory(Building, Room, fields=["name", "tag"], extra=1)
Tags = modelformset_factory(Tag, fields=["name"], extra=0)


@pytest.fixture
def world(site, other_site):
    made = {}
    for each in (site, other_site):
        with override_site(each):
            building = Building.objects.create(name=each.name)
            room = Room.objects.create(name=each.name, building=building)
            tag = Tag.objects.create(name=each.name)
            made[each.name] = {"building": building, "room": room, "tag": tag}
            made[each.name]["key"] = Key.objects.create(room=room)
    return made["One"], made["Two"]


@pytest.fixture
def here(world, other_site):
    """The second site is current; returns the rows of the first, and its own."""
    with override_site(other_site):
        yield world


def test_without_a_site_nothing_is_offered(world):
    with pytest.raises(SiteRequired):
        str(ChoosingForm()["room"])


def test_each_site_is_offered_its_own_by_the_same_form(world, site, other_site):
    form = ChoosingForm()
    for each, other in ((site, other_site), (other_site, site)):
        with override_site(each):
            for name in ("room", "tags", "base"):
                text = str(form[name])
                assert each.name in text
                assert other.name not in text


def test_the_key_of_a_row_of_another_site_is_no_choice(here):
    theirs, mine = here
    form = ChoosingForm(
        {"room": theirs["room"].pk, "tags": [theirs["tag"].pk], "base": theirs["room"].pk}
    )
    assert set(form.errors) == {"room", "tags", "base"}
    assert ChoosingForm({"room": mine["room"].pk, "tags": [mine["tag"].pk]}).is_valid()


def test_model_forms_take_no_reference_to_another_site(here):
    theirs, mine = here
    data = {"name": "x", "building": theirs["building"].pk, "tags": [theirs["tag"].pk]}
    assert set(RoomForm(data).errors) == {"building", "tags"}
    data = {"name": "x", "building": mine["building"].pk, "tags": [mine["tag"].pk]}
    room = RoomForm(data).save()
    assert room.site_id == mine["room"].site_id
    assert list(room.tags.all()) == [mine["tag"]]


@pytest.mark.parametrize("change", [{"0-id": "ID"}, {"0-id": "ID", "0-DELETE": "on"}], ids=str)
@pytest.mark.parametrize("kind", ["keys", "rooms", "tags"])
def test_sets_of_forms_take_no_row_of_another_site(here, kind, change):
    theirs, mine = here
    formset_class, parent, name, text = {
        "keys": (Keys, mine["room"], "key", "number"),
        "rooms": (Rooms, mine["building"], "room", "name"),
        "tags": (Tags, None, "tag", "name"),
    }[kind]
    prefix = formset_class.get_default_prefix()
    data = {f"{prefix}-TOTAL_FORMS": 1, f"{prefix}-INITIAL_FORMS": 1, f"{prefix}-0-{text}": 9}
    data |= {
        f"{prefix}-{key}": theirs[name].pk if value == "ID" else value
        for key, value in change.items()
    }
    options = {"instance": parent} if parent is not None else {"queryset": Tag.objects.all()}
    formset = formset_class(data, **options)
    if formset.is_valid():  # a form that is to be deleted is not validated
        formset.save()
    with cross_site("test"):
        row = type(theirs[name]).objects.get(pk=theirs[name].pk)
        assert getattr(row, text) == getattr(theirs[name], text)


def test_a_parent_of_another_site_shows_none_of_its_rows(here):
    theirs, _ = here
    assert not Rooms(instance=theirs["building"]).initial_forms


@pytest.fixture
def unique_everywhere(monkeypatch):
    field = Booking._meta.get_field("code")
    monkeypatch.setitem(vars(field), "unique", True)  # a cached property in some Djangos


@pytest.mark.usefixtures("unique_everywhere")
def test_what_is_unique_on_all_sites_is_an_error_of_the_form(world, site, other_site):
    with override_site(site):
        Booking.objects.create(code="X", day="1")
    with override_site(other_site):
        form = BookingForm({"code": "X", "day": "1", "room": world[1]["room"].pk})
        assert set(form.errors) == {"code"}
        with pytest.raises(ValidationError, match="already exists"):
            Booking(code="X").validate_unique()
        assert not Booking.objects.exists(), "it is seen in there alone"


def test_what_is_unique_on_a_site_is_free_on_the_next(world, site, other_site):
    with override_site(site):
        Booking.objects.create(code="X", day="1")
    with override_site(other_site):
        data = {"code": "X", "day": "1", "room": world[1]["room"].pk}
        BookingForm(data).save()
        assert set(BookingForm(data | {"day": "2"}).errors) == {"code"}
        with pytest.raises(ValidationError, match="already exists"):
            Booking(code="Z", day="1").full_clean(exclude=["room"])


def test_what_is_unique_for_a_date_is_so_on_each_site(site, other_site, monkeypatch):
    class Post(SiteModel):
        slug = models.CharField(max_length=9, unique_for_date="day")
        day = models.DateField()

        class Meta:
            app_label = "rooms"

    day = dt.date(2026, 1, 1)
    with tables_of(monkeypatch, Post):
        with override_site(other_site):
            Post.objects.create(slug="hi", day=day)
            with pytest.raises(ValidationError, match="unique for"):
                Post(slug="hi", day=day).full_clean()
        with override_site(site):
            Post(slug="hi", day=day).full_clean()
