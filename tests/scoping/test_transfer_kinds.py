"""Keys of all kinds, references to any model, rings of rows, files elsewhere: made for a test."""

import uuid
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import connection, models
from django.utils import timezone

from sitefleet import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.registry import add_site
from sitefleet.scoping import SiteField, cross_site
from sitefleet.scoping.scopes import scopes
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.finding import find_graph
from sitefleet.scoping.transfer.options import ImportOptions
from tests.scoping.madeup import forget
from tests.scoping.transferring import exported, imported, records_in, whole

pytestmark = pytest.mark.acceptance
NEXT = ImportOptions(slug="next", domain="next.example.org")


@contextmanager
def models_of(*classes):
    """Let models be, with tables, for a while."""
    with connection.schema_editor() as editor:
        for model in classes:
            editor.create_model(model)
    scopes.find()
    try:
        yield
    finally:
        forget(classes)
        with connection.schema_editor() as editor:
            for model in reversed(classes):
                editor.delete_model(model)


@pytest.fixture
def site(file_database, settings):
    settings.STORAGES = {**settings.STORAGES}
    settings.SITE_ID = None
    return add_site("one", name="One", domain="one.example.org")


def define(name, /, **body):
    body = {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "rooms"}), **body}
    return type(name, (models.Model,), body)


def test_rings_of_rows_and_trees_are_closed_again(site):
    tree = define(
        "Tree",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        name=models.CharField(max_length=9),
        parent=models.ForeignKey("self", models.CASCADE, null=True, related_name="+"),
        best=models.ForeignKey("rooms.Leaf", models.SET_NULL, null=True, related_name="+"),
    )
    leaf = define("Leaf", tree=models.ForeignKey(tree, models.CASCADE, related_name="+"))
    with models_of(tree, leaf):
        with override_site(site):
            first = tree.objects.create(name="first")
            second = tree.objects.create(name="second", parent=first)
            tree.objects.filter(pk=first.pk).update(
                parent=second, best=leaf.objects.create(tree=second)
            )
        new = clone_site(site, NEXT).site
        with override_site(new):
            one, two = tree.objects.order_by("name")
            assert {one.pk, two.pk}.isdisjoint({first.pk, second.pk})
            assert (one.parent, two.parent, one.best.tree) == (two, one, two)
        delete_site(site)
        with override_site(new):
            assert (tree.objects.count(), leaf.objects.count()) == (2, 1)
        delete_site(new)
        assert leaf.objects.count() == 0


def test_a_ring_that_cannot_be_opened_is_refused(site):
    egg = define(
        "Egg",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        hen=models.ForeignKey("rooms.Hen", models.CASCADE, related_name="+"),
    )
    hen = define(
        "Hen",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        egg=models.ForeignKey(egg, models.CASCADE, related_name="+"),
    )
    with models_of(egg, hen), pytest.raises(TransferRefused, match=r"rooms\.Egg, rooms\.Hen"):
        find_graph()


def test_keys_that_mean_something_stay_where_they_are_free(site):
    token = define(
        "Token",
        key=models.UUIDField(primary_key=True, default=uuid.uuid4),
        site=SiteField(Site, models.CASCADE, related_name="+"),
    )
    word = define(
        "Word",
        text=models.CharField(max_length=9, primary_key=True),
        token=models.ForeignKey(token, models.CASCADE, related_name="+"),
    )
    with models_of(token, word):
        with override_site(site):
            first = token.objects.create()
            word.objects.create(text="a", token=first)
        with pytest.raises(TransferRefused, match=r"rooms\.Word a is there already"):
            clone_site(site, NEXT)
        new = clone_site(
            site, ImportOptions(slug="n", domain="n.example.org", exclude=("rooms.Word",))
        )
        with override_site(new.site):
            assert token.objects.get().pk != first.pk
        delete_site(new.site)
        data = exported(site)
        delete_site(site)
        new = imported(data).site
        with override_site(new):
            assert token.objects.get() == first
            assert word.objects.get().token == first


def test_references_to_any_model_follow(site):
    mark = define(
        "Mark",
        kind=models.ForeignKey(ContentType, models.CASCADE, related_name="+"),
        key=models.TextField(),
        of=GenericForeignKey("kind", "key"),
        text=models.CharField(max_length=9),
    )
    thing = define(
        "Thing",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        marks=GenericRelation(mark, "key", "kind"),
    )
    log = define(
        "Entry",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        content_type=models.ForeignKey(ContentType, models.CASCADE, null=True, related_name="+"),
        object_id=models.TextField(null=True),
    )
    with models_of(mark, thing, log):
        other = add_site("two", name="Two", domain="two.example.org")
        kind = ContentType.objects.get_for_model(thing)
        for each in (site, other):
            with override_site(each):
                row = thing.objects.create()
                mark.objects.create(of=row, text=each.name)
                log.objects.create(content_type=kind, object_id=str(row.pk))
                log.objects.create(content_type=kind, object_id="999")
        new = clone_site(site, NEXT).site
        with override_site(new):
            (copy,) = thing.objects.all()
            assert [item.text for item in copy.marks.all()] == ["One"]
            entries = log.objects.order_by("pk").values_list("object_id", flat=True)
            assert list(entries) == [str(copy.pk), None]
        assert mark.objects.count() == 3
        delete_site(site)
        assert sorted(item.text for item in mark.objects.all()) == ["One", "Two"]


