"""``manage.py resolvehost``: each step, what it said, and which won."""

import pytest
from django.test import override_settings

from sitefleet.registry import add_alias, add_site, set_state

LOCAL = {"DOMAIN_FORMAT": "{slug}.localhost:8000", "SCHEME": "http", "FRESHNESS": 0.0}


@pytest.fixture
def world(fleet):
    """Aliases of all kinds beside the fleet."""
    one, two, _ = fleet
    add_alias(one, "old.example.org")
    add_alias(one, "*.wild.example.org", redirect=False)
    add_alias(two, "port.example.org:8443", redirect=False)
    return fleet


def won(explained):
    return [step["step"] for step in explained["steps"] if step["won"]]


@pytest.mark.parametrize(
    ("host", "winner", "slug"),
    [
        ("two.example.org", ["host"], "two"),
        ("https://TWO.example.org./x?y", ["host"], "two"),
        ("port.example.org:8443", ["host with port"], "two"),
        ("www.two.example.org", ["www twin"], "two"),
        ("a.b.wild.example.org", ["wildcard"], "one"),
        ("old.example.org", ["host"], "one"),
        ("one.example.org/de/x", ["host", "path prefix"], "de"),
        ("one.example.org/den", ["host", "path prefix"], "one"),
    ],
)
def test_the_step_that_won_is_marked(manage, world, host, winner, slug):
    explained = manage("resolvehost", host, "--json").json
    assert won(explained) == winner
    assert explained["site"]["slug"] == slug


def test_every_step_is_shown(manage, world):
    steps = manage("resolvehost", "two.example.org:8000", "--json").json["steps"]
    assert [step["step"] for step in steps] == [
        "host with port",
        "host",
        "www twin",
        "wildcard",
        "wildcard",
        "wildcard",
        "wildcard",
    ]


def test_the_table_reads_from_the_question_to_the_answer(manage, world):
    ended = manage("resolvehost", "ONE.example.org:443/de/")
    assert ended.status == 0
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[:3] == [
        "Host         ONE.example.org:443",
        "Normal form  one.example.org",
        "Environment  live",
    ]
    marked = [line for line in lines if line.endswith("<- wins")]
    assert [line.split()[:3] for line in marked] == [
        ["1", "host", "one.example.org"],
        ["5", "path", "prefix"],
    ]
    assert lines[-1] == "Answer       the site DE (de)"


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("old.example.org/a/?b", "301 (308 but for GET and HEAD) to https://one.example.org/a/?b"),
        ("www.two.example.org", "301 (308 but for GET and HEAD) to https://two.example.org/"),
        ("one.example.org/de", "301 to /de/"),
        ("two.example.org", "the site Two (two)"),
    ],
)
def test_the_answer_is_that_of_a_request(manage, world, client, host, answer):
    assert manage("resolvehost", host, "--json").json["answer"] == answer
    name, _, path = host.partition("/")
    response = client.get(f"/{path}", headers={"host": name})
    assert response.status_code == (301 if answer.startswith("301") else 404)
    if response.status_code == 301:
        assert response["Location"] == answer.rpartition(" to ")[2]


@pytest.mark.parametrize(
    ("state", "answer"), [("maintenance", "503"), ("archived", "410"), ("suspended", "404")]
)
def test_a_state_is_part_of_the_answer(manage, site, client, state, answer):
    set_state(site, state)
    ended = manage("resolvehost", "one.example.org", "--json")
    assert (ended.status, ended.json["site"]["state"]) == (0, state)
    assert ended.json["answer"].startswith(answer)
    assert str(client.get("/", headers={"host": "one.example.org"}).status_code) == answer


def test_an_archived_site_may_be_read_only(manage, site):
    set_state(site, "archived")
    with override_settings(SITEFLEET={"ARCHIVED_READ_ONLY": True}):
        assert "read-only" in manage("resolvehost", "one.example.org").out


def test_an_environment_shows_its_rule(manage, world):
    with override_settings(SITEFLEET=LOCAL):
        explained = manage("resolvehost", "one.localhost:8000", "--json").json
        assert won(explained) == ["environment rule"]
        assert explained["environment"] == "{slug}.localhost:8000"
        assert [step["step"] for step in explained["steps"]] == [
            "environment rule",
            "host with port",
            "host",
            "wildcard",
            "wildcard",
        ]


def test_a_live_name_is_not_even_looked_up_in_another_environment(manage, world):
    with override_settings(SITEFLEET=LOCAL):
        ended = manage("resolvehost", "one.example.org")
    assert ended.status == 1
    assert "does not fit {slug}.localhost:8000, so it is not looked up" in ended.out


def test_a_forced_site_is_told_as_such(manage, world, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "two")
    explained = manage("resolvehost", "anything.example.com", "--json").json
    assert explained["steps"] == [
        {"step": "forced site", "asked": "SITEFLEET_SITE=two", "said": "Two (two)", "won": True}
    ]
    assert explained["site"]["slug"] == "two"


def test_a_forced_site_that_is_none_is_an_error(manage, world, monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "twoo")
    ended = manage("resolvehost", "two.example.org")
    assert ended.status == 2
    assert "from SITEFLEET_SITE). Did you mean two" in ended.err


def test_an_unknown_host_ends_with_1_and_says_what_to_do(manage, site):
    ended = manage("resolvehost", "unknown.example.com/x")
    assert ended.status == 1
    assert "404, the page for unknown hosts" in ended.out
    assert "manage.py sites alias add SITE unknown.example.com" in ended.err


def test_an_unknown_host_is_told_which_form_hosts_have(manage, site):
    with override_settings(SITEFLEET=LOCAL):
        fits, other = manage("resolvehost", "three.localhost:8000"), manage("resolvehost", "x.de")
    form = "Hosts have the form {slug}.localhost:8000 here."
    assert (fits.status, other.status) == (1, 1)
    assert f"{form} To give it to a site: manage.py sites alias add" in fits.err
    assert other.err.endswith(f"{form}\n"), "an alias would not be looked up"


def test_a_host_that_the_settings_list_is_told_as_a_step(manage, site, settings):
    settings.ALLOWED_HOSTS, settings.SITE_ID = [*settings.ALLOWED_HOSTS, "10.0.0.1"], site.pk
    explained = manage("resolvehost", "10.0.0.1", "--json").json
    assert won(explained) == ["listed in ALLOWED_HOSTS"]
    assert explained["answer"] == "the site One (one)"
    with override_settings(SITEFLEET=LOCAL):
        assert manage("resolvehost", "10.0.0.1", "--json").json["site"]["slug"] == "one"


def test_an_unknown_host_as_json_has_no_site(manage, site):
    ended = manage("resolvehost", "unknown.example.com", "--json")
    assert (ended.status, ended.json["site"], won(ended.json)) == (1, None, [])


@pytest.mark.parametrize(
    "host",
    ["", "/", "a..b", "a b", "a-.example", "a:0", "a:1:2", "[::1", "x" * 10_000, "ß.de", "\udcff"],
    ids=lambda host: repr(host)[:12],
)
def test_a_malformed_host_ends_with_2_and_the_reason(manage, db, host):
    ended = manage("resolvehost", host)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("CommandError: 400: ")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "xn--mnchen-3ya.example"])
def test_addresses_and_international_names_are_asked_for_like_any_other(manage, db, host):
    add_site("ip", domain=host)
    assert manage("resolvehost", host, "--json").json["site"]["slug"] == "ip"
