"""A site is exported, imported, cloned and deleted as a whole, and nothing else is touched."""

import gzip
import io

import pytest
from django.contrib.auth.models import User
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import connection

from sitefleet import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, configure_site
from sitefleet.resolver import resolver
from sitefleet.scoping import cross_site, guard
from sitefleet.scoping.transfer import deleting, receiving
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.export import Exporter
from sitefleet.scoping.transfer.fileformat import read
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.importing import import_site
from sitefleet.scoping.transfer.options import ImportOptions
from tests.rooms.models import Booking, Building, Hall, Key, Notice, Person, Room, Tag
from tests.scoping.transferring import (
    everything_of,
    exported,
    files_of,
    imported,
    make_world,
    portrait,
    records_in,
    without_keys,
)

pytestmark = [pytest.mark.django_db, pytest.mark.acceptance]  # three seconds
NEXT = ImportOptions(slug="next", domain="next.example.org")


@pytest.fixture
def world(db, settings):
    """Two sites with rows of all kinds, rows that both have, and a row of all sites."""
    settings.STORAGES = {**settings.STORAGES}  # without the files of other tests
    settings.SITE_ID = None
    return make_world()


# --- What belongs to a site ------------------------------------------------------------------


def test_the_graph_has_what_belongs_to_a_site_and_no_more():
    labels = [node.label for node in find_graph().nodes.values()]
    assert sorted(labels) == [
        "flatpages.FlatPage_sites",
        "news.Article",
        "redirects.Redirect",
        "rooms.Booking",
        "rooms.Building",
        "rooms.Hall",
        "rooms.Key",
        "rooms.Notice",
        "rooms.Notice_boards",
        "rooms.Notice_readers",
        "rooms.Room",
        "rooms.Room_guests",
        "rooms.Room_neighbours",
        "rooms.Room_tags",
        "rooms.Stay",
        "rooms.Tag",
        "rooms.Tag_suits",
    ]


def test_what_is_referred_to_comes_first():
    labels = [node.label for node in find_graph().nodes.values()]
    for first, second in (
        ("rooms.Building", "rooms.Room"),
        ("rooms.Tag", "rooms.Room"),
        ("rooms.Room", "rooms.Hall"),
        ("rooms.Room", "rooms.Key"),
        ("rooms.Room", "rooms.Notice"),
        ("rooms.Room", "rooms.Room_tags"),
        ("rooms.Tag", "rooms.Room_tags"),
    ):
        assert labels.index(first) < labels.index(second)


def test_rows_of_other_sites_and_of_all_are_not_in_it(world):
    one, two = world
    graph = find_graph()
    for site in world:
        with override_site(site):
            for node in graph.nodes.values():
                for row in graph.rows(node, site.pk):
                    assert node.is_many or site.name in str(row.__dict__) or row._meta.pk
    rows = everything_of(one)
    assert [row["name"] for row in rows["rooms.Tag"]] == ["One"]
    keys = {label: {row["id"] for row in rows[label]} for label in rows if label != "rooms.Hall"}
    for label, theirs in everything_of(two).items():
        if label not in ("rooms.Hall", "rooms.Notice"):
            assert not keys[label] & {row["id"] for row in theirs}


@pytest.mark.parametrize("label", ["rooms.Nothing", "nothing", "", "a.b.c"])
def test_a_model_that_is_none_cannot_be_excluded(label):
    with pytest.raises(TransferRefused, match="no model"):
        find_graph([label])


def test_what_hangs_on_an_excluded_model_is_excluded_with_it():
    labels = {node.label for node in find_graph(["rooms.Room"]).nodes.values()}
    assert "rooms.Notice" in labels
    assert "rooms.Booking" in labels
    assert not labels & {"rooms.Room", "rooms.Hall", "rooms.Key", "rooms.Room_tags"}


# --- Clone -----------------------------------------------------------------------------------


def test_a_clone_is_as_the_site_was_and_the_others_are_as_they_were(world):
    one, two = world
    ours, theirs = everything_of(one), everything_of(two)
    before = portrait(one)
    report = clone_site(one, NEXT)
    assert portrait(report.site) == before
    assert everything_of(one) == ours
    assert everything_of(two) == theirs
    assert report.rows["rooms.Room"] == 4
    assert report.files == 2
    assert Person.objects.count() == 1
    with override_site(one):
        assert Tag.objects.filter(site=None).count() == 1


