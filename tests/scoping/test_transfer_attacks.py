"""What a file says is not believed: none of it reaches beyond the site that it becomes."""

import base64
import gzip
import inspect
import io
import json
from copy import deepcopy

import pytest
from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage

from sitefleet import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.registry import add_alias
from sitefleet.scoping import guard
from sitefleet.scoping.transfer import fileformat
from sitefleet.scoping.transfer.fileformat import read
from sitefleet.scoping.transfer.references import describe, find
from tests.rooms.models import Tag
from tests.scoping.transferring import (
    everything_of,
    exported,
    files_of,
    imported,
    make_world,
    records_in,
    whole,
)

pytestmark = [pytest.mark.django_db, pytest.mark.acceptance]  # four seconds
BESIDE = {"slug": "next", "domain": "next.example.org"}


@pytest.fixture
def world(db, settings):
    settings.STORAGES = {**settings.STORAGES}
    settings.SITE_ID = None
    return make_world()


@pytest.fixture
def records(world):
    """What A's export says."""
    return records_in(exported(world[0]))


def look(world):
    rows = everything_of(world[0]), everything_of(world[1])
    return *rows, files_of(default_storage.inner), Site.objects.count()


@pytest.fixture
def refused(world):
    """Asserts that records are refused, and that nothing is another thing than before."""

    looked = []

    def run(records, match=None, **wishes):
        looked[:] = looked or [look(world)]
        data = records if isinstance(records, bytes) else whole(records)
        with pytest.raises((TransferRefused, ValidationError), match=match) as raised:
            imported(data, **{**BESIDE, **wishes})
        return raised.value

    yield run
    assert [look(world)] == looked


def each(names, values):
    """Run a test for each of the values, in one world: to make one takes longer than the test."""
    names = (names,) if isinstance(names, str) else names

    def decorate(test):
        signature = inspect.signature(test)
        kept = [item for name, item in signature.parameters.items() if name not in names]

        def run(**fixtures):
            for value in values:
                arguments = dict(zip(names, value if len(names) > 1 else (value,), strict=True))
                mine = {k: deepcopy(v) if k == "records" else v for k, v in fixtures.items()}
                try:
                    test(**mine, **deepcopy(arguments))
                except BaseException as error:
                    error.add_note(f"with {arguments}")
                    raise

        run.__name__, run.__signature__ = test.__name__, signature.replace(parameters=kept)
        return run

    return decorate


def rows_of(records, label):
    return [record["values"] for record in records if record.get("row") == label]


def other(world, label):
    """A key of a row of the other site."""
    return everything_of(world[1])[label][0]["id"]


def test_it_is_taken_as_it_is(records):
    assert imported(whole(records), **BESIDE).rows["rooms.Room"] == 4


# --- Keys of others --------------------------------------------------------------------------


@each(
    ("place", "target"),
    [
        (("rooms.Room", 3), "rooms.Building"),
        (("rooms.Room", 5), "rooms.Tag"),
        (("rooms.Booking", 2), "rooms.Room"),
        (("rooms.Hall", 0), "rooms.Room"),
        (("rooms.Key", 1), "rooms.Room"),
        (("rooms.Key", 2), "rooms.Room"),
        (("rooms.Notice", 2), "rooms.Room"),
        (("rooms.Room_tags", 1), "rooms.Room"),
        (("rooms.Room_tags", 2), "rooms.Tag"),
        (("rooms.Room_neighbours", 2), "rooms.Room"),
        (("rooms.Room_guests", 2), "rooms.Room"),
    ],
)
def test_keys_of_rows_of_others_are_refused(world, records, refused, place, target):
    label, position = place
    rows_of(records, label)[0][position] = other(world, target)
    refused(records, "not in the file")


def test_a_site_that_is_another_is_refused_where_it_says_to_which_a_row_belongs(
    world, records, refused
):
    rows_of(records, "news.Article")[0][1] = world[1].pk
    refused(records, "not in the file")
    ref = deepcopy(next(record for record in records if record.get("ref") == "sites.Site"))
    ref |= {"pk": world[1].pk, "key": ["two.example.org"]}
    refused([records[0], ref, *records[1:]], "not in the file")


@each("label", ["rooms.Room", "rooms.Key", "rooms.Building", "rooms.Notice"])
def test_rows_of_sites_cannot_be_called_shared(world, records, refused, label):
    ref = {"ref": label, "pk": other(world, label), "to": "id", "same": "0" * 64}
    refused([records[0], ref, *records[1:]], "not in it")


@pytest.mark.parametrize("guarded", [True, False])
def test_a_shared_row_is_of_no_site(world, records, refused, guarded):
    with override_site(world[1]):
        tag = Tag.objects.get(name="Two")
    rows_of(records, "rooms.Room")[0][5] = tag.pk
    records.insert(1, describe(tag, tag.pk) | {"to": "id"})
    if not guarded:
        guard.uninstall()
    try:
        refused(records, f"rooms.Tag {tag.pk}")
    finally:
        guard.install()


