"""Values that come in: made anew, or refused; and what makes a row one of the site."""

import io
import uuid

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.db import connection, models

from sitefleet import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.registry import add_site
from sitefleet.scoping import SiteField, cross_site
from sitefleet.scoping.transfer import fileformat, inserting
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.references import describe
from tests.scoping.test_transfer_kinds import NEXT, define, models_of, site  # noqa: F401
from tests.scoping.test_transfer_people import key_to, with_site
from tests.scoping.transferring import exported, imported, records_in, whole

pytestmark = pytest.mark.acceptance  # they make tables
BESIDE = {"slug": "next", "domain": "next.example.org"}


@pytest.fixture(autouse=True)
def _kinds_of_now():
    """Forget the content types of the models of other tests."""
    ContentType.objects.clear_cache()
    yield
    ContentType.objects.clear_cache()


def row_of(records, label):
    """Return the first row of a model in a file, and where its fields are."""
    values = next(record["values"] for record in records if record.get("row") == label)
    return values, records[0]["models"][label]["fields"].index


# --- To whom a row belongs -------------------------------------------------------------------


def test_a_row_belongs_to_what_came_in_and_not_to_what_is_shared(site):  # noqa: F811
    person = define(
        "Guest",
        site=SiteField(Site, models.CASCADE, null=True, related_name="+"),
        name=models.CharField(max_length=9),
    )
    note = define("GuestNote", guest=key_to(person))
    ticket = with_site("Ticket", guest=key_to(person))
    with models_of(person, note, ticket):
        with cross_site("of all sites"):
            shared = person.objects.create(name="shared", site=None)
        with override_site(site):
            note.objects.create(guest=person.objects.create(name="own", site=site))
            ticket.objects.create(guest=shared)
        records = records_in(exported(site))
        imported(whole(records), **BESIDE)
        delete_site(Site.objects.get(siteconfig__slug="next"))
        values, at = row_of(records, "rooms.GuestNote")
        values[at("guest")] = shared.pk
        ref = next(record for record in records if record.get("ref") == "rooms.Guest")
        records.remove(ref)
        records.insert(1, ref)
        with pytest.raises(TransferRefused, match="belongs to nothing"):
            imported(whole(records), **BESIDE)


def test_a_generic_row_belongs_to_rows_that_have_such_ones(site):  # noqa: F811
    mark = define(
        "Mark",
        kind=key_to(ContentType),
        key=models.CharField(max_length=50),
        of=GenericForeignKey("kind", "key"),
    )
    thing = with_site("Thing", marks=GenericRelation(mark, "key", "kind"))
    post = with_site("Post", author=key_to(User))
    with models_of(mark, thing, post):
        ann = User.objects.create_user("ann", "ann@example.org")
        with override_site(site):
            mark.objects.create(of=thing.objects.create())
            post.objects.create(author=ann)
        records = records_in(exported(site))
        values, at = row_of(records, "rooms.Mark")
        kind = ContentType.objects.get_for_model(User)
        values[at("kind")], values[at("key")] = kind.pk, str(ann.pk)
        records.insert(1, describe(kind, kind.pk) | {"to": "id"})
        with pytest.raises(TransferRefused, match="belongs to nothing"):
            imported(whole(records), **BESIDE)


def test_a_row_that_may_refer_to_any_row_and_refers_to_none_comes_along(site):  # noqa: F811
    act = with_site(
        "Act",
        kind=key_to(ContentType, null=True),
        key=models.CharField(max_length=20, default=""),
        of=GenericForeignKey("kind", "key"),
    )
    with models_of(act):
        with override_site(site):
            act.objects.create()
        report = clone_site(site, NEXT)
        assert (report.rows, report.left_out) == ({"rooms.Act": 1}, {})


def test_a_row_of_two_sites_keeps_the_other_one_in_its_fleet_only(site):  # noqa: F811
    pair = define("Pair", of=key_to(Site), to=key_to(Site))
    other = add_site("two", name="Two", domain="two.example.org")
    with models_of(pair):
        pair.objects.create(of=site, to=other)
        new = clone_site(site, NEXT).site
        assert pair.objects.get(of=new).to == other
        data = exported(site)
        delete_site(new)
        with pytest.raises(TransferRefused, match=r"rooms\.Pair\.to refers to"):
            imported(data, **BESIDE)


# --- Values ----------------------------------------------------------------------------------


