"""``manage.py scopemodels``, as far as no model has to be made for it; the rest is acceptance."""

import json

import pytest
from django.core.management import CommandError, call_command

from sitefleet import override_site
from sitefleet.scoping.outside import mapping
from sitefleet.scoping.outside.writer import Changes, new_loader
from tests.rooms.models import Booking


@pytest.fixture
def conf(world, settings):
    """Bookings have a site of their own making, and rooms a field that is one."""
    models = {
        "rooms.Booking": {"add": False, "field": "venue", "unique": "keep"},
        "rooms.Room": {"add": False, "unique": "keep"},
        "rooms.Notice": {"add": False, "field": "sites", "unique": "keep"},
    }
    settings.SITEFLEET = {"SCOPED_MODELS": models, "SCOPED_APP": "news"}
    return settings


@pytest.fixture
def read(conf, tmp_path):
    def from_file(content, name="sites.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return mapping.read(path)

    return from_file


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("scopemodels", *arguments)
    return caught.value.returncode, str(caught.value)


def test_nothing_missing_is_said_with_status_zero(conf, capsys):
    call_command("scopemodels", "--check")
    call_command("scopemodels", "--check", "--json")
    call_command("scopemodels")
    said = capsys.readouterr().out
    assert "No migration is missing." in said
    assert '"missing": []' in said
    assert "Nothing to do" in said


def test_wrong_usage_has_status_two(conf):
    assert refused("--forget") == (2, "--forget goes with --remove.")


def test_models_that_cannot_have_a_site_are_refused_as_the_checks_do(settings):
    settings.SITEFLEET = {"SCOPED_MODELS": ["rooms.Persn"]}
    status, text = refused()
    assert status == 1
    assert "Did you mean 'rooms.Person'?" in text


def test_settings_that_cannot_be_used_are_a_line(settings):
    settings.SITEFLEET = {"SCOPED_MODELS": 3}
    assert "SCOPED_MODELS" in refused()[1]


def test_what_is_saved_is_read_again(conf, tmp_path, world):
    path = tmp_path / "kept.csv"
    call_command("scopemodels", "--save", str(path))
    lines = path.read_text().splitlines()
    assert lines[0] == "model,pk,site"
    rows = mapping.read(path)["rooms.booking"]["rows"]
    for slug, keys in rows.items():
        with override_site(mapping.get_site(slug)):
            kept = Booking.objects.filter(pk__in=keys).values_list("pk", flat=True)
            assert sorted(map(str, kept)) == sorted(keys)
    assert len(rows) == 2
    assert "File exists" in refused("--save", str(path))[1]


def slugs():
    return list(mapping.SiteConfig.objects.order_by("pk").values_list("slug", flat=True))


def test_a_mapping_says_key_value_parent_and_default(read):
    a, b = slugs()[-2:]
    given = read(
        {
            "default": a,
            "rooms.Booking": {"follow": "room", "rows": {"7": b}},
            "rooms.Room": {"field": "building__name", "values": {"X": a, "Y": b}, "default": b},
        }
    )
    assert given["rooms.booking"] == {"rows": {b: ["7"]}, "follow": ("room", "site"), "default": a}
    assert given["rooms.room"] == {
        "by": "building__name", "values": {a: ["X"], b: ["Y"]}, "default": b,
    }  # fmt: skip
    assert given["rooms.notice"] == {"default": a}
    order = list(mapping.in_order(given))
    assert order.index("rooms.room") < order.index("rooms.booking")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "cannot be read"),
        ("[]", "is no object"),
        ({"rooms.Tag": {}}, "SCOPED_MODELS"),
        ({"rooms.Room": 3}, "takes an object"),
        ({"rooms.Room": {"colour": 3}}, "takes an object"),
        ({"rooms.Room": {"rows": ["1"]}}, "expected an object"),
        ({"rooms.Room": {"rows": {"x": "SITE"}}}, "cannot be asked for 'pk'"),
        ({"rooms.Room": {"field": "colour", "values": {"x": "SITE"}}}, "cannot be asked"),
        ({"rooms.Room": {"values": {"x": "SITE"}}}, "cannot be asked"),
        ({"rooms.Room": {"follow": "name"}}, "no foreign key"),
        ({"rooms.Room": {"follow": "owner"}}, "no foreign key"),
        ({"default": "nowhere"}, "nowhere"),
    ],
    ids=range(12),
)
def test_a_mapping_that_cannot_be_used_is_a_line(read, content, part):
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(Exception, match=part) as caught:
        read(text.replace("SITE", slugs()[-1]))
    assert type(caught.value).__name__ in {"CommandError", "UnknownSite"}


@pytest.mark.parametrize("text", ["", "pk,site\n", "model,pk,site\nrooms.Room,1\n"], ids=range(3))
def test_a_csv_file_of_another_form_is_a_line(read, text):
    with pytest.raises(CommandError, match="cannot be read"):
        read(text, "sites.csv")


def test_models_that_follow_each_other_in_a_ring_are_refused(conf, monkeypatch):
    monkeypatch.setattr(mapping, "_followed", lambda _, rule: rule["follow"])
    ring = {"rooms.room": {"follow": "rooms.booking"}, "rooms.booking": {"follow": "rooms.room"}}
    with pytest.raises(CommandError, match="These follow each other in a ring"):
        list(mapping.in_order(ring))


def test_all_rows_may_be_of_one_site(conf):
    slug = slugs()[-1]
    assert mapping.all_to(slug)["rooms.room"] == {"default": slug}


def test_migrations_are_read_without_a_database(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert isinstance(new_loader().project_state().models, dict)
    assert not Changes(None, [], [], [])
