from hypothesis import given, settings
from hypothesis import strategies as st

from sitefleet.hosting.planning.fleet import (
    DRIVERS,
    MODES,
    ROUTERS,
    Fleet,
    Serving,
    Site,
    read_fleet,
)
from sitefleet.hosting.planning.options import make_options
from tests.hosting.fleets import fleet, site

TEXT = st.text(max_size=20)
OPTIONS = st.builds(
    lambda **given: make_options(given),
    workers=st.integers(1, 64),
    idle=st.integers(0, 86_400),
    interface=st.sampled_from(["wsgi", "asgi"]),
    warm_up=st.lists(st.sampled_from(["/", "/news/"]), max_size=2),
    environment=st.dictionaries(st.sampled_from(["FLAVOUR", "COLOUR"]), st.just("mild")),
)
SITES = st.builds(
    Site,
    id=st.integers(1, 2**63 - 1),
    slug=TEXT,
    name=TEXT,
    state=TEXT,
    mode=st.sampled_from(MODES),
    url=TEXT,
    names=st.lists(TEXT, max_size=3).map(tuple),
    shared_because=TEXT,
    options=OPTIONS,
)
SERVING = st.builds(
    Serving,
    driver=st.sampled_from(DRIVERS),
    router=st.sampled_from(ROUTERS),
    environment=st.lists(TEXT, max_size=2).map(tuple),
    trusted_proxies=st.lists(TEXT, max_size=2).map(tuple),
    raw=st.dictionaries(TEXT, TEXT, max_size=2),
)
FLEETS = st.builds(
    Fleet,
    generation=st.integers(0, 2**62),
    sites=st.lists(SITES, max_size=3).map(tuple),
    total=st.integers(0, 10**7),
    serving=SERVING,
    database=st.dictionaries(TEXT, st.integers(), max_size=2),
    examples=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
)


@settings(max_examples=20, deadline=None)
@given(FLEETS)
def test_a_fleet_survives_the_way_between_processes(made):
    assert read_fleet(made.as_json()) == made


def test_a_fleet_is_one_line_whatever_sites_are_called():
    assert "\n" not in fleet(site(1, name="one\ntwo\u2028three")).as_json()
