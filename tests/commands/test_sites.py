"""``manage.py sites``: what each action does, refuses, and leaves alone."""

import json

import pytest
from django.contrib.sites.models import Site
from django.core.cache import cache

from sitefleet import override_site
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, add_site, get_config, set_state

#: It goes through all that a command can be told, for seconds: the default tests have a minute.
pytestmark = pytest.mark.acceptance

CHANGES = {
    "add": ["add", "new", "--domain", "new.example.org", "--alias", "www2.new.example.org"],
    "rename": ["rename", "one", "renamed.example.org", "--slug", "uno", "--keep"],
    "state": ["state", "one", "maintenance"],
    "remove": ["remove", "one", "--no-input"],
    "alias add": ["alias", "add", "one", "further.example.org"],
    "alias remove": ["alias", "remove", "old.example.org"],
    "alias promote": ["alias", "promote", "old.example.org"],
    "populate": ["populate"],
    "sync": ["sync"],
}
ACTIONS = [*CHANGES, "list", "show", "alias"]


@pytest.fixture
def world(site, other_site, settings):
    """Two sites, an alias, and something to do for each action."""
    add_alias(site, "old.example.org")
    sites = {"one": {"name": "Uno"}, "three": {"domain": "three.example.org"}}
    settings.SITEFLEET = {
        "FRESHNESS": 0.0,
        "SITES": sites,
        "DOMAIN_FORMAT": "{slug}.localhost:8000",
        "SCHEME": "http",
    }
    return site


# --- reading -----------------------------------------------------------------


def test_list_is_a_table_of_all_sites(manage, fleet):
    add_alias(fleet[0], "old.example.org")
    set_state(fleet[1], "archived")
    lines = manage("sites", "list").out.splitlines()
    assert lines[0].split() == ["id", "slug", "name", "state", "domain", "here", "aliases"]
    assert [line.split()[1:] for line in lines[1:]] == [
        ["de", "DE", "active", "one.example.org/de", "https://one.example.org/de/", "0"],
        ["one", "One", "active", "one.example.org", "https://one.example.org/", "1"],
        ["two", "Two", "archived", "two.example.org", "https://two.example.org/", "0"],
    ]
    assert len({line.index(line.split()[2]) for line in lines}) == 1, "columns are below each other"


def test_list_as_json_has_the_same_facts(manage, site, other_site):
    add_alias(site, "old.example.org")
    assert manage("sites", "list", "--json").json == [
        {
            "id": site.pk,
            "slug": "one",
            "name": "One",
            "state": "active",
            "domain": "one.example.org",
            "path_prefix": "",
            "mode": "shared",
            "url": "https://one.example.org/",
            "aliases": 1,
        },
        {
            "id": other_site.pk,
            "slug": "two",
            "name": "Two",
            "state": "active",
            "domain": "two.example.org",
            "path_prefix": "",
            "mode": "shared",
            "url": "https://two.example.org/",
            "aliases": 0,
        },
    ]


def test_list_can_be_limited_to_a_state(manage, site, other_site):
    set_state(other_site, "suspended")
    listed = manage("sites", "list", "--state", "suspended", "--json").json
    assert [fact["slug"] for fact in listed] == ["two"]


def test_list_needs_a_constant_number_of_queries(manage, site, django_assert_max_num_queries):
    for number in range(20):
        add_alias(add_site(f"s{number}", domain=f"s{number}.example.org"), f"a{number}.example.org")
    with django_assert_max_num_queries(6):
        assert len(manage("sites", "list").out.splitlines()) == 22


def test_list_without_sites_says_how_to_add_one(manage):
    Site.objects.all().delete()
    assert "manage.py sites add SLUG" in manage("sites", "list").out


def test_list_shows_international_names_as_people_write_them(manage, db):
    add_site("mu", domain="münchen.example.org")
    assert "münchen.example.org" in manage("sites", "list").out
    assert "xn--mnchen-3ya.example.org" in manage("sites", "list", "--json").out