def test_a_field_of_the_site_cannot_be_written(world, records):
    records[0]["models"]["rooms.Room"]["fields"].append("site")
    for values in rows_of(records, "rooms.Room"):
        values.append(world[1].pk)
    with pytest.raises(TransferRefused, match=r"rooms\.Room\.site"):
        imported(whole(records), **BESIDE)
    new = imported(whole(records), **BESIDE, skip_unknown=True).site
    assert {row["site_id"] for row in everything_of(new)["rooms.Room"]} == {new.pk}


def test_the_key_of_a_row_is_a_new_one(world, records):
    records = json.loads(json.dumps(records))
    rows_of(records, "rooms.Booking")[0][0] = other(world, "rooms.Booking")
    before = everything_of(world[1])
    imported(whole(records), **BESIDE)
    assert everything_of(world[1]) == before


# --- Models and fields -----------------------------------------------------------------------


@each("label", ["auth.User", "sites.Site", "sitefleet.SiteConfig", "rooms.Person", "no.Such"])
def test_rows_that_belong_to_no_site_are_refused(records, refused, label):
    records[0]["models"][label] = {"fields": ["id"], "rows": 1}
    refused([*records[:-2], {"row": label, "values": [1]}, *records[-2:]], "Not here are")


def test_rows_that_were_not_announced_are_refused(records, refused):
    refused([*records[:-2], {"row": "auth.User", "values": [1]}, records[-2]], "not announced")
    more = {"row": "rooms.Building", "values": [99, "more"]}
    refused([*records[:-2], more, records[-2]], "not as announced")


@each("values", [[], [1, "a", 2], "text", None, {"id": 1}])
def test_rows_of_another_shape_are_refused(records, refused, values):
    next(record for record in records if record.get("row") == "rooms.Building")["values"] = values
    refused(records, "not as announced")


@each(
    ("position", "value"),
    [
        (1, None),
        (1, "x" * 51),
        (1, ["a"]),
        (1, {"a": 1}),
        (1, "a\0b"),
        (2, "many"),
        (2, None),
        (2, [1]),
        (3, [1]),
        (3, {"$gt": 0}),
        (3, True),
        (3, "1 OR 1=1"),
        (3, 2**70),
    ],
)
def test_values_that_a_field_cannot_be_are_refused(records, refused, position, value):
    values = rows_of(records, "rooms.Room")[0]
    if value is True and values[position] == 1:
        values[position] = "True"
    else:
        values[position] = value
    refused(records)


def test_a_row_that_is_twice_in_it_is_refused(records, refused):
    rows = rows_of(records, "rooms.Room")
    rows[1][0] = rows[0][0]
    refused(records, "same key")


def test_a_row_that_hangs_on_nothing_of_the_site_is_refused(records, refused, monkeypatch):
    rows_of(records, "rooms.Key")[0][1] = None
    refused(records, r"rooms\.Key\.room")
    monkeypatch.setattr("sitefleet.scoping.transfer.inserting.decode", lambda _, value: value)
    refused(records, "belongs to nothing")


def test_defaults_do_not_stand_for_what_must_be_said(records, refused):
    fields = records[0]["models"]["rooms.Key"]["fields"]
    position = fields.index("room")
    fields.remove("room")
    for values in rows_of(records, "rooms.Key"):
        del values[position]
    refused(records, r"rooms\.Key\.room")


# --- Files -----------------------------------------------------------------------------------

NAMES = [
    "../2/logo.txt",
    "/etc/passwd",
    "a/../../b",
    "..\\2\\logo.txt",
    "a//b",
    "./a",
    "",
    "a\0b",
    None,
    7,
    ["a"],
]


@each("name", NAMES)
def test_files_stay_in_the_folder_of_the_site(records, refused, name):
    next(record for record in records if "file" in record)["file"] = name
    refused(records)


@each("storage", ["staticfiles", "other", None, ["default"]])
def test_a_storage_that_is_none_of_sites_is_refused(records, refused, storage):
    next(record for record in records if "file" in record)["storage"] = storage
    refused(records, "storage")


@each("size", [-1, 3, 10**15, "1", True, 1.5])
def test_a_file_of_another_size_is_refused(records, refused, size):
    next(record for record in records if "file" in record)["size"] = size
    refused(records, "size|announced")


@each("data", ["!!!!", 7, None, ["a"], base64.b64encode(b"other").decode()])
def test_a_file_that_was_changed_is_refused(records, refused, data):
    next(record for record in records if "data" in record)["data"] = data
    refused(records, "announced")


def test_a_file_that_is_twice_in_it_is_refused(records, refused):
    start = next(place for place, record in enumerate(records) if "file" in record)
    refused([*records[:start], *records[start : start + 3], *records[start:]], "there already|same")


def test_files_of_a_site_that_had_its_id_are_not_taken_over(world, records, refused):
    ghost = max(site.pk for site in world) + 1
    default_storage.for_site(ghost).save("left.txt", io.BytesIO(b"left"))
    refused(records, "left by")


# --- The site --------------------------------------------------------------------------------


