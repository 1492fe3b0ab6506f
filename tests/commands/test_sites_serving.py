"""``manage.py sites serving``: the mode and the options of a site."""

import pytest

from sitefleet.models import SiteConfig
from sitefleet.registry import configure_site, get_config


@pytest.fixture(autouse=True)
def conf(settings):
    settings.SITEFLEET = {
        "FRESHNESS": 0.0,
        "SERVING": {"options": {"timeout": 60}, "environment": ["FLAVOUR"]},
    }


def test_mode_and_options_are_set_and_what_is_not_named_stays(manage, site):
    configure_site(site, serving={"idle": 5})
    words = ["--mode", "dedicated", "workers=5", "warm_up=/ /news/", "environment=FLAVOUR=mild"]
    ended = manage("sites", "serving", "one", *words, "--json")
    assert ended.status == 0
    own = {
        "idle": 5,
        "workers": 5,
        "warm_up": ["/", "/news/"],
        "environment": {"FLAVOUR": "mild"},
    }
    config = get_config(site)
    assert (config.mode, config.serving) == ("dedicated", own)
    assert (ended.json["mode"], ended.json["serving"]) == ("dedicated", own)
    assert ended.json["options"]["timeout"] == 60


def test_without_values_it_shows_whose_each_is(manage, site):
    configure_site(site, serving={"workers": 5})
    ended = manage("sites", "serving", "one")
    rows = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines()[2:]}
    assert rows["mode"] == ["shared", "the", "project's"]
    assert rows["workers"] == ["5", "its", "own"]
    assert rows["timeout"] == ["60", "the", "project's"]


def test_an_empty_value_takes_it_away(manage, site):
    configure_site(site, mode="dedicated", serving={"workers": 5, "idle": 5})
    assert manage("sites", "serving", "one", "--mode", "default", "workers=").status == 0
    config = get_config(site)
    assert (config.mode, config.serving) == ("", {"idle": 5})


