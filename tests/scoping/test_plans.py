"""A condition that leaves nothing out is written so that no planner counts on it."""

import pytest
from django.contrib.sites.models import Site

from sitefleet import override_site
from sitefleet.scoping import cross_site
from tests.rooms.models import Building, Person, Room, Tag

pytestmark = pytest.mark.django_db


@pytest.fixture
def site():
    site = Site.objects.create(domain="a.test", name="A")
    with override_site(site):
        yield site


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(lambda: Room.objects.filter(building__name="x"), id="forwards"),
        pytest.param(lambda: Room.objects.select_related("building"), id="outer"),
        pytest.param(lambda: Building.objects.filter(rooms__name="x"), id="backwards"),
        pytest.param(lambda: Room.objects.filter(tag__name="x"), id="to a row that may be shared"),
    ],
)
def test_beside_a_row_of_the_site_a_planner_expects_nothing_of_the_condition(site, rows):
    sql = str(rows().query)
    assert sql.count("COALESCE(") == 1
    assert sql.count(f"= {site.pk}") == 2


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(lambda: Person.objects.filter(rooms__name="x"), id="from a row of no site"),
        pytest.param(lambda: Tag.objects.filter(rooms__name="x"), id="from one that may be shared"),
        pytest.param(lambda: Room.objects.filter(name="x"), id="no join"),
    ],
)
def test_where_the_condition_leaves_rows_out_an_index_can_serve_it(site, rows):
    assert "COALESCE" not in str(rows().query)


def test_a_reference_to_a_row_of_another_site_is_left_out_all_the_same(site):
    other = Site.objects.create(domain="b.test", name="B")
    with cross_site("what should not be"):
        theirs = Building.objects.create(name="theirs", site=other)
        Room.objects.create(name="ours", site=site, building=theirs)
    assert not Room.objects.filter(building__name="theirs").exists()
    assert Room.objects.select_related("building").get().building is None