@pytest.mark.parametrize("key", ["id", "one", "ONE", "one.example.org", "ONE.example.org.", "old"])
def test_show_finds_a_site_by_id_slug_domain_and_alias(manage, site, key):
    add_alias(site, "old.example.org")
    add_alias(site, "*.wild.example.org", redirect=False)
    key = {"id": str(site.pk), "old": "old.example.org"}.get(key, key)
    lines = manage("sites", "show", key).out.splitlines()
    assert [line.split(None, 1) for line in lines[:4]] == [
        ["id", str(site.pk)],
        ["slug", "one"],
        ["name", "One"],
        ["state", "active"],
    ]
    assert "production domain  one.example.org" in lines
    assert "address here       https://one.example.org/" in lines
    assert "*.wild.example.org (served), old.example.org (redirects)" in lines[7]


def test_show_as_json_lists_aliases_and_both_domains(manage, world):
    shown = manage("sites", "show", "one.localhost", "--json").json
    assert shown["aliases"] == [{"name": "old.example.org", "redirect": True}]
    assert shown["domain"] == "one.example.org"
    assert shown["url"] == "http://one.localhost:8000/"
    assert shown["column"] == "one.example.org"


# --- changing ----------------------------------------------------------------


def test_add_makes_a_site_with_its_aliases(manage, site):
    ended = manage(
        "sites", "add", "GH", "--domain", "Example.GH.", "--name", "Ghana", "--alias",
        "www2.example.gh", "--alias", "*.example.gh", "--state", "maintenance",
    )  # fmt: skip
    config = SiteConfig.objects.get(slug="gh")
    assert (config.site.domain, config.site.name) == ("example.gh", "Ghana")
    assert config.state == "maintenance"
    assert set(config.site.fleet_aliases.values_list("name", flat=True)) == {
        "www2.example.gh",
        "*.example.gh",
    }
    assert ended.out == f"Added Ghana (gh, id {config.pk}) at https://example.gh/\n"
    assert (ended.status, ended.err) == (0, "")


def test_add_below_a_path_prefix(manage, site):
    words = ("add", "de", "--domain", "one.example.org", "--path-prefix", "de/")
    assert "https://one.example.org/de/" in manage("sites", *words).out
    assert SiteConfig.objects.get(slug="de").path_prefix == "/de"


def test_add_without_a_domain_says_that_there_is_no_host_yet(manage, db):
    told = "at no host here: `manage.py sites rename later DOMAIN` gives one\n"
    assert manage("sites", "add", "later").out.endswith(told)


def test_rename_changes_what_is_given_and_nothing_else(manage, site):
    manage("sites", "rename", "one", "uno.example.org", "--slug", "uno", "--name", "Uno")
    config = get_config(site)
    assert (config.slug, config.site.name, config.site.domain) == ("uno", "Uno", "uno.example.org")
    manage("sites", "rename", "uno", "--name", "Eins")
    config = get_config(site)
    assert (config.slug, config.site.name, config.site.domain) == ("uno", "Eins", "uno.example.org")


def test_rename_can_keep_the_old_domain(manage, site):
    ended = manage("sites", "rename", "one", "uno.example.org", "--keep")
    assert "one.example.org redirects there." in ended.out
    alias = Alias.objects.get()
    assert (alias.name, alias.site_id, alias.redirect) == ("one.example.org", site.pk, True)


def test_rename_moves_below_a_path_prefix_and_back(manage, site):
    manage("sites", "rename", "one", "--path-prefix", "/uno")
    assert get_config(site).path_prefix == "/uno"
    manage("sites", "rename", "one", "--path-prefix", "")
    assert get_config(site).path_prefix == ""


@pytest.mark.parametrize("state", ["active", "maintenance", "archived", "suspended"])
def test_state_sets_each_state(manage, site, state):
    assert manage("sites", "state", "one", state).out == f"One (one) is {state}.\n"
    assert get_config(site).state == state


def test_alias_add_redirects_unless_it_is_to_serve(manage, site):
    redirecting = manage("sites", "alias", "add", "one", "Old.example.org")
    assert redirecting.out == "old.example.org redirects to One.\n"
    assert manage("sites", "alias", "add", "one", "*.x.example.org", "--serve").status == 0
    found = dict(Alias.objects.values_list("name", "redirect"))
    assert found == {"old.example.org": True, "*.x.example.org": False}


