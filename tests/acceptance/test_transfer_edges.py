"""Links, files that change or fail, hooks that raise, models that hang together in odd ways."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, default_storage
from django.db import models, transaction
from django.db.models.signals import post_save

from sitefleet import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.persite.storage.backend import PATH as SITE_STORAGE
from sitefleet.registry import add_site
from sitefleet.scoping import SiteField
from sitefleet.scoping.transfer import receiving
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.export import Exporter
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.media import walk
from sitefleet.scoping.transfer.options import ImportOptions
from tests.rooms.models import Room
from tests.scoping.test_transfer_kinds import define, models_of
from tests.scoping.transferring import exported, imported, records_in, whole

pytestmark = pytest.mark.acceptance
NEXT = ImportOptions(slug="next", domain="next.example.org")
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["TEST_DATABASE_NAME"] = sys.argv.pop(1)
from sitefleet.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def media(settings, tmp_path):
    """The folder of all sites, on the disk."""
    options = {"OPTIONS": {"location": str(tmp_path / "media")}}
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": SITE_STORAGE, "OPTIONS": options},
    }
    settings.SITE_ID = None
    return tmp_path / "media" / "sites"


@pytest.fixture
def site(file_database, media):
    ContentType.objects.clear_cache()  # what it knows may be of another database
    return add_site("one", name="One", domain="one.example.org")


def of_site():
    return SiteField(Site, models.CASCADE, related_name="+")


def save(site, name, text=b"text"):
    with override_site(site):
        return default_storage.save(name, ContentFile(text))


def files_in(data):
    return {record["file"]: record["size"] for record in records_in(data) if "file" in record}


def failing(site):
    """Return the records of a site that are refused at their end."""
    return [record for record in records_in(exported(site)) if "end" not in record]


# --- Files -----------------------------------------------------------------------------------


def test_links_are_not_followed_and_what_they_lead_to_stays(site, media, tmp_path):
    two = add_site("two", name="Two", domain="two.example.org")
    save(site, "pics/a.txt")
    save(two, "pics/b.txt")
    (tmp_path / "secret").write_text("secret")
    os.mkfifo(media / str(two.pk) / "pipe")
    for name, target in (
        ("folder", media / str(site.pk) / "pics"),
        ("file", tmp_path / "secret"),
        ("loop", media / str(two.pk)),
        ("broken", tmp_path / "nothing"),
    ):
        (media / str(two.pk) / name).symlink_to(target)
    told = dict.fromkeys(("folder", "file", "loop", "broken", "pipe"))
    assert files_in(exported(two)) == {"pics/b.txt": 4} | told
    new = clone_site(two, NEXT).site
    with override_site(new):
        assert list(walk(default_storage)) == ["pics/b.txt"]
    delete_site(two)
    assert not (media / str(two.pk)).exists()
    assert (tmp_path / "secret").read_text() == "secret"
    with override_site(site):
        assert list(walk(default_storage)) == ["pics/a.txt"]


def test_a_folder_of_a_site_that_is_a_link_goes_and_what_it_leads_to_stays(site, media):
    two = add_site("two", name="Two", domain="two.example.org")
    save(site, "a.txt")
    (media / str(two.pk)).symlink_to(media / str(site.pk))
    delete_site(two)
    assert [path.name for path in media.iterdir()] == [str(site.pk)]
    assert [path.name for path in (media / str(site.pk)).iterdir()] == ["a.txt"]


def test_a_file_that_grows_is_written_down_as_it_was(site, media):
    save(site, "log.txt", b"1" * 200_000)
    records = []
    for record in Exporter(site).records():
        records.append(record)
        with (media / str(site.pk) / "log.txt").open("ab") as file:
            file.write(b"more")
    new = imported(whole(records), slug="next", domain="next.example.org").site
    with override_site(new), default_storage.open("log.txt") as file:
        assert set(file.read(200_000)) == {ord("1")}


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"a\\b.txt"], ids=["bytes", "backslash"])
def test_names_that_cannot_be_carried_are_refused_and_deleted_all_the_same(site, media, name):
    (media / str(site.pk)).mkdir(parents=True)
    (media / str(site.pk) / os.fsdecode(name)).write_text("x")
    with pytest.raises(TransferRefused, match="--no-media"):
        clone_site(site, NEXT)
    assert clone_site(site, NEXT, with_media=False).files == 0


@pytest.mark.parametrize("moves", [False, True], ids=["raced", "renaming"])
def test_what_fails_removes_in_shared_storages_only_what_it_has_saved(site, tmp_path, moves):
    class Busy(FileSystemStorage):
        def save(self, name, content, max_length=None):
            super().save(name, ContentFile(b"of somebody else"))
            return super().save(name, content, max_length)

    class Renaming(FileSystemStorage):
        def get_available_name(self, name, max_length=None):
            return super().get_available_name(f"{uuid.uuid4().hex}.txt", max_length)

    storage = (Renaming if moves else Busy)(tmp_path / "shared")
    paper = define("Paper", site=of_site(), file=models.FileField(storage=storage))
    with models_of(paper):
        with override_site(site):
            paper.objects.create(file=ContentFile(b"text", "a.txt"))
        before = len(storage.listdir("")[1])
        with pytest.raises(TransferRefused, match="end is missing"):
            imported(whole(failing(site)), slug="next", domain="next.example.org")
        texts = sorted(Path(storage.path(name)).read_bytes() for name in storage.listdir("")[1])
        assert texts.count(b"text") == 1
        assert len(texts) == before + (not moves)


def test_a_name_that_is_as_long_as_it_may_be_is_shortened_where_it_is_taken(site):
    storage = InMemoryStorage()
    paper = define("Paper", site=of_site(), file=models.FileField(storage=storage, max_length=100))
    with models_of(paper):
        with override_site(site):
            name = storage.save("x" * 96 + ".txt", ContentFile(b"text"))
            paper.objects.create(file=name)
        new = clone_site(site, NEXT).site
        with override_site(new):
            copy = paper.objects.get().file
            assert (copy.name != name, len(copy.name), copy.read()) == (True, 100, b"text")


class CloudError(Exception):
    """What storages raise that are no disks."""


def test_errors_of_storages_are_told_and_stop_neither_an_undo_nor_a_deletion(
    site, monkeypatch, caplog
):
    names = [save(site, name) for name in ("a.txt", "b.txt", "c.txt")]
    good, calls = FileSystemStorage.delete, []

    def delete(self, name, *_):
        calls.append(name)
        if len(calls) == 1:
            raise CloudError("503")
        good(self, name)

    monkeypatch.setattr(FileSystemStorage, "delete", delete)
    with pytest.raises(TransferRefused, match="end is missing"):
        imported(whole(failing(site)), slug="next", domain="next.example.org")
    assert {name.split("/")[-1] for name in calls} >= set(names)
    assert "is left: 503" in caplog.text
    monkeypatch.setattr(FileSystemStorage, "_open", delete)
    calls.clear()
    with pytest.raises(TransferRefused, match=r"'a\.txt': CloudError: 503"):
        exported(site)
    calls.clear()
    delete_site(site)
    assert not Site.objects.filter(pk=site.pk).exists()
    assert f"Files of site {site.pk} are left" in caplog.text


# --- Once, and before the hooks of others ----------------------------------------------------


def test_a_hook_that_raises_after_the_commit_leaves_the_files(site):
    save(site, "a.txt")

    def hook(**_):
        transaction.on_commit(lambda: 1 / 0)

    post_save.connect(hook, sender=Site)
    try:
        with pytest.raises(ZeroDivisionError):
            clone_site(site, NEXT)
    finally:
        post_save.disconnect(hook, sender=Site)
    with override_site(Site.objects.get(siteconfig__slug="next")):
        assert default_storage.exists("a.txt")


def test_files_are_removed_once_when_nobody_else_can_have_the_id(site, monkeypatch):
    save(site, "a.txt")
    within, undo = [], receiving.Receiver.undo

    def noted(self):
        within.append(transaction.get_connection().in_atomic_block)
        undo(self)

    monkeypatch.setattr(receiving.Receiver, "undo", noted)
    with pytest.raises(TransferRefused):
        imported(whole(failing(site)), slug="next", domain="next.example.org")
    assert within == [True]


# --- Models ----------------------------------------------------------------------------------


def test_a_row_goes_along_by_each_of_its_fields(site):
    stop = define("Stop", site=of_site())
    detail = define("Detail", stop=models.OneToOneField(stop, models.CASCADE, primary_key=True))
    ways = {"null": True, "related_name": "+"}
    late = define(
        "Late",
        stop=models.ForeignKey(stop, models.CASCADE, **ways),
        detail=models.ForeignKey(detail, models.CASCADE, **ways),
        parent=models.ForeignKey("self", models.CASCADE, **ways),
    )
    with models_of(stop, detail, late):
        with override_site(site):
            first = stop.objects.create()
            late.objects.create(stop=first)
            late.objects.create(detail=detail.objects.create(stop=first))
        assert Exporter(site).count()["rooms.Late"] == 2
        delete_site(site)
        assert late.objects.count() == 0


def test_references_to_any_model_find_keys_of_all_kinds_and_child_tables_and_proxies(site):
    mark = define(
        "Mark",
        kind=models.ForeignKey(ContentType, models.CASCADE, related_name="+"),
        key=models.CharField(max_length=50),
        of=GenericForeignKey("kind", "key", for_concrete_model=False),
        room=models.ForeignKey(Room, models.CASCADE, null=True, related_name="+"),
    )
    thing = define(
        "Thing",
        id=models.UUIDField(primary_key=True, default=uuid.uuid4),
        site=of_site(),
        marks=GenericRelation(mark, "key", "kind"),
    )
    body = {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "rooms"})}
    child = type("ThingChild", (thing,), body)
    meta = type("Meta", (), {"app_label": "rooms", "proxy": True})
    proxy = type("ThingProxy", (thing,), {"__module__": __name__, "Meta": meta})
    try:
        with models_of(mark, thing, child):
            with override_site(site):
                first, second = thing.objects.create(), child.objects.create()
                for row in (first, second, proxy(pk=first.pk)):
                    ContentType.objects.get_for_model(type(row), for_concrete_model=False)
                    mark.objects.create(of=row)
                mark.objects.create(of=first, room=Room.objects.create(name="room"))
            new = clone_site(site, NEXT).site
            delete_site(site)
            with override_site(new):
                assert len(mark.objects.all()) == 4
                assert thing.objects.get(thingchild=None).marks.count() == 2
                assert child.objects.get().marks.count() == 1
                assert {row.of.site_id for row in mark.objects.all()} == {new.pk}
    finally:
        ContentType.objects.clear_cache()


def test_a_reference_to_a_row_of_any_model_that_is_gone_refers_to_nothing(site):
    log = define(
        "Entry",
        site=of_site(),
        kind=models.ForeignKey(ContentType, models.CASCADE, related_name="+"),
        key=models.PositiveIntegerField(null=True),
        of=GenericForeignKey("kind", "key"),
    )
    with models_of(log):
        for more in (0, 1):
            with override_site(site):
                gone = Room.objects.create(name="gone")
                log.objects.create(of=gone)
                gone.delete()
                Room.objects.bulk_create([Room(name="there")] * more)
            new = clone_site(
                site, ImportOptions(slug=f"n{more}", domain=f"n{more}.example.org")
            ).site
            with override_site(new):
                assert set(log.objects.values_list("key", flat=True)) == {None}


def test_a_parent_whose_rows_are_of_no_site_is_refused(site):
    base = define("Base", name=models.CharField(max_length=9))
    body = {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "rooms"})}
    child = type("BaseChild", (base,), {**body, "site": of_site()})
    with models_of(base, child):
        with pytest.raises(TransferRefused, match=r"rooms\.Base of none: declare rooms\.Base"):
            exported(site)
        with pytest.raises(TransferRefused, match=r"rooms\.Base of none"):
            delete_site(site)
        assert exported(site, exclude=["rooms.BaseChild"])


def test_a_site_that_rows_refer_to_in_hiding_is_not_taken_over(file_database, media):
    first = Site.objects.get()
    hidden = define("Hidden", site=of_site())
    with models_of(hidden):
        with override_site(first):
            hidden.objects.create()
        assert add_site("new", domain="new.example.org") != first
        with override_site(first):
            hidden._base_manager.all().delete()
    Site.objects.exclude(pk=first.pk).delete()
    assert add_site("newer", domain="newer.example.org") == first


def test_a_model_without_rows_of_sites_is_not_excluded_in_silence():
    for label in ("auth.User", "sites.Site"):
        with pytest.raises(TransferRefused, match=f"{label} has no rows of a site"):
            find_graph([label])


# --- Standard output -------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/dev/full", "a closed pipe"])
def test_standard_output_that_takes_no_more_is_told_in_a_line(site, file_database, target):
    with override_site(site):
        Room.objects.bulk_create([Room(name=f"{number}") for number in range(5000)])
    command = [sys.executable, "-c", MANAGE, str(file_database)]
    command += ["sites", "export", "one", "-", "--skip-checks"]
    if target == "/dev/full":
        with Path(target).open("wb") as full:
            done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE)
    else:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "took no more" in said
    assert len(said.splitlines()) == 1
