"""What the admin may not do is said on its pages, or 403; never an error 500."""

import django
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.flatpages.admin import FlatPageAdmin
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.forms import modelform_factory
from django.urls import path

from sitefleet import override_site
from sitefleet.scoping import cross_site
from sitefleet.test import client_for
from tests.rooms.models import Notice, Person, Room, Tag

refusing = admin.AdminSite(name="refusing")


class TagAdmin(admin.ModelAdmin):
    list_display = ["id", "name"]
    list_editable = ["name"]


class OwnWay(admin.ModelAdmin):
    """Asks nobody for permission."""

    def has_change_permission(self, request, obj=None):
        return True


refusing.register(Tag, TagAdmin)
refusing.register(Notice, OwnWay)
refusing.register([Person, Room, Redirect])
refusing.register(FlatPage, FlatPageAdmin)
urlpatterns = [path("admin/", refusing.urls)]
TAGS, PEOPLE = "/admin/rooms/tag/", "/admin/rooms/person/"


@pytest.fixture
def client(world, settings):
    """The admin of the first site."""
    settings.ROOT_URLCONF = __name__
    client = client_for(world.a.site, raise_request_exception=True)
    client.force_login(User.objects.create_superuser("root"))
    return client


def act(client, where, rows, **data):
    keys = [row.pk for row in rows]
    sent = {"action": "delete_selected", "_selected_action": keys, **data}
    return client.post(where, sent)


# --- deleting ------------------------------------------------------------------------------------


def test_what_other_sites_refer_to_is_shown_as_protected(world, client):
    for person in (world.everybody, world.b.person):
        url = f"{PEOPLE}{person.pk}/delete/"
        for page in (
            client.get(url),
            client.post(url, {"post": "yes"}),
            act(client, PEOPLE, [person, world.a.person]),
            act(client, PEOPLE, [person, world.a.person], post="yes"),
        ):
            text = page.content.decode()
            assert page.status_code == 200
            assert "Cannot delete" in text
            assert "rooms.Person was not deleted: rows of rooms.Room" in text
            assert "bb-" not in text.replace("bb-person", "")
    assert Person.objects.count() == 3
    world.assert_theirs_untouched()
    assert act(client, PEOPLE, [world.a.person], post="yes").status_code == 302
    assert Person.objects.count() == 2
    assert client.post(PEOPLE, {"action": "delete_selected"}).status_code == 200  # of none


def test_what_is_shared_or_of_two_sites_is_not_deleted(world, client):
    notice = f"/admin/rooms/notice/{world.everywhere.pk}/delete/"
    for page in (client.get(notice), client.post(notice, {"post": "yes"})):
        assert page.status_code == 200
        assert "sites.remove()" in page.content.decode()
    page = act(client, TAGS, [world.shared, world.a.tag], post="yes")
    assert page.status_code == 200
    assert "is shared by all sites" in page.content.decode()
    assert client.post(f"{TAGS}{world.shared.pk}/delete/", {"post": "yes"}).status_code == 403
    with cross_site("all are there"):
        assert Tag.objects.count() == 3
        assert Notice.objects.count() == 3


# --- changing ------------------------------------------------------------------------------------


def test_a_shared_row_is_shown_and_not_changed(world, client):
    url = f"{TAGS}{world.shared.pk}/change/"
    page = client.get(url)
    assert page.status_code == 200
    assert not page.context["has_change_permission"]
    assert b'name="name"' not in page.content
    assert client.post(url, {"name": "changed"}).status_code == 403
    mine = f"{TAGS}{world.a.tag.pk}/change/"
    assert client.get(mine).context["has_change_permission"]
    with cross_site("all are there"):
        assert Tag.objects.get(site=None).name == "shared"


def test_a_shared_row_is_not_changed_in_the_list(world, client):
    page = client.get(TAGS)
    forms = [page.context["cl"].formset.management_form, *page.context["cl"].formset.forms]
    sent = {bound.html_name: bound.value() for form in forms for bound in form}
    sent |= {name: "changed" for name in sent if name.endswith("-name")}
    answer = client.post(TAGS, sent | {"_save": "Save"})
    # From Django 6.1 on permission is asked for each row of the list, and the others are saved.
    assert answer.status_code == (403 if django.VERSION < (6, 1) else 302)
    with cross_site("all are there"):
        assert Tag.objects.get(site=None).name == "shared"
    world.assert_theirs_untouched()


def test_what_is_refused_after_all_is_forbidden(world, client, monkeypatch):
    def save(*args):
        with override_site(world.a.site):
            world.b.tag.save()

    monkeypatch.setattr(OwnWay, "save_model", save)
    url = f"/admin/rooms/notice/{world.a.notice.pk}/change/"
    sent = {"text": "x", "room": world.a.room.pk, "readers": [], "boards": []}
    assert client.post(url, sent).status_code == 403


# --- the field of the site -----------------------------------------------------------------------


@pytest.mark.usefixtures("declared")
def test_a_field_of_the_site_offers_the_site(world, client):
    root = "/admin/redirects/redirect/"
    page = client.get(f"{root}add/").content.decode()
    assert "aa.test" in page
    assert "bb.test" not in page
    sent = {"old_path": "/x/", "new_path": "/y/"}
    for site, status in ((world.b.site.pk, 200), ("", 200), (world.a.site.pk, 302)):
        answer = client.post(f"{root}add/", sent | {"site": site})
        assert answer.status_code == status
        if status == 200:
            assert set(answer.context["adminform"].form.errors) == {"site"}
    with override_site(world.a.site):
        change = f"{root}{Redirect.objects.get().pk}/change/"
    assert client.post(change, sent | {"site": world.b.site.pk}).status_code == 200
    assert client.post(change, sent | {"site": world.a.site.pk}).status_code == 302


@pytest.mark.usefixtures("declared")
def test_a_page_of_two_sites_is_changed_and_stays_on_both(world, client):
    root = "/admin/flatpages/flatpage/"
    with override_site(world.a.site):
        page = FlatPage.objects.create(url="/about/", title="about")
        with cross_site("on both"):
            page.sites.add(world.b.site)
    url = f"{root}{page.pk}/change/"
    text = client.get(url).content.decode()
    assert "aa.test" in text
    assert "bb.test" not in text
    sent = {"url": "/about/", "title": "changed", "content": "x"}
    for sites, status in (([world.a.site.pk, world.b.site.pk], 200), ([world.a.site.pk], 302)):
        assert client.post(url, sent | {"sites": sites}).status_code == status
    with cross_site("both"):
        assert page.sites.count() == 2
        assert FlatPage.objects.get().title == "changed"
    deletion = client.post(f"{root}{page.pk}/delete/", {"post": "yes"})
    assert deletion.status_code == 200
    assert "sites.remove()" in deletion.content.decode()
    made = client.post(f"{root}add/", sent | {"url": "/new/", "sites": [world.a.site.pk]})
    assert made.status_code == 302
    with override_site(world.a.site):
        assert FlatPage.objects.get(url="/new/").sites.get() == world.a.site


@pytest.mark.usefixtures("declared")
def test_a_form_offers_all_sites_where_none_is_current_or_all_are_meant(world):
    kind = modelform_factory(Redirect, fields=["site"])
    assert kind().fields["site"].queryset.count() == Site.objects.count()
    with override_site(world.a.site):
        assert kind().fields["site"].queryset.get() == world.a.site
        with cross_site("for all"):
            assert kind().fields["site"].queryset.count() == Site.objects.count()