def test_a_clone_waits_in_maintenance_and_has_the_addresses_that_it_was_given(world):
    one, _ = world
    add_alias(one, "old.example.org")
    new = clone_site(one, NEXT).site
    config = SiteConfig.objects.get(pk=new.pk)
    assert (config.slug, config.state) == ("next", "maintenance")
    assert config.production_domain == "next.example.org"
    assert list(new.fleet_aliases.all()) == []
    assert resolver.find("next.example.org").root.site.pk == new.pk


def test_a_clone_keeps_theme_and_settings(world, settings):
    settings.SITEFLEET = settings.SITEFLEET | {"SITE_SETTINGS": {"OPENS": {"type": "str"}}}
    one, _ = world
    configure_site(one, theme="gold", settings={"OPENS": "May"})
    config = SiteConfig.objects.get(pk=clone_site(one, NEXT).site.pk)
    assert (config.theme, config.settings) == ("gold", {"OPENS": "May"})


def test_what_is_unique_in_the_fleet_is_refused_and_nothing_is_left(world, files):
    one, two = world
    with override_site(one), connection.cursor() as cursor:
        Hall.objects.update(seats=10)
        cursor.execute("CREATE UNIQUE INDEX one_seat ON rooms_hall (seats)")
    before = everything_of(one), everything_of(two), files()
    with pytest.raises(TransferRefused, match=r"rooms\.Hall.*--exclude"):
        clone_site(one, NEXT)
    assert (everything_of(one), everything_of(two), files()) == before
    assert Site.objects.count() == SiteConfig.objects.count() == 2


@pytest.fixture
def files(world):
    """All files of all sites."""
    return lambda: files_of(default_storage.inner)


@pytest.mark.parametrize("wrong", [{"domain": "two.example.org"}, {"slug": "two"}, {"slug": "-"}])
def test_an_address_that_cannot_be_is_refused_before_anything_is_written(world, wrong):
    with pytest.raises(ValidationError):
        clone_site(
            world[0], ImportOptions(**{"slug": "next", "domain": "next.example.org", **wrong})
        )
    assert Site.objects.count() == 2


def test_no_media_copies_no_files(world):
    new = clone_site(world[0], NEXT, with_media=False).site
    with override_site(new):
        assert default_storage.listdir("") == ([], [])


@pytest.mark.acceptance
def test_without_the_guard_it_does_the_same(world):
    one, two = world
    before, theirs = portrait(one), everything_of(two)
    guard.uninstall()
    try:
        new = clone_site(one, NEXT).site
        assert everything_of(two) == theirs
        delete_site(one)
    finally:
        guard.install()
    assert portrait(new) == before
    assert everything_of(two) == theirs


# --- Export and import -----------------------------------------------------------------------


def test_a_site_comes_back_as_it_was(world):
    one, two = world
    add_alias(one, "*.one.example.org", redirect=False)
    before, theirs = portrait(one), everything_of(two)
    data = exported(one)
    delete_site(one)
    assert everything_of(two) == theirs
    new = imported(data).site
    assert portrait(new) == before
    assert everything_of(two) == theirs
    assert [(alias.name, alias.redirect) for alias in Alias.objects.all()] == [
        ("*.one.example.org", False)
    ]


@pytest.mark.acceptance
def test_an_export_of_the_import_is_the_same_but_for_keys(world):
    one, _ = world
    data = exported(one)
    delete_site(one)
    again = exported(imported(data, state="active").site)
    assert without_keys(again) == without_keys(data)


def test_every_key_is_another_one_beside_the_original(world):
    one, _ = world
    new = imported(exported(one), slug="next", domain="next.example.org").site
    ours, theirs = everything_of(one), everything_of(new)
    for label, rows in ours.items():
        if rows and "id" in rows[0] and label != "rooms.Notice":
            assert not {row["id"] for row in rows} & {row["id"] for row in theirs[label]}
        assert len(rows) == len(theirs[label])
    assert {row["site_id"] for row in theirs["rooms.Room"]} == {new.pk}
    assert {row["site_id"] for row in theirs["news.Article"]} == {new.pk}


@pytest.mark.acceptance
def test_a_packed_file_is_read_as_one_that_is_not(world):
    one, _ = world
    data = gzip.compress(exported(one))
    before = portrait(one)
    delete_site(one)
    assert portrait(imported(data).site) == before


def test_a_rehearsal_leaves_nothing(world, files):
    one, _ = world
    data = exported(one)
    before = Room._base_manager.filter(site__in=[one.pk]).count(), files()
    report = imported(data, slug="next", domain="next.example.org", dry_run=True)
    assert report.rows["rooms.Room"] == 4
    assert (Room._base_manager.filter(site__in=[one.pk]).count(), files()) == before
    assert Site.objects.count() == 2
    assert resolver.find("next.example.org").root is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left"), MemoryError])