def test_what_is_unique_is_made_anew_where_it_is_taken(site):  # noqa: F811
    ticket = with_site("Ticket", code=models.UUIDField(unique=True, default=uuid.uuid4))
    seat = define("Seat", ticket=key_to(ticket, to_field="code"))
    with models_of(ticket, seat):
        with override_site(site):
            first = ticket.objects.create()
            seat.objects.create(ticket=first)
        new = clone_site(site, NEXT).site
        with override_site(new):
            copy = ticket.objects.get()
            assert copy.code != first.code
            assert seat.objects.get(ticket=copy)
        data = exported(site)
        delete_site(site)
        with override_site(imported(data).site):
            assert ticket.objects.get().code == first.code


def test_a_field_that_the_database_fills_may_be_missing(site):  # noqa: F811
    thing = with_site("Thing", number=models.IntegerField(db_default=5))
    with models_of(thing):
        with override_site(site):
            thing.objects.create(number=3)
        records = records_in(exported(site))
        values, at = row_of(records, "rooms.Thing")
        del values[at("number")]
        records[0]["models"]["rooms.Thing"]["fields"].remove("number")
        new = imported(whole(records), **BESIDE).site
        with override_site(new):
            assert thing.objects.get().number == 5


def test_a_tree_that_needs_what_comes_later_is_refused_with_the_reason(site):  # noqa: F811
    tree = with_site("Tree", parent=key_to("self"))
    with models_of(tree):
        with cross_site("a root"), connection.cursor() as cursor:
            sql = "INSERT INTO rooms_tree (id, parent_id, site_id) VALUES (1, 1, %s), (2, 1, %s)"
            cursor.execute(sql, [site.pk, site.pk])
        with pytest.raises(TransferRefused, match=r"rooms\.Tree\.parent .* itself or comes later"):
            clone_site(site, NEXT)


def test_values_that_no_database_takes_are_refused(site):  # noqa: F811
    thing = with_site(
        "Thing",
        number=models.IntegerField(null=True),
        text=models.TextField(default=""),
        moment=models.DateTimeField(null=True),
    )
    with models_of(thing):
        with override_site(site):
            thing.objects.create()
        records = records_in(exported(site))
        values, at = row_of(records, "rooms.Thing")
        before = [*values]
        for name, value in (
            ("number", 2**63),
            ("number", -(2**70)),
            ("text", "\ud800"),
            ("text", "a\0"),
            ("moment", "0001-01-01T00:00:00+14:00"),
            ("moment", "2026-99-99T00:00:00Z"),
            ("moment", 5),
        ):
            values[:] = before
            values[at(name)] = value
            with pytest.raises(TransferRefused, match=r"rooms\.Thing"):
                imported(whole(records), **BESIDE)


def test_rows_are_written_by_their_size_too(site, monkeypatch):  # noqa: F811
    thing = with_site("Thing", text=models.TextField())
    monkeypatch.setattr(inserting, "WEIGHT", 1000)
    sizes = []
    write_rows = inserting.write_rows
    monkeypatch.setattr(
        inserting,
        "write_rows",
        lambda graph, plan, rows, pk: sizes.append(len(rows)) or write_rows(graph, plan, rows, pk),
    )
    with models_of(thing):
        with override_site(site):
            thing.objects.bulk_create([thing(text="x" * 400) for _ in range(7)])
        clone_site(site, NEXT)
    assert sizes == [3, 3, 1]


# --- Lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        {"ref": "auth.User", "key": {"a": 1}},
        {"ref": "auth.User", "key": 5},
        {"ref": "auth.User", "key": [["a"]]},
        {"ref": "auth.User", "key": ["a\0"]},
        {"ref": "auth.User", "key": ["\ud800"]},
        {"ref": "auth.User", "email": {"a": 1}},
        {"ref": "auth.User", "email": "a\0"},
        {"ref": "rooms.Person", "people": ["a"]},
        {"ref": "rooms.Person", "people": {"0.user": 5}},
        {"ref": "rooms.Person", "people": {"0.user": {"key": 5}}},
        {"file": "x" * 300},
        {"file": "d/" * 2000 + "a"},
        {"file": 5},
    ],
    ids=range(13),
)
def test_lines_of_another_shape_are_refused(record):
    stream = io.BytesIO()
    fileformat.write([{"format": "sitefleet.site", "version": 1}, record], stream)
    stream.seek(0)
    with pytest.raises(TransferRefused, match="Line 2"):
        list(fileformat.read(stream))
