import pytest

from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.planning.plan import code_group, make_plan
from tests.hosting.fleets import fleet, site


def decide(one, **more):
    plan = make_plan(fleet(one, **more))
    return plan, plan.decisions[0]


def test_a_dedicated_site_gets_an_instance_named_by_its_id():
    plan, decision = decide(site(7, names=("a.test", "b.test")))
    assert (decision.mode, decision.instance, decision.why) == (
        "dedicated",
        "site-7",
        "its own mode",
    )
    assert plan.routes() == {"a.test": "site-7", "b.test": "site-7"}
    assert [one.key for one in plan.instances] == ["shared", "site-7"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"mode": "shared"}, "its own mode"),
        ({"mode": "shared", "mode_by": "the project's mode"}, "the project's mode"),
        ({"mode": "shared", "state": "suspended"}, "it is suspended: nothing of it runs"),
        ({"state": "suspended"}, "it is suspended: nothing of it runs"),
        ({"shared_because": "below a prefix"}, "below a prefix"),
        ({"names": ()}, "it has no host here"),
    ],
    ids=["shared", "project", "shared-suspended", "suspended", "prefix", "no host"],
)
def test_a_site_is_served_by_the_shared_server_and_told_why(more, why):
    plan, decision = decide(site(7, **more))
    assert (decision.mode, decision.instance, decision.why) == ("shared", "shared", why)
    assert plan.dedicated == ()
    assert plan.routes() == {}


@pytest.mark.parametrize("state", ["active", "maintenance", "archived"])
def test_a_site_that_has_an_answer_of_its_own_keeps_its_instance(state):
    _, decision = decide(site(7, state=state))
    assert decision.mode == "dedicated"


def test_shared_sites_that_want_asgi_share_one_server_for_that():
    options = {"interface": "asgi"}
    plan = make_plan(
        fleet(
            site(1, mode="shared", options=options),
            site(2, mode="shared", options=options),
            site(3, mode="shared", names=(), options=options),
        )
    )
    shared, asgi = plan.shared
    assert (shared.options.interface, asgi.options.interface) == ("wsgi", "asgi")
    assert plan.routes() == {"s1.test": "shared-asgi", "s2.test": "shared-asgi"}
    assert plan.decisions[2].instance == "shared"
    assert plan.decisions[0].why == "its own mode, and it wants ASGI"


def test_the_shared_server_never_idles_and_has_its_own_options():
    plan = make_plan(fleet(serving={"shared": {"threads": 9}, "options": {"threads": 3}}))
    assert (plan.shared[0].options.idle, plan.shared[0].options.threads) == (0, 9)


def test_sites_with_the_same_environment_are_one_code_group():
    mild, hot = {"environment": {"FLAVOUR": "mild"}}, {"environment": {"FLAVOUR": "hot"}}
    sites = [site(1), site(2, options=mild), site(3, options=mild), site(4, options=hot)]
    plan = make_plan(fleet(*sites))
    groups = {tuple(one.site for one in group) for group in plan.groups().values()}
    assert groups == {(1,), (2, 3), (4,)}
    assert "environment of its own" in plan.decisions[1].why
    assert code_group(make_options({})) == ""