def test_whatever_stops_it_nothing_is_left(world, files, error):
    one, two = world
    data = exported(one)
    before = everything_of(one), everything_of(two), files()

    def broken():
        for record in read(io.BytesIO(data)):
            if "end" in record:
                raise error
            yield record

    with pytest.raises(error if isinstance(error, type) else type(error)):
        import_site(broken(), ImportOptions(slug="next", domain="next.example.org"))
    assert (everything_of(one), everything_of(two), files()) == before
    assert Site.objects.count() == 2


def test_files_go_while_the_id_is_nobody_elses(world, monkeypatch):
    there, undo = [], receiving.Receiver.undo

    def noted(self):
        there.append(Site.objects.filter(pk=self.site).exists())
        undo(self)

    monkeypatch.setattr(receiving.Receiver, "undo", noted)
    lines = exported(world[0]).splitlines(keepends=True)
    with pytest.raises(TransferRefused):
        imported(b"".join(lines[:-2]), slug="next", domain="next.example.org")
    assert there[0]


def test_values_are_not_touched_on_their_way(world):
    one, _ = world
    with override_site(one):
        names = ["", "ä\u2028\"'\\", "line\nline", "\U0001f3db", " x "]
        Room.objects.bulk_create([Room(name=name, size=-(2**31)) for name in names])
    before = portrait(one)
    data = exported(one)
    delete_site(one)
    assert portrait(imported(data).site) == before


def test_an_export_states_no_row_that_is_not_of_the_site(world):
    text = exported(world[0]).decode()
    assert "Two" not in text
    assert "One 0" in text


def test_rows_that_refer_to_another_site_are_refused(world):
    one, two = world
    with override_site(two):
        theirs = Room.objects.first()
    with cross_site("a mistake"):
        Booking.objects.filter(venue=one).update(room=theirs)
    with pytest.raises(TransferRefused, match=r"rooms\.Booking\.room"):
        exported(one)
    assert b"Two" not in exported(one, exclude=["rooms.Booking"])


@pytest.mark.acceptance
def test_what_is_left_out_is_referred_to_by_nothing(world):
    one, _ = world
    data = exported(one, exclude=["rooms.Building"])
    delete_site(one)
    new = imported(data).site
    with override_site(new):
        assert Room.objects.count() == 4
        assert not Room.objects.exclude(building=None).exists()
        assert not Building.objects.exists()


# --- People, and what else is shared ---------------------------------------------------------


def test_people_are_the_same_where_all_of_them_is(world):
    one, _ = world
    person = Person.objects.get()
    data = exported(one)
    delete_site(one)
    person.name = "Somebody else"
    person.save()
    with pytest.raises(TransferRefused, match=r"rooms\.Person 1.*--map"):
        imported(data)
    other = Person.objects.create(name="Ann")
    new = imported(data, map={"rooms.Person": {str(person.pk): other.pk}}).site
    with override_site(new):
        assert {
            room.owner
            for room in Room.objects.filter(name__startswith="One ").exclude(name="One hall")
        } == {other}


@pytest.mark.acceptance
def test_without_the_unknown_references_are_null_and_rows_that_need_them_left_out(world):
    one, _ = world
    data = exported(one)
    delete_site(one)
    Person.objects.update(name="Somebody else")
    report = imported(data, drop_unknown=True)
    assert report.left_out == {"rooms.Room_guests": 1}
    with override_site(report.site):
        assert not Room.objects.exclude(owner=None).exists()
        assert Room.objects.count() == 4


def test_a_map_that_leads_nowhere_is_refused(world):
    data = exported(world[0])
    delete_site(world[0])
    with pytest.raises(TransferRefused, match="not here"):
        imported(data, map={"rooms.Person": {"1": 99}})


# --- Delete ----------------------------------------------------------------------------------


def test_a_site_goes_with_all_that_is_its_own_and_nothing_else(world):
    one, two = world
    theirs, people = everything_of(two), list(Person.objects.values())
    with override_site(two):
        shared = list(Tag.objects.order_by("pk").values())
    before = portrait(two)
    counts = delete_site(one)
    assert counts == {
        "news.Article": 1,
        "rooms.Booking": 1,
        "rooms.Building": 1,
        "rooms.Hall": 1,
        "rooms.Key": 1,
        "rooms.Notice": 1,
        "rooms.Notice: membership": 2,
        "rooms.Room": 4,
        "rooms.Room_guests": 1,
        "rooms.Room_neighbours": 4,
        "rooms.Room_tags": 2,
        "rooms.Tag": 1,
        "sitefleet.SiteConfig": 1,
        "sites.Site": 1,
    }
    assert everything_of(two) == theirs
    assert portrait(two) == before
    assert list(Person.objects.values()) == people
    with override_site(two):
        assert list(Tag.objects.order_by("pk").values()) == shared
    assert list(Site.objects.all()) == [two]
    with cross_site("look"):
        assert not Room.objects.filter(site=one.pk).exists()
        assert [notice.text for notice in Notice.objects.order_by("text")] == ["Two notice", "both"]


