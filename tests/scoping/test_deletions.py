"""Deleting takes no row of another site with it, and says which one stands in the way."""

import re

import pytest
from django.db import connection, models, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite
from sitefleet.scoping import SharedSiteModel, SiteModel, batches, cross_site
from sitefleet.scoping.guard import rows
from tests.rooms.models import Building, Notice, Room
from tests.scoping.madeup import Plain, tables_of


@pytest.fixture
def by_database(world, monkeypatch):
    """A tree of no site, on rooms; and leaves of sites on it. All by the database."""
    if not hasattr(models, "DB_CASCADE"):
        pytest.skip("from Django 6.1 on")

    class Tree(Plain):
        room = models.ForeignKey(Room, models.DB_CASCADE, null=True, related_name="+")
        above = models.ForeignKey("self", models.DB_CASCADE, null=True, related_name="+")
        beside = models.ForeignKey(
            "self", models.DB_SET_NULL, null=True, related_name="+", db_index=False
        )

        class Meta:
            app_label = "rooms"

    class Leaf(SiteModel):
        tree = models.ForeignKey(Tree, models.DB_CASCADE, related_name="+")

        class Meta:
            app_label = "rooms"

    with tables_of(monkeypatch, Tree, Leaf):
        yield Tree, Leaf


@pytest.mark.django(6, 1)
def test_what_the_database_deletes_with_a_row_of_a_site_is_looked_at(world, by_database):
    tree, leaf = by_database
    with override_site(world.a.site):
        root = tree.objects.create(room=world.a.room)
        above = root
        for _ in range(3):
            above = tree.objects.create(above=above)
        mine = leaf.objects.create(tree=above)
    with override_site(world.b.site):
        theirs = leaf.objects.create(tree=above)
    with override_site(world.a.site):
        for delete in (
            world.a.room.delete,
            Room.objects.filter(name="aa-room").delete,
            lambda: QuerySet(Room).filter(pk=world.a.room.pk)._raw_delete("default"),
            root.delete,
        ):
            with pytest.raises(CrossSiteWrite, match="Leaf"), transaction.atomic():
                delete()
    with override_site(world.b.site):
        theirs.delete()
    with override_site(world.a.site):
        root.delete()
        assert not leaf.objects.filter(pk=mine.pk).exists()


@pytest.mark.django(6, 1)
def test_rings_of_what_the_database_deletes_end(world, by_database):
    tree, leaf = by_database
    one = tree.objects.create()
    two = tree.objects.create(above=one)
    tree.objects.filter(pk=one.pk).update(above=two)
    with override_site(world.a.site):
        leaf.objects.create(tree=two)
        one.delete()
        assert not tree.objects.exists()


@pytest.mark.django(6, 1)
def test_what_the_database_sets_to_null_stays_with_all_that_hangs_on_it(world, by_database):
    tree, leaf = by_database
    one = tree.objects.create()
    two = tree.objects.create(beside=one)
    with override_site(world.b.site):
        leaf.objects.create(tree=two)
    with override_site(world.a.site):
        one.delete()
    assert tree.objects.get() == two


@pytest.mark.django(6, 1)
def test_a_tree_with_nothing_of_sites_on_it_is_none_of_our_business(world, monkeypatch):
    class Twig(Plain):
        above = models.ForeignKey("self", models.DB_CASCADE, null=True, related_name="+")

        class Meta:
            app_label = "rooms"

    with tables_of(monkeypatch, Twig):
        twig = Twig.objects.create()
        Twig.objects.create(above=twig)
        assert rows.get_relations(Twig) == []
        twig.delete()
        assert not Twig.objects.exists()


def test_a_row_to_which_a_shared_one_refers_stays(world, monkeypatch):
    class Sign(SharedSiteModel):
        house = models.ForeignKey(Building, models.SET_NULL, null=True, related_name="+")

        class Meta:
            app_label = "rooms"

    with tables_of(monkeypatch, Sign):
        with override_site(world.a.site):
            house = Building.objects.create(name="new")
            mine = Sign.objects.create(house=house)
        with cross_site("for all"):
            shared = Sign.objects.create(site=None, house=house)
        with override_site(world.a.site):
            with pytest.raises(CrossSiteWrite, match="Sign"), transaction.atomic():
                house.delete()
            with cross_site("for all"):
                shared.delete()
            house.delete()
            assert Sign.objects.get(pk=mine.pk).house is None
            connection.check_constraints()


def test_a_row_to_which_one_of_another_site_alone_refers_stays(world):
    with override_site(world.a.site):
        left = Notice.objects.create(text="left", room=world.a.room)
        with cross_site("handed over"):
            left.sites.set([world.b.site])
        with pytest.raises(CrossSiteWrite, match="Notice"), transaction.atomic():
            world.a.room.delete()


def test_more_rows_are_deleted_than_a_statement_has_variables(world, monkeypatch):
    monkeypatch.setattr(batches, "KEYS", 3)
    with override_site(world.a.site), CaptureQueriesContext(connection) as queries:
        made = [Notice.objects.create(text=str(number), room=world.a.room) for number in range(8)]
        Notice.objects.filter(text="7").delete()
        world.a.room.delete()
        assert not Notice.objects.filter(pk__in=[notice.pk for notice in made[:3]]).exists()
    # What a statement of Django's deletes is a list of Django's.
    asked = [query["sql"] for query in queries if "IN (SELECT" not in query["sql"]]
    ours = [sql for sql in asked if "IS NOT TRUE" in sql]
    lists = [found.split(",") for sql in ours for found in re.findall(r" IN \(([\d, ]+)\)", sql)]
    assert [len(keys) for keys in lists].count(3) >= 2
    assert max(map(len, lists)) == 3
    world.assert_theirs_untouched()


def test_keys_are_asked_for_in_batches():
    sizes = [len(some) for some in batches.batches(range(2 * batches.KEYS + 1))]
    assert sizes == [batches.KEYS, batches.KEYS, 1]