@each(
    ("name", "value"),
    [
        ("slug", 7),
        ("slug", None),
        ("name", ["a"]),
        ("name", "\ud800"),
        ("name", "a\0"),
        ("urlconf", "os"),
        ("urlconf", "tests.urls"),
        ("theme", "../../etc"),
        ("settings", {"SECRET_KEY": "known"}),
        ("settings", ["a"]),
        ("id", "1"),
        ("id", True),
    ],
)
def test_a_site_that_cannot_be_is_refused(records, refused, name, value):
    records[0]["site"][name] = value
    refused(records)


def test_names_of_others_are_refused(world, records, refused):
    add_alias(world[1], "taken.example.org")
    records[0]["site"]["domain"] = "two.example.org"
    refused(records, r"two\.example\.org", domain=None)
    records[0]["site"] |= {
        "domain": "fresh.example.org",
        "aliases": [{"name": "taken.example.org", "redirect": False}],
    }
    refused(records, r"taken\.example\.org", domain=None)


@each("facts", [None, [], {}, "site", {"slug": "a"}])
def test_a_file_of_no_site_is_refused(records, refused, facts):
    records[0]["site"] = facts
    refused(records)


@each(
    "announced",
    [
        None,
        [],
        {"rooms.Room": None},
        {"rooms.Room": {"fields": "id", "rows": 1}},
        {"rooms.Room": {"fields": ["id", "id"], "rows": 1}},
        {"rooms.Room": {"fields": ["id"], "rows": -1}},
    ],
)
def test_models_that_are_not_announced_well_are_refused(records, refused, announced):
    records[0]["models"] = announced
    refused(records, "does not say")


# --- The stream ------------------------------------------------------------------------------


def test_a_file_that_ends_anywhere_but_at_its_end_is_refused(world, refused):
    data = exported(world[0])
    lines = data.splitlines(keepends=True)
    for count in range(0, len(lines), 3):
        refused(b"".join(lines[:count]))
    refused(data[:-1])


def test_a_file_that_was_changed_on_its_way_is_refused(world, refused):
    data = exported(world[0])
    refused(data.replace(b"One 0", b"One X"), "digest")
    refused(data + b'{"row":"rooms.Room"}\n', "digest")


@each(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"[]\n",
        b"1\n",
        b"{}\n",
        b"[" * 100_000 + b"\n",
        b"\x1f\x8b",
        b"\x1f",
        b"\x1f\x8bnot packed",
        b'{"format":"sitefleet.site","version":2}\n',
        b"\xff\xfe{}\n",
    ],
)
def test_what_is_no_export_is_refused_in_a_line(refused, data):
    assert "\n" not in str(refused(data))


def test_a_packed_file_that_is_cut_is_refused(world, refused):
    data = gzip.compress(exported(world[0]))
    refused(data[: len(data) // 2], "not whole")


def test_long_lines_are_not_read_to_their_end(monkeypatch):
    monkeypatch.setattr(fileformat, "LINE", 1000)
    stream = io.BytesIO(b'{"format":"' + b"x" * 10_000_000)
    with pytest.raises(TransferRefused, match="longer than"):
        list(read(stream))
    assert stream.tell() < 2000


def test_what_unpacks_to_much_more_than_text_does_is_refused(monkeypatch):
    monkeypatch.setattr(fileformat, "RATIO_FROM", 100_000)
    header = b'{"format":"sitefleet.site","version":1}\n'
    bomb = gzip.compress(header + b'{"a":"' + b" " * 5_000_000 + b'"}\n')
    with pytest.raises(TransferRefused, match="unpacks"):
        list(read(io.BytesIO(bomb)))


def test_lines_of_an_unknown_kind_are_refused(records, refused):
    refused([*records[:-2], {"eval": "1"}, records[-2]], "unknown kind")
    refused([*records[:-1], {"row": "rooms.Room", "values": []}], "behind its end")


# --- People ----------------------------------------------------------------------------------


def user_ref(user, **changes):
    return describe(user, user.pk) | changes


@each(
    ("changes", "same"),
    [
        ({}, True),
        ({"email": "ANN@example.org", "same": "?", "pk": 99}, True),
        ({"email": "other@example.org", "same": "?"}, False),
        ({"email": "", "same": "?"}, False),
        ({"email": None, "same": "?"}, False),
        ({"key": ["bob"], "same": "?"}, False),
        ({"key": ["ann", "x"]}, False),
        ({"key": "ann"}, False),
        ({"key": [], "same": "?"}, False),
        ({"key": None, "pk": "x"}, False),
    ],
)
def test_nobody_is_taken_for_somebody_else(db, changes, same):
    ann = User.objects.filter(username="ann").first()
    if ann is None:
        ann = User.objects.create_user("ann", "ann@example.org")
        User.objects.create_user("bob", "bob@example.org")
    found = find(User, user_ref(ann, **changes), "default")
    assert found == (ann.pk if same else None)


def test_an_account_without_an_address_is_the_same_where_all_of_it_is(db):
    ann = User.objects.create_user("ann")
    ref = user_ref(ann)
    ann.set_password("changed")
    ann.save()
    assert find(User, ref, "default") == ann.pk
    User.objects.filter(pk=ann.pk).delete()
    User.objects.create_user("ann", id=ann.pk)
    assert find(User, ref, "default") is None
