"""Export, import, clone and delete on PostgreSQL, and with many rows in little memory."""

import io
import subprocess
import sys
from contextlib import contextmanager

import pytest
from django.contrib.sites.models import Site
from django.db import connection, transaction

from sitefleet import override_site
from sitefleet.scoping.transfer import importing
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.export import Exporter, snapshot
from sitefleet.scoping.transfer.fileformat import read, write
from sitefleet.scoping.transfer.importing import import_site
from sitefleet.scoping.transfer.options import ImportOptions
from tests.databases import elsewhere
from tests.rooms.models import Building, Room
from tests.scoping.transferring import everything_of, exported, imported, make_world, portrait

pytestmark = pytest.mark.acceptance
NEXT = ImportOptions(slug="next", domain="next.example.org")
#: Megabytes that tenfold rows may cost more: what databases and allocators keep.
MORE = 20

MANY = """
import os, resource, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["TEST_DATABASE_NAME"] = sys.argv[1]
import django
django.setup()
from sitefleet import override_site
from sitefleet.registry import add_site
from sitefleet.scoping.transfer import importing
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.options import ImportOptions
from tests.rooms.models import Key, Room
site = add_site("one", domain="one.example.org")
with override_site(site):
    for start in range(0, int(sys.argv[2]) // 2, 1000):
        rooms = Room.objects.bulk_create([Room(name=f"{n}") for n in range(start, start + 1000)])
        Key.objects.bulk_create([Key(room=room) for room in rooms])
report = clone_site(site, ImportOptions(slug="two", domain="two.example.org"))
delete_site(site)
print(sum(report.rows.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.fixture
def world(postgres, settings):
    settings.STORAGES = {**settings.STORAGES}
    settings.SITE_ID = None
    return make_world()


def test_a_site_comes_back_on_postgresql(world):
    one, two = world
    before, theirs = portrait(one), everything_of(two)
    data = exported(one)
    delete_site(one)
    new = imported(data).site
    assert portrait(new) == before
    assert everything_of(two) == theirs


def test_new_rows_get_new_keys_right_after_an_import(world):
    new = imported(exported(world[0]), slug="next", domain="next.example.org").site
    taken = set(Room._base_manager.filter(site__in=[new.pk]).values_list("pk", flat=True))
    with override_site(new):
        assert Room.objects.create(name="more").pk not in taken


def test_an_export_shows_one_moment_whoever_writes(world):
    one, _ = world
    exporter = Exporter(one)

    def add():
        with override_site(one):
            Room.objects.create(name="later")

    stream = io.BytesIO()
    with snapshot("default"):
        records = exporter.records()
        first = next(records)
        elsewhere(add)

        def rest():
            yield first
            yield from records

        write(rest(), stream)
    assert b"later" not in stream.getvalue()
    stream.seek(0)
    assert import_site(read(stream), NEXT).rows["rooms.Room"] == 4
    with connection.cursor() as cursor, override_site(one):
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("read committed",)


def meanwhile(monkeypatch, label, change):
    """Let `change` be done on another connection, right before the rows of a model are read."""
    pages, done = Exporter._pages, []

    def wrapped(self, node):
        if node.label == label and not done:
            done.append(elsewhere(change))
        return pages(self, node)

    monkeypatch.setattr(Exporter, "_pages", wrapped)


def test_a_clone_is_of_one_moment_whoever_writes(world, monkeypatch):
    one, _ = world
    before = portrait(one)

    def change():
        with override_site(one), transaction.atomic():
            Room.objects.create(name="later")
            Building.objects.update(name="later")
            Room.objects.update(size=7)

    meanwhile(monkeypatch, "rooms.Room", change)  # of whose buildings the rows have been read
    assert portrait(clone_site(one, NEXT).site) == before
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("read committed",)


def test_a_clone_is_tried_again_where_others_change_the_fleet(world, monkeypatch):
    one, _ = world
    before = portrait(one)
    lock, tries = importing.registry_lock, []

    def change():
        with lock("default"):
            pass

    @contextmanager
    def locked(using):
        tries.append(using)
        with transaction.atomic(using):
            if len(tries) == 1:
                Site.objects.count()  # from here on it sees one moment
                elsewhere(change)
            with lock(using):
                yield

    monkeypatch.setattr(importing, "registry_lock", locked)
    new = clone_site(one, NEXT).site
    assert (len(tries), portrait(new)) == (2, before)


def test_a_clone_and_its_end_on_postgresql(world):
    one, two = world
    before, ours, theirs = portrait(one), everything_of(one), everything_of(two)
    new = clone_site(one, NEXT).site
    assert portrait(new) == before
    delete_site(new)
    assert everything_of(one) == ours
    assert everything_of(two) == theirs


def test_memory_does_not_grow_with_the_rows(migrated_file, tmp_path):
    peaks = []
    for rows in (20_000, 200_000):
        path = tmp_path / f"{rows}.sqlite3"
        path.write_bytes(migrated_file.read_bytes())
        command = [sys.executable, "-c", MANY, str(path), str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        copied, peak = map(int, done.stdout.split())
        assert copied == rows
        peaks.append(peak)
    assert peaks[1] - peaks[0] < MORE