def test_alias_remove_takes_the_name_away(manage, site):
    add_alias(site, "old.example.org")
    ended = manage("sites", "alias", "remove", "OLD.example.org")
    assert ended.out == "old.example.org no longer leads to One.\n"
    assert not Alias.objects.exists()


def test_alias_promote_swaps_alias_and_domain(manage, site):
    add_alias(site, "new.example.org")
    assert "https://new.example.org/" in manage("sites", "alias", "promote", "new.example.org").out
    assert get_config(site).site.domain == "new.example.org"
    assert Alias.objects.get().name == "one.example.org"


def test_populate_reports_what_it_did_and_what_it_left(manage, world):
    assert manage("sites", "populate").out.splitlines() == [
        "created    three",
        "updated    one",
        "not in the settings (nothing done): two",
        "1 created, 1 updated, 0 unchanged.",
    ]
    assert manage("sites", "populate", "--json").json == {
        "created": [],
        "updated": [],
        "unchanged": ["one", "three"],
        "missing_in_settings": ["two"],
    }


def test_sync_writes_the_column_and_production_writes_it_back(manage, world):
    ended = manage("sites", "sync")
    assert "one: one.example.org -> one.localhost:8000" in ended.out
    assert "2 of 2 sites differ from {slug}.localhost:8000." in ended.out
    assert Site.objects.filter(domain="one.localhost:8000").exists()
    assert "0 of 2 sites differ" in manage("sites", "sync").out, "the second run has nothing to do"
    changes = manage("sites", "sync", "--production", "--json").json
    assert {change["after"] for change in changes} == {"one.example.org", "two.example.org"}
    assert Site.objects.filter(domain="one.example.org").exists()


# --- dry run, all or nothing -------------------------------------------------


@pytest.mark.parametrize("action", CHANGES)
def test_every_change_can_be_rehearsed(manage, world, unchanged, action):
    with unchanged():
        ended = manage("sites", *CHANGES[action], "--dry-run")
    assert ended.status == 0
    assert ended.out.endswith("Dry run: nothing was changed.\n")
    before = ended.out.replace("Dry run: nothing was changed.\n", "")
    assert manage("sites", *CHANGES[action]).out == before, "the rehearsal told what happens"


@pytest.mark.parametrize("action", ["populate", "sync"])
def test_a_rehearsal_as_json_is_json_alone(manage, world, unchanged, action):
    with unchanged():
        assert manage("sites", action, "--dry-run", "--json").json


def test_a_rehearsal_that_is_refused_changes_nothing_either(manage, world, unchanged):
    with unchanged():
        assert manage("sites", "add", "one", "--dry-run").status == 1


def test_nothing_is_added_when_one_of_the_aliases_is_refused(manage, site, unchanged):
    words = ("--domain", "new.example.org", "--alias", "ok.example.org", "--alias", "b ad")
    with unchanged():
        assert manage("sites", "add", "new", *words).status == 1


def test_nothing_is_renamed_when_the_old_name_cannot_be_kept(manage, fleet, unchanged):
    with unchanged():
        ended = manage("sites", "rename", "de", "de.example.org", "--path-prefix", "", "--keep")
    assert (ended.status, "domain of One" in ended.err) == (1, True)


# --- help --------------------------------------------------------------------


@pytest.mark.parametrize("action", ["", *ACTIONS])
def test_every_action_has_help_with_an_example(manage, action):
    ended = manage("sites", *action.split(), "--help")
    assert ended.status == 0
    assert f"manage.py sites {action}".strip() in ended.out.split("examples:")[1]


@pytest.mark.parametrize("command", ["forsites", "resolvehost"])
def test_other_commands_have_help_with_an_example_too(manage, command):
    ended = manage(command, "--help")
    assert f"manage.py {command}" in ended.out.split("examples:")[1]
    assert "Exit status" in ended.out


