"""Unmodified Wafer serves three conferences from one process, and none shows on another."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.conferences import SLUGS, manage, names_of_tests, outcomes, serving

pytestmark = pytest.mark.acceptance

#: What is said at one conference alone.
PLACES = {"conf2024": "Cape Town", "conf2025": "Berlin", "conf2026": "New York"}
PAGES = ("/", "/talks/", "/schedule/", "/sponsors/", "/users/", "/about/", "/users/ada/")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the data of the demo."""
    folder = tmp_path_factory.mktemp("conferences")
    done = manage(folder, "demo", "--prepare-only")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def server(data):
    with serving(data) as running:
        yield running


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What became of the tests of the example, and all that they said."""
    folder = tmp_path_factory.mktemp("tests")
    done = manage(folder, "test", "conferences", "--verbosity", "2")
    return outcomes(done.stderr), done.stdout + done.stderr


@pytest.mark.parametrize("name", names_of_tests())
def test_the_example_keeps_its_promise(ran, name):
    found, text = ran
    assert found.get(name) == "ok", text


def test_each_of_the_sixteen_leaks_has_its_test():
    found = [re.match(r"test_(\d\d)_", name) for name in names_of_tests()]
    assert sorted(int(number[1]) for number in found if number) == list(range(1, 17))


def test_wafers_own_tests_pass_with_its_models_scoped(tmp_path):
    settings = {"DJANGO_SETTINGS_MODULE": "conferences.testing"}
    code = (
        "from sitefleet.scoping.guard import is_installed;"
        "from sitefleet.scoping.scopes import scopes;"
        "print(is_installed(), 'talks_talk' in scopes.tables, 'tickets_ticket' in scopes.tables)"
    )
    assert manage(tmp_path, "shell", "-v0", "-c", code, **settings).stdout == "True True True\n"
    done = manage(tmp_path, "test", "wafer", "--exclude-tag", "selenium", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Ran 266 tests in .*\n\nOK\n", done.stderr), done.stderr


def test_no_migration_is_missing(data):
    done = manage(data, "scopemodels", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    done = manage(data, "check", "--database", "default")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("slug", "speakers"), [("conf2024", 2), ("conf2025", 2), ("conf2026", 3)])
def test_a_command_of_wafer_is_for_the_conference_that_is_named(data, slug, speakers):
    assert f"Total: {speakers}\n" in manage(data, "wafer_stats", f"--site={slug}").stdout
    emails = manage(data, "wafer_emails", "--allspeakers", f"--site={slug}").stdout
    assert emails.count("@people.example") == speakers


def test_a_command_for_an_unknown_conference_or_for_none_is_refused(data):
    done = manage(data, "wafer_stats", "--site=99")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'99'" in done.stderr
    done = manage(data, "wafer_stats")
    assert done.returncode != 0
    assert "Total" not in done.stdout
    assert "--site" in done.stderr


def test_requests_for_three_conferences_at_once_get_their_own(server):
    asked = [(slug, path) for _ in range(6) for path in PAGES for slug in SLUGS]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda ask: server.ask(*ask), asked))
    for (slug, path), (status, text) in zip(asked, answers, strict=True):
        assert status == 200, f"{slug}{path}\n{text}"
        assert PLACES[slug] in text
        for other in set(SLUGS) - {slug}:
            assert PLACES[other] not in text, f"{slug}{path} shows {other}"


def test_three_front_pages_are_seen_to_differ(server, browser, tmp_path):
    for width in (1280, 390):
        colours = set()
        for slug in SLUGS:
            browser.open(server.url(slug), width=width)
            assert PLACES[slug] in browser.text()
            assert not browser.scrolls_sideways
            colours.add(browser.run("return getComputedStyle(document.body).backgroundColor"))
            browser.photograph(tmp_path / f"{slug}-{width}.png")
        assert len(colours) == len(SLUGS)