def test_names_of_uwsgi_are_understood(manage, site):
    configure_site(site, serving={"timeout": 5})
    assert manage("sites", "serving", "one", "harakiri=9", "processes=3").status == 0
    assert get_config(site).serving == {"timeout": 9, "workers": 3}


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("workers=0", 1, "from 1 to 64"),
        ("workers=many", 1, "a whole number"),
        ("workerz=1", 1, "Did you mean workers?"),
        ("workerz=", 1, "Did you mean workers?"),
        ("warm_up=news", 1, "a list of at most 50 paths"),
        ("environment=PATH=/tmp", 1, "cannot set PATH"),
        ("environment=TASTE=x", 1, "does not list it"),
        ("environment=FLAVOUR", 1, 'Write environment="NAME=VALUE'),
        ("environment=FLAVOUR=very mild", 1, 'Write environment="NAME=VALUE'),
        ("cheap=6", 2, "idle is given twice"),
        ("workers", 2, "Write NAME=VALUE"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(manage, site, word, status, said):
    ended = manage("sites", "serving", "one", "idle=5", word)
    assert ended.status == status
    assert said in ended.err
    assert get_config(site).serving == {}


def test_values_may_stand_before_and_behind_options(manage, site):
    words = ["workers=3", "--mode", "dedicated", "timeout=5", "--json", "idle=9"]
    assert manage("sites", "serving", "one", *words).status == 0
    config = get_config(site)
    assert (config.mode, config.serving) == ("dedicated", {"workers": 3, "timeout": 5, "idle": 9})
    assert manage("sites", "serving", "one", "--mode", "shared", "idle=7", "--nothing").status == 2


def test_a_rehearsal_changes_nothing(manage, site):
    ended = manage("sites", "serving", "one", "workers=5", "--dry-run")
    assert "5" in ended.out
    assert get_config(site).serving == {}


def test_what_raw_sql_has_put_there_does_not_count_and_can_be_mended(manage, site):
    rows = SiteConfig.objects.filter(pk=site.pk)
    rows.update(mode="forked", serving={"workers": "5; rm", "idle": 7, "exec": "sh"})
    shown = manage("sites", "serving", "one", "--json").json
    assert (shown["mode"], shown["serving"]) == ("shared", {"idle": 7})
    assert manage("sites", "serving", "one", "--mode", "default", "idle=8").status == 0
    assert (get_config(site).mode, get_config(site).serving) == ("", {"idle": 8})


def test_a_variable_that_is_listed_no_more_may_stay_and_not_be_changed(manage, site, settings):
    own = {"environment": {"FLAVOUR": "mild"}}
    configure_site(site, serving=own)
    settings.SITEFLEET = {"FRESHNESS": 0.0}
    assert manage("sites", "serving", "one", "workers=3").status == 0
    assert get_config(site).serving == own | {"workers": 3}
    ended = manage("sites", "serving", "one", "environment=FLAVOUR=hot")
    assert (ended.status, "does not list it" in ended.err) == (1, True)
    assert manage("sites", "serving", "one", "environment=").status == 0
    assert get_config(site).serving == {"workers": 3}


def test_show_and_list_tell_it(manage, site, other_site):
    assert "mode" not in manage("sites", "list").out.split()
    configure_site(other_site, mode="dedicated", serving={"workers": 5})
    listed = manage("sites", "list").out.splitlines()
    assert [line.split()[-1] for line in listed] == ["mode", "shared", "dedicated"]
    shown = manage("sites", "show", "two").out
    assert "mode               dedicated\n" in shown
    assert "workers            5" in shown
    assert "(the project's)" in manage("sites", "show", "one").out


def test_populate_sets_it(manage, site, settings):
    spec = {"mode": "dedicated", "serving": {"workers": 5}}
    settings.SITEFLEET = {"FRESHNESS": 0.0, "SITES": {"one": spec}}
    assert manage("sites", "populate").status == 0
    assert (get_config(site).mode, get_config(site).serving) == ("dedicated", {"workers": 5})
    assert manage("sites", "populate", "--json").json["unchanged"] == ["one"]


@pytest.mark.parametrize("spec", [{"mode": "forked"}, {"serving": {"workers": 0}}])
def test_populate_refuses_what_cannot_be(manage, site, settings, spec):
    settings.SITEFLEET = {"FRESHNESS": 0.0, "SITES": {"one": spec}}
    assert manage("sites", "populate").status == 1


def test_a_clone_is_served_as_the_project_says(manage, site):
    configure_site(site, mode="dedicated", serving={"workers": 5})
    assert manage("sites", "clone", "one", "copy", "--domain", "copy.example.org").status == 0
    copy = SiteConfig.objects.get(slug="copy")
    assert (copy.mode, copy.serving) == ("", {})


def test_a_process_of_one_site_acts_on_it_and_says_so(manage, site, other_site, monkeypatch):
    monkeypatch.setenv("SITE_ID", str(other_site.pk))
    ended = manage("tell")
    assert ended.json["site"] == "Two"
    told = "Acting on Two (two), by SITE_ID in the environment. Another site: --site=SLUG\n"
    assert ended.err == told
    assert manage("tell", "--site=one").json["site"] == "One"


@pytest.mark.parametrize(("text", "said"), [("99", "No site has"), ("two", "a whole number")])
def test_a_process_of_no_site_does_nothing(manage, site, monkeypatch, text, said):
    monkeypatch.setenv("SITE_ID", text)
    ended = manage("tell")
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    if text == "99":
        assert manage("sites", "list").status == 0, "what is for all sites runs"


def test_its_help_says_that_no_value_has_to_be_given(manage, site):
    said = " ".join(manage("sites", "serving", "--help").out.split())
    assert "[--json] site [NAME=VALUE ...] " in said
    assert manage("sites", "serving", "one").status == 0