def test_a_long_name_is_cut_to_what_the_column_holds(manage, db):
    manage("sites", "add", "long", "--domain", "long.example.org", "--name", "x" * 10_000)
    assert Site.objects.get(domain="long.example.org").name == "x" * 50


def test_json_keeps_letters_as_they_are(manage, site):
    manage("sites", "rename", "one", "--name", "日本 — “ü”")
    ended = manage("sites", "show", "one", "--json")
    assert "日本 — “ü”" in ended.out
    assert json.loads(ended.out)["name"] == "日本 — “ü”"


# --- what follows a site -----------------------------------------------------


@pytest.fixture
def declared(settings):
    """A setting that each site may have a value of its own for, and a URLconf."""
    settings.SITEFLEET = {
        "FRESHNESS": 0.0,
        "SITE_SETTINGS": {"DEFAULT_FROM_EMAIL": {"type": "email"}},
        "URLCONFS": ["tests.urls"],
    }


def test_set_sets_what_is_named_and_leaves_the_rest(manage, site, declared):
    ended = manage("sites", "set", "one", "theme=gold", "DEFAULT_FROM_EMAIL=news@example.org")
    line, note = ended.out.splitlines()
    assert line == "One (one): theme=gold DEFAULT_FROM_EMAIL=news@example.org"
    assert note == "THEME_DIRS have no theme 'gold' yet; themes there: none."
    shown = manage("sites", "show", "one", "--json").json
    assert (shown["theme"], shown["urlconf"]) == ("gold", "")
    assert shown["settings"] == {"DEFAULT_FROM_EMAIL": "news@example.org"}
    assert "DEFAULT_FROM_EMAIL news@example.org" in manage("sites", "show", "one").out
    assert manage("sites", "set", "one", "urlconf=tests.urls", "theme=").status == 0
    config = get_config(site)
    assert (config.theme, config.urlconf) == ("", "tests.urls")
    assert config.settings == {"DEFAULT_FROM_EMAIL": "news@example.org"}
    ended = manage("sites", "set", "one", "urlconf=", "DEFAULT_FROM_EMAIL=")
    assert ended.out == "One (one): nothing of its own\n"
    assert get_config(site).settings == {}


def test_set_shows_with_dry_run_what_it_would_do(manage, site, declared):
    ended = manage("sites", "set", "one", "theme=gold", "--dry-run")
    assert "One (one): theme=gold" in ended.out
    assert get_config(site).theme == ""


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        ("theme", 2, "Write NAME=VALUE"),
        ("theme=../x", 1, "letters, digits"),
        ("urlconf=os.path", 1, "os.path is not in URLCONFS"),
        ("DEFAULT_FROM_EMAIL=nobody", 1, "DEFAULT_FROM_EMAIL"),
        ("NOBODY_KNOWS=1", 1, "NOBODY_KNOWS"),
        ("NOBODY_KNOWS=", 1, "NOBODY_KNOWS"),
    ],
)
@pytest.mark.usefixtures("declared")
def test_set_refuses_in_one_line_what_cannot_be(manage, site, word, status, reason):
    ended = manage("sites", "set", "one", word)
    assert ended.status == status
    assert reason in ended.err.splitlines()[-1]
    config = get_config(site)
    assert (config.theme, config.urlconf, config.settings) == ("", "", {})


def test_clearcache_clears_the_cache_of_one_site(manage, site, other_site, settings):
    backend = "sitefleet.persite.cache.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "clearcache"}}
    for each in (site, other_site):
        with override_site(each):
            cache.set("key", each.pk)
    assert manage("sites", "clearcache", "one").out == "The cache of One is cleared.\n"
    seen = []
    for each in (site, other_site):
        with override_site(each):
            seen.append(cache.get("key"))
    assert seen == [None, other_site.pk]


def test_a_name_cannot_write_lines_of_its_own_to_the_terminal(manage, site):
    Site.objects.filter(pk=site.pk).update(name="One\x1b[2J\nAdded Evil\u202e")
    for words in (["list"], ["show", "one"], ["state", "one", "active"]):
        out = manage("sites", *words).out
        assert "\x1b" not in out
        assert "\u202e" not in out