def test_files_elsewhere_get_another_name_and_speak_of_no_others(site):
    storage = InMemoryStorage()
    paper = define(
        "Paper",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        file=models.FileField(storage=storage, upload_to="papers"),
    )
    with models_of(paper):
        with override_site(site):
            first = paper.objects.create(file=ContentFile(b"text", "a.txt"))
        storage.save("secret.txt", ContentFile(b"of others"))
        new = clone_site(site, NEXT).site
        with override_site(new):
            copy = paper.objects.get()
            assert copy.file.name != first.file.name
            assert copy.file.read() == b"text"
        records = records_in(exported(site))
        row = next(record for record in records if record.get("row") == "rooms.Paper")
        row["values"][1] = "secret.txt"
        with pytest.raises(TransferRefused, match=r"secret\.txt"):
            imported(whole(records), slug="other", domain="other.example.org")
        new = clone_site(
            site, ImportOptions(slug="b", domain="b.example.org"), with_media=False
        ).site
        with override_site(new):
            assert paper.objects.get().file.name == ""
        storage.delete(first.file.name)
        assert storage.listdir("papers")[1] != []


def test_values_of_all_kinds_come_as_they_went(site):
    import datetime as dt  # noqa: PLC0415
    from decimal import Decimal  # noqa: PLC0415

    values = {
        "flag": True,
        "number": 2**62,
        "part": 0.1 + 0.2,
        "money": Decimal("1.10"),
        "moment": dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC),
        "day": dt.date(2026, 1, 2),
        "time": dt.time(1, 2, 3, 456789),
        "span": dt.timedelta(days=1, microseconds=7),
        "data": {"a": [1, None, "ä"], "b": {"c": 1.5}},
        "nothing": None,
        "raw": b"\0\xff",
        "token": uuid.UUID(int=7),
        "address": "2001:db8::1",
    }
    box = define(
        "Box",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        flag=models.BooleanField(),
        number=models.BigIntegerField(),
        part=models.FloatField(),
        money=models.DecimalField(max_digits=9, decimal_places=2),
        moment=models.DateTimeField(),
        day=models.DateField(),
        time=models.TimeField(),
        span=models.DurationField(),
        data=models.JSONField(),
        nothing=models.JSONField(null=True),
        raw=models.BinaryField(),
        token=models.UUIDField(),
        address=models.GenericIPAddressField(),
        made=models.DateTimeField(auto_now_add=True),
    )
    with models_of(box):
        with override_site(site):
            first = box.objects.create(**values)
        data = exported(site)
        delete_site(site)
        new = imported(data).site
        with override_site(new):
            copy = box.objects.get()
        assert {name: getattr(copy, name) for name in values} == values
        assert copy.made == first.made


def test_accounts_are_found_made_or_refused(site):
    post = define(
        "Post",
        site=SiteField(Site, models.CASCADE, related_name="+"),
        author=models.ForeignKey(User, models.PROTECT, related_name="+"),
    )
    with models_of(post):
        ann = User.objects.create_user("ann", "ann@example.org", is_superuser=True)
        with override_site(site):
            post.objects.create(author=ann)
        data = exported(site)
        delete_site(site)
        assert imported(data).rows == {"rooms.Post": 1}
        delete_site(Site.objects.get(siteconfig__slug="one"))
        User.objects.update(email="other@example.org", date_joined=timezone.now())
        with pytest.raises(TransferRefused, match=r"auth\.User 1 ann"):
            imported(data)
        with pytest.raises(TransferRefused, match="Somebody else is 'ann'"):
            imported(data, create_users=True)
        assert imported(data, drop_unknown=True).left_out == {"rooms.Post": 1}
        delete_site(Site.objects.get(siteconfig__slug="one"))
        with cross_site("of no site"):
            User.objects.all().delete()
        new = imported(data, create_users=True).site
        with override_site(new):
            author = post.objects.get().author
        assert (author.username, author.email) == ("ann", "ann@example.org")
        assert (author.is_active, author.is_superuser) == (False, False)
        assert not author.has_usable_password()