@pytest.mark.acceptance
def test_a_rehearsal_of_it_counts_the_same_and_changes_nothing(world):
    one, two = world
    before = everything_of(one), everything_of(two)
    counts = delete_site(one, dry_run=True)
    assert (everything_of(one), everything_of(two)) == before
    assert delete_site(one) == counts


def test_more_rows_than_go_at_once(world, monkeypatch):
    monkeypatch.setattr(deleting, "BATCH", 2)
    one, two = world
    theirs = everything_of(two)
    delete_site(one)
    assert everything_of(two) == theirs
    with cross_site("look"):
        assert not Room.objects.filter(site=one.pk).exists()


def test_a_row_of_two_sites_stays_and_lets_go_of_what_goes(world):
    one, two = world
    with override_site(one):
        both = Notice.objects.get(text="both")
        Notice.objects.filter(pk=both.pk).update(room=Room.objects.first())
    with pytest.raises(TransferRefused, match=r"1 by rooms\.Notice\.room"):
        delete_site(one)  # Notice.room would delete it
    with override_site(one):
        Notice.objects.filter(pk=both.pk).update(room=None)
    delete_site(one)
    with override_site(two):
        assert list(Notice.objects.filter(pk=both.pk)) == [both]


def test_rows_of_other_sites_that_refer_to_it_are_refused(world):
    one, two = world
    with override_site(one):
        ours = Room.objects.first()
    with cross_site("a mistake"):
        Booking.objects.filter(venue=two).update(room=ours)
    before = everything_of(one), everything_of(two)
    for dry_run in (True, False):
        with pytest.raises(TransferRefused, match=r"1 by rooms\.Booking\.room"):
            delete_site(one, dry_run=dry_run)
    assert (everything_of(one), everything_of(two)) == before


def test_rows_that_belong_to_one_site_by_one_field_and_to_another_by_another_are_refused(world):
    one, two = world
    with override_site(two):
        theirs = Room.objects.first()
    with cross_site("a mistake"):
        Key.objects.filter(room__site=one).update(spare=theirs)
    with pytest.raises(TransferRefused, match=r"rooms\.Key\.spare"):
        delete_site(two)
    with pytest.raises(TransferRefused, match=r"rooms\.Key\.spare"):
        exported(one)


def test_its_files_go_when_it_is_gone_and_those_of_others_stay(
    world, files, django_capture_on_commit_callbacks
):
    one, two = world
    with django_capture_on_commit_callbacks(execute=True):
        delete_site(one)
        assert len(files()) == 4
    assert [name.split("/")[1] for name in files()] == [str(two.pk)] * 2


def test_files_can_be_kept(world, files, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        delete_site(world[0], with_media=False)
    assert len(files()) == 4


# --- How it is done --------------------------------------------------------------------------


def test_the_statements_do_not_grow_with_the_rows(world, django_assert_max_num_queries):
    one, _ = world
    with override_site(one):
        Redirect.objects.bulk_create(
            [Redirect(site=one, old_path=f"/{number}/") for number in range(1500)]
        )
    with django_assert_max_num_queries(80):
        exported(one)
    connection.queries_log.clear()


def test_accounts_are_not_among_the_rows(world):
    User.objects.create_user("ann", "ann@example.org", "secret")
    assert not [record for record in records_in(exported(world[0])) if "auth" in str(record)]


def test_the_header_tells_what_comes(world):
    header = records_in(exported(world[0]))[0]
    assert header["site"]["slug"] == "one"
    assert header["models"]["rooms.Hall"] == {"fields": ["room_ptr", "seats"], "rows": 1}
    assert "site" not in header["models"]["rooms.Room"]["fields"]
    assert Hall.objects.model._meta.label in header["models"]


def test_what_is_exported_is_told_as_it_goes(world):
    told = []
    exporter = Exporter(world[0], progress=lambda *state: told.append(state[:2]))
    list(exporter.records())
    assert (19, 19) in told
