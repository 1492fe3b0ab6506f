"""What Django brings that shows rows: on another site they are not there."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.views import shortcut
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sitemaps import GenericSitemap
from django.contrib.sitemaps.views import sitemap
from django.contrib.syndication.views import Feed
from django.core.paginator import Paginator
from django.db import IntegrityError, transaction
from django.db.models import Manager
from django.forms import ModelForm
from django.http import Http404, HttpResponse
from django.shortcuts import get_list_or_404, get_object_or_404
from django.template import Context, Template
from django.views import generic

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite
from sitefleet.scoping import SiteManager
from sitefleet.test import client_for
from tests.rooms.models import Booking, Building, Hall, Room

everything = Room._base_manager.order_by("pk")


class Shown:
    """Shows the context, as a template could."""

    def render_to_response(self, context, **_):
        rows = context.get("object_list", [context.get("object")])
        return HttpResponse(" ".join(str(row) for row in rows))


class RoomForm(ModelForm):
    class Meta:
        model = Room
        fields = ("name", "building")


class BookingForm(ModelForm):
    class Meta:
        model = Booking
        fields = ("code", "room")


@pytest.fixture(autouse=True)
def plain_managers(monkeypatch):
    """Let managers know no site, as those of other people do not: the guard is on its own."""
    monkeypatch.setattr(SiteManager, "get_queryset", Manager.get_queryset)


@pytest.fixture(autouse=True)
def addresses(monkeypatch):
    monkeypatch.setattr(Room, "get_absolute_url", lambda row: f"/{row.name}/", raising=False)


@pytest.fixture
def b(world):
    """Be on the second site."""
    with override_site(world.b.site):
        yield world.b


def made(base, **options):
    """Return a generic view of rooms."""
    return type("View", (Shown, base), {"model": Room, "success_url": "/", **options}).as_view()


def test_lists_are_of_the_site(rf, world, b):
    for options in ({}, {"queryset": everything}, {"queryset": Room._base_manager.all()}):
        view = made(generic.ListView, paginate_by=10, ordering="pk", **options)
        assert view(rf.get("/")).content == b"bb-room bb-hall"
    view = made(generic.ListView, queryset=everything, paginate_by=1)
    assert view(rf.get("/?page=last")).content == b"bb-hall"
    with pytest.raises(Http404):
        view(rf.get("/?page=3"))


@pytest.mark.parametrize(
    "base", [generic.DetailView, generic.UpdateView, generic.DeleteView], ids=lambda b: b.__name__
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_one_row_of_another_site_is_none(rf, world, b, base, method):
    options = {"fields": ["name"]} if base is generic.UpdateView else {}
    view = made(base, **options)
    ask = getattr(rf, method)
    if base is not generic.DetailView or method == "get":
        for pk in (world.a.room.pk, world.a.hall.pk):
            with pytest.raises(Http404):
                view(ask("/", {"name": "taken"}), pk=pk)
        assert view(ask("/", {"name": "mine"}), pk=b.hall.pk).status_code in {200, 302}
    with override_site(world.a.site):
        assert [room.name for room in everything.all()] == ["aa-room", "aa-hall"]


def test_a_row_is_found_by_whatever_names_it(rf, world, b):
    view = made(generic.DetailView, slug_field="name")
    assert view(rf.get("/"), slug="bb-room").content == b"bb-room"
    with pytest.raises(Http404):
        view(rf.get("/"), slug="aa-room")


@pytest.mark.parametrize("start", [Room, Room.objects, Room._base_manager, everything])
def test_shortcuts_find_rows_of_the_site(world, b, start):
    assert get_object_or_404(start, pk=b.room.pk) == b.room
    assert get_list_or_404(start, name__startswith="bb-room") == [b.room]
    for query in ({"pk": world.a.room.pk}, {"building__name": "aa-building"}):
        with pytest.raises(Http404):
            get_object_or_404(start, **query)
        with pytest.raises(Http404):
            get_list_or_404(start, **query)


def test_the_shortcut_to_any_object_leads_to_none_of_another_site(rf, world, b):
    kind = ContentType.objects.get_for_model(Room)
    assert shortcut(rf.get("/"), kind.pk, b.room.pk).status_code == 302
    with pytest.raises(Http404):
        shortcut(rf.get("/"), kind.pk, world.a.room.pk)
    hall = ContentType.objects.get_for_model(Hall)
    with pytest.raises(Hall.DoesNotExist):
        hall.get_object_for_this_type(pk=world.a.hall.pk)


def test_sitemaps_and_feeds_list_the_site(rf, world):
    sitemaps = {"rooms": GenericSitemap({"queryset": everything})}

    class Rooms(Feed):
        title, link = "Rooms", "/"

        def items(self):
            return everything.all()[:10]

    feed = Rooms()
    for rows, other in ((world.a, "bb-"), (world.b, "aa-"), (world.a, "bb-")):
        with override_site(rows.site):
            pages = (
                sitemap(rf.get("/"), sitemaps).render().content.decode(),
                feed(rf.get("/")).content.decode(),
            )
        for page in pages:
            assert rows.room.name in page
            assert other not in page


def test_a_paginator_counts_the_site(world, b):
    pages = Paginator(everything.all(), 1)
    assert (pages.count, pages.num_pages) == (2, 2)
    assert pages.page(2).object_list[0].pk == b.hall.pk


def test_a_form_makes_rows_of_the_site_that_refer_to_those_of_it(rf, world, b):
    class View(Shown, generic.FormView):
        form_class, success_url = RoomForm, "/"

        def form_valid(self, form):
            form.save()
            return super().form_valid(form)

        def form_invalid(self, form):
            return HttpResponse(form.errors.as_json(), status=400)

    view = View.as_view()
    for building, status in ((world.a.building, 400), (b.building, 302)):
        assert view(rf.post("/", {"name": "new", "building": building.pk})).status_code == status
    new = Room.objects.get(name="new")
    assert (new.site_id, new.building) == (b.site.pk, b.building)
    html = RoomForm().as_p()
    assert "bb-building" in html
    assert "aa-building" not in html


def test_a_view_that_creates_says_what_is_taken_here_alone(rf, world, b):
    view = made(generic.CreateView, model=Booking, form_class=BookingForm)
    taken = {"code": "bb-booking", "room": b.room.pk}
    assert view(rf.post("/", taken)).status_code == 200  # the form again
    assert view(rf.post("/", {**taken, "code": "aa-booking"})).status_code == 302
    assert Booking.objects.count() == 2


# --- apps of Django that know sites, declared as scoped -------------------------------------------


@pytest.fixture
def pages(world, declared):
    """A page and a redirect of each site, of the same address."""
    for rows in (world.a, world.b):
        name = rows.site.name
        with override_site(rows.site):
            FlatPage.objects.create(url="/about/", title=name, content=f"about {name}")
            Redirect.objects.create(site=rows.site, old_path="/old/", new_path=f"/{name}/")


def test_flat_pages_and_redirects_are_those_of_the_site(world, pages, settings):
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"flatpages/default.html": "{{ flatpage.content }}", "404.html": "none"},
                    )
                ]
            },
        }
    ]
    for rows in (world.a, world.b, world.a):
        client = client_for(rows.site)
        assert client.get("/about/").content.decode() == f"about {rows.site.name}"
        assert client.get("/old/")["Location"] == f"/{rows.site.name}/"
        with override_site(rows.site):
            text = "{% load flatpages %}{% get_flatpages as p %}{% for x in p %}{{ x.title }}"
            assert Template(text + "{% endfor %}").render(Context()) == rows.site.name
            assert [page.title for page in FlatPage.objects.all()] == [rows.site.name]
            assert [row.new_path for row in Redirect.objects.all()] == [f"/{rows.site.name}/"]


def test_they_are_changed_on_their_own_site_alone(world, pages):
    with override_site(world.a.site):
        page, redirect = FlatPage.objects.get(), Redirect.objects.get()
    with override_site(world.b.site):
        with pytest.raises(CrossSiteWrite), transaction.atomic():
            redirect.delete()
        with pytest.raises((CrossSiteWrite, IntegrityError)), transaction.atomic():
            page.save()
        assert FlatPage.objects.filter(pk=page.pk).update(title="taken") == 0
    with override_site(world.a.site):
        assert FlatPage.objects.get().title == "aa"
        assert Building.objects.count() == 1
