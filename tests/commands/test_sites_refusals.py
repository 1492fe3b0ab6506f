"""What ``manage.py sites`` refuses: in one clear line, and nothing is changed."""

import pytest

from sitefleet.registry import add_alias

pytestmark = pytest.mark.acceptance  # two seconds

LONG = "x" * 10_000


@pytest.fixture
def world(fleet):
    """Names that are taken."""
    add_alias(fleet[0], "old.example.org")
    add_alias(fleet[0], "*.wild.example.org")
    return fleet


REFUSED = [
    (["add", "one"], "The slug one is taken."),
    (["add", ""], "A slug has small letters"),
    (["add", "123"], "A slug has small letters"),
    (["add", "a b"], "A slug has small letters"),
    (["add", "straße"], "A slug has small letters"),
    (["add", "a.b"], "A slug has small letters"),
    (["add", "a\nb"], "A slug has small letters"),
    (["add", "new", "--domain", "one.example.org"], "domain of One (one)"),
    (["add", "new", "--domain", "old.example.org"], "alias of One (one)"),
    (["add", "new", "--domain", "co.uk"], "public suffix"),
    (["add", "new", "--domain", "https://example.org"], "without the scheme"),
    (["add", "new", "--domain", "example.org/de"], "without a path"),
    (["add", "new", "--domain", "*.example.org"], "only an alias can be a wildcard"),
    (["add", "new", "--domain", "a..b"], "empty label"),
    (["add", "new", "--domain", "example.org:99999"], "port"),
    (["add", "new", "--domain", "1.2.3.999"], "no IPv4 address"),
    (["add", "new", "--domain", "straße.example"], "xn-- form"),
    (["add", "new", "--domain", "a\u2028b.example"], "no spaces"),
    (["add", "new", "--domain", f"{LONG}.example"], "longer than"),
    (["add", "new", "--domain", ".".join(["x" * 60] * 3)], "longer than the 100"),
    (["add", "new", "--path-prefix", "/de"], "needs a domain"),
    (["add", "new", "--domain", "n.example.org", "--path-prefix", "/../"], "path prefix"),
    (["add", "new", "--domain", "n.example.org", "--path-prefix", LONG], "longer than"),
    (["rename", "one", "two.example.org"], "domain of Two (two)"),
    (["rename", "one", "old.example.org"], "alias promote old.example.org"),
    (["rename", "one", "--slug", "two"], "The slug two is taken."),
    (["rename", "one", "--slug", ""], "A slug has small letters"),
    (["rename", "one", "", "--path-prefix", "/de"], "needs a domain"),
    (["alias", "add", "one", "two.example.org"], "domain of Two (two)"),
    (["alias", "add", "one", "old.example.org"], "alias"),
    (["alias", "add", "one", ""], "empty"),
    (["alias", "add", "one", "a b"], "no spaces"),
    (["alias", "add", "one", "x.*.example.org"], "wildcard"),
    (["alias", "add", "one", "*.com"], "public suffix"),
    (["alias", "add", "one", LONG], "longer than"),
    (["alias", "promote", "*.wild.example.org"], "A wildcard cannot be the domain"),
    (["alias", "remove", "b ad"], "no spaces"),
    (["show", "\udcff"], "can't encode"),
]
WRONG = [
    (["show", "onne"], "No site has the id, slug or domain 'onne'. Did you mean one"),
    (["show", "one.exmple.org"], "Did you mean one.example.org"),
    (["show", ""], "No site has"),
    (["show", "0"], "No site has"),
    (["show", "-1"], "No site has"),
    (["show", "99999999999"], "No site has"),
    (["show", "9" * 10_000], "No site has"),
    (["show", "²"], "No site has"),
    (["show", "日本"], "No site has"),
    (["show", LONG], "No site has"),
    (["rename", "onne", "x.example.org"], "Did you mean one"),
    (["rename", "one"], "Say what to change"),
    (["state", "onne", "active"], "Did you mean one"),
    (["state", "one", "asleep"], "choose from"),
    (["list", "--state", "asleep"], "choose from"),
    (["alias", "add", "onne", "x.example.org"], "Did you mean one"),
    (["alias", "remove", "none.example.org"], "There is no alias 'none.example.org'"),
    (["alias", "promote", "none.example.org"], "There is no alias"),
    (["alias"], "ACTION"),
    (["remove"], "site"),
    (["remove", "onne", "--no-input"], "Did you mean one"),
    (["remove", "onne", "--dry-run"], "Did you mean one"),
    (["remove", "onne"], "Did you mean one"),
    (["lst"], "choose from"),
    (["add"], "slug"),
    (["add", "-a"], "slug"),
]


def a_clear_line(ended):
    """Return the last line of the errors: there are no others but the usage that argparse shows."""
    assert "Traceback" not in ended.err
    assert ended.out == ""
    *usage, line = ended.err.splitlines()
    assert not usage or usage[0].startswith("usage: ")
    return line


@pytest.mark.parametrize(
    ("words", "reason"), REFUSED, ids=[" ".join(words)[:40] for words, _ in REFUSED]
)
def test_what_cannot_be_is_refused_in_one_line(manage, world, unchanged, words, reason):
    with unchanged():
        ended = manage("sites", *words)
    assert reason in a_clear_line(ended)
    assert ended.status == 1


@pytest.mark.parametrize(
    ("words", "reason"), WRONG, ids=[" ".join(words)[:40] for words, _ in WRONG]
)
def test_wrong_usage_and_unknown_sites_end_with_2(manage, site, unchanged, words, reason):
    with unchanged():
        ended = manage("sites", *words)
    assert reason in a_clear_line(ended)
    assert ended.status == 2


def test_problems_of_the_settings_are_one_line_each(manage, site, settings, unchanged):
    settings.SITEFLEET = {"SITES": {"two": {"dmain": "x"}, "three": {"domain": "co.uk"}}}
    with unchanged():
        ended = manage("sites", "--skip-checks", "populate")
    lines = ended.err.splitlines()
    assert ended.status == 1
    assert len(lines) == 2
    assert "did you mean 'domain'" in lines[0]


def test_a_slug_that_is_no_label_of_a_host_is_refused(manage, db, unchanged):
    with unchanged():
        ended = manage("sites", "add", "x" * 64, "--domain", "new.example.org")
    assert ended.status == 1


def test_a_path_prefix_has_a_length_in_every_environment(manage, site, settings, unchanged):
    settings.SITEFLEET = {"DOMAIN_FORMAT": "{slug}.localhost:8000"}
    with unchanged():
        ended = manage("sites", "rename", "one", "--path-prefix", LONG)
    assert ended.status == 1
