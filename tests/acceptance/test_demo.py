"""The demo as a visitor meets it: the real command, real requests, a real browser."""

import os
import re
import shlex
import shutil
import socket
import time
from html import unescape
from pathlib import Path

import pytest
from django.template.loader import render_to_string

from tests.acceptance.demo import EXAMPLE, manage, running_demo

pytestmark = pytest.mark.acceptance

COUNTRIES = {
    "de": ("de", "Deutschland: Nachrichten, gut sortiert", "18. November 2026"),
    "gh": ("en-gh", "Akwaaba: news from Ghana", "17 November 2026"),
    "us": ("en-us", "USA: stories from sea to shining sea", "Nov. 19, 2026"),
}
OFFICES = {"de": "Berlin", "gh": "Accra", "us": "Portland"}
PATHS = {
    "portal": ("localhost", "/"),
    "germany": ("de.localhost", "/"),
    "ghana": ("gh.localhost", "/"),
    "usa": ("us.localhost", "/"),
    "article": ("gh.localhost", "the first article"),
    "maintenance": ("br.localhost", "/"),
    "unknown-host": ("127.0.0.1", "/"),
    "malformed-host": ("not_a_host.localhost", "/"),
    "login": ("de.localhost", "/admin/login/"),
}
PAGES = {
    "first_site": {"host": "shop.example.org", "debug": True},
    "archived": {"name": "Sommerfest der vereinigten Donaudampfschifffahrtsgesellschaften"},
    "suspended": {},
    "maintenance": {"name": "Ghana"},
    "no_database": {"reason": "connection to <b>" + "x" * 90, "debug": True},
    "malformed_host": {"host": "a" * 300, "reason": "it is too long"},
    "unknown_host": {"host": "<b>" + "x" * 90, "command_host": "x", "ignored_header": "y" * 90},
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, without the reloader: sources may be edited while the tests run."""
    with running_demo(tmp_path_factory.mktemp("demo"), "--noreload") as running:
        yield running


@pytest.mark.parametrize("slug", COUNTRIES)
def test_each_country_has_its_language_its_title_and_its_theme(demo, slug):
    language, title, date = COUNTRIES[slug]
    status, _, text = demo.ask(f"{slug}.localhost")
    assert status == 200
    assert f'<html lang="{language}">' in text
    assert f"<title>{title}</title>" in text
    assert f"themes/{slug}/pages/theme.css" in text
    assert date in text


def test_the_portal_lists_every_site_with_its_own_address(demo):
    text = demo.ask("localhost")[2]
    for slug in (*COUNTRIES, "br", "portal"):
        assert f'href="http://{slug}.localhost:{demo.port}/"' in text
        assert f'data-slug="{slug}"' in text
    assert '<dd class="state maintenance">' in text


def test_one_process_serves_them_all(demo):
    texts = [demo.ask(f"{slug}.localhost")[2] for slug in COUNTRIES]
    assert len({re.search(r"process (\d+)", text).group(1) for text in texts}) == 1


def test_the_settings_on_the_portal_are_those_of_the_project(demo):
    text = demo.ask("localhost")[2]
    shown = re.search(r"<pre[^>]*><code>(.*?)</code>", text, re.DOTALL).group(1)
    settings = (EXAMPLE / "countries" / "settings.py").read_text()
    settings = re.sub(r"\s+", " ", settings).replace("{ ", "{")
    lines = unescape(re.sub("<[^>]+>", "", shown)).splitlines()
    for line in lines:
        words = re.sub(r"\.\.\.,?|^\w+ = |[\[\]{}]$", "", line.strip()).strip(" ,[]").rstrip("}")
        assert all(word in settings for word in words.split(", ")), line
    assert len(lines) <= 12


def test_an_article_is_found_on_its_own_site_only(demo):
    path = demo.path_of_article("gh.localhost")
    assert demo.ask("gh.localhost", path)[0] == 200
    assert demo.ask("de.localhost", path)[0] == 404


@pytest.mark.parametrize("slug", OFFICES)
def test_a_country_shows_its_own_offices_and_the_line_that_all_share(demo, slug):
    text = demo.ask(f"{slug}.localhost")[2]
    for other, city in OFFICES.items():
        assert (f"<b>{city}</b>" in text) == (other == slug)
    assert 'href="tel:+80000000112"' in text


def test_the_portal_lists_the_offices_of_all(demo):
    text = demo.ask("localhost")[2]
    assert all(f"<b>{city}</b>" in text for city in OFFICES.values())


def test_without_a_site_the_offices_are_refused_with_the_ways_out(demo):
    refused = manage(demo.database, "shell", "-c", "print(*Office.objects.all())")
    assert refused.returncode == 1
    assert "pages.Office" in refused.stderr
    assert "--site=SLUG" in refused.stderr
    assert "--cross-site=REASON" in refused.stderr


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("POST", 308)])
def test_the_alias_redirects_to_the_host_of_its_site(demo, method, status):
    answer = demo.ask("america.localhost", "/news/1/?a=b", method)
    assert answer[0] == status
    assert answer[1]["Location"] == demo.url("us.localhost", "/news/1/?a=b")


def test_a_site_in_maintenance_says_when_to_come_back(demo):
    status, headers, text = demo.ask("br.localhost")
    assert status == 503
    assert headers["Retry-After"] == "600"
    assert "Brasil will be back soon" in text


def test_an_unknown_host_is_explained(demo):
    status, _, text = demo.ask("127.0.0.1")
    assert status == 404
    assert f"127.0.0.1:{demo.port}" in text
    assert f"resolvehost 127.0.0.1:{demo.port}" in text
    assert demo.url("de.localhost") in text


def test_the_demo_says_once_what_to_open_with_the_reloader_too(tmp_path):
    with running_demo(tmp_path) as demo:
        log = demo.log.read_text()
    assert "Watching for file changes" in log
    for host in ("localhost", "de.localhost", "gh.localhost", "us.localhost"):
        assert log.count(f"  {demo.url(host)} ") == 1
    assert "admin / admin" in log


def test_the_commands_that_the_demo_names_do_what_it_says(tmp_path):
    with running_demo(tmp_path, "--noreload") as demo:
        named = re.findall(r"\n  \S+ manage.py (.*)\n    (.*)", demo.log.read_text())
        done = {}
        for command, note in named:
            words = shlex.split(command.replace("ghana", str(tmp_path / "ghana")))
            done[note.partition(":")[0]] = manage(demo.database, *words)
        time.sleep(1)  # the promised second
        clone = demo.ask("tg.localhost")[2]
    assert len(done) == 5
    assert {note for note, result in done.items() if result.returncode} == {"refused"}
    assert done["Ghana's alone"].stdout.endswith("Accra Kumasi\n")
    assert "Accra Berlin" in done["all, and it is logged"].stdout
    assert "<b>Kumasi</b>" in clone
    assert (tmp_path / "ghana.jsonl.gz").stat().st_size


def test_setting_up_again_changes_nothing_that_was_edited(tmp_path):
    database = tmp_path / "db.sqlite3"
    assert manage(database, "demo", "--prepare-only").returncode == 0
    edit = (
        "from sitefleet.registry import set_state; from sitefleet.lookup import get_site;"
        "from pages.models import Article; set_state(get_site('br'), 'active');"
        "Article.objects.filter(site=get_site('de')).update(title='Neu')"
    )
    assert manage(database, "shell", "-c", edit).returncode == 0
    again = manage(database, "demo", "--prepare-only")
    assert again.returncode == 0, again.stderr
    look = (
        "from pages.models import Article; from sitefleet.models import SiteConfig;"
        "print(Article.objects.count(), Article.objects.filter(title='Neu').count(),"
        " SiteConfig.objects.count(), SiteConfig.objects.filter(state='active').count())"
    )
    assert manage(database, "shell", "-v", "0", "-c", look).stdout.split() == ["12", "3", "5", "5"]


def test_a_site_added_while_the_demo_runs_is_served_with_the_shared_theme(browser, tmp_path):
    with running_demo(tmp_path, "--noreload") as demo:
        added = manage(demo.database, "sites", "add", "fr", "--domain", "example.fr")
        assert added.returncode == 0, added.stderr
        time.sleep(1)  # the promised second
        photograph(browser, "added", demo.url("fr.localhost"), tmp_path)
        assert browser.text("h1") == "example.fr"
        assert browser.complaints == []
        assert demo.url("fr.localhost") in demo.ask("localhost")[2]


def test_a_port_in_use_is_told_with_the_way_to_another(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = manage(tmp_path / "db.sqlite3", "demo", "--noreload", "--port", str(port))
    assert result.returncode != 0
    assert f"Port {port} cannot be used" in result.stderr
    assert "make demo PORT=" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_debug_there_is_no_public_password(tmp_path):
    folder = tmp_path / "countries"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__"))
    (folder / "live.py").write_text("from countries.settings import *\nDEBUG = False\n")
    database = tmp_path / "db.sqlite3"
    result = manage(
        database, "demo", "--prepare-only", folder=folder, DJANGO_SETTINGS_MODULE="live"
    )
    assert result.returncode != 0
    assert "DEBUG" in result.stderr
    assert not database.exists()


@pytest.mark.parametrize("slug", COUNTRIES)
def test_a_browser_shows_each_country_as_its_own(demo, browser, slug):
    language, title, _ = COUNTRIES[slug]
    browser.open(demo.url(f"{slug}.localhost"))
    assert browser.driver.title == title
    assert browser.run("return document.documentElement.lang") == language
    assert len(browser.texts("main article h3")) == 3
    assert browser.complaints == []


def test_the_themes_really_differ(demo, browser):
    looks = set()
    for slug in COUNTRIES:
        browser.open(demo.url(f"{slug}.localhost"))
        looks.add(browser.run("return getComputedStyle(document.body).backgroundColor"))
    assert len(looks) == len(COUNTRIES)


def test_a_visitor_gets_from_the_portal_to_a_country_and_on_to_its_sister(demo, browser):
    browser.open(demo.url("localhost"))
    browser.driver.find_element("css selector", ".site[data-slug=gh] a").click()
    assert browser.driver.current_url == demo.url("gh.localhost")
    browser.driver.find_element("link text", "Deutschland").click()
    assert browser.driver.current_url == demo.url("de.localhost")


def test_the_admin_of_a_site_speaks_its_language_and_lists_its_articles(demo, browser):
    browser.open(demo.url("de.localhost", "/admin/"))
    browser.fill(username="admin", password="admin")
    browser.open(demo.url("de.localhost", "/admin/pages/article/"))
    assert browser.run("return document.documentElement.lang") == "de"
    titles = browser.texts("#result_list tbody th a")
    assert len(titles) == 3
    assert "Der Nachtzug kehrt zurück" in titles


def test_the_admin_shows_and_makes_rows_of_its_own_site(demo, browser):
    browser.open(demo.url("de.localhost", "/admin/"))
    browser.fill(username="admin", password="admin")
    browser.open(demo.url("de.localhost", "/admin/pages/office/"))
    assert browser.texts("#result_list tbody th a") == ["Berlin", "Jena"]
    browser.open(demo.url("de.localhost", "/admin/pages/office/add/"))
    browser.fill(city="Zittau", street="Markt 1")
    assert browser.texts("#result_list tbody th a") == ["Berlin", "Jena", "Zittau"]
    assert "Zittau" not in demo.ask("gh.localhost")[2]


def test_the_admin_shows_a_shared_row_and_offers_no_change_of_it(demo, browser):
    browser.open(demo.url("de.localhost", "/admin/"))
    browser.fill(username="admin", password="admin")
    browser.open(demo.url("de.localhost", "/admin/pages/hotline/"))
    browser.driver.find_element("link text", "SOS 24/7").click()
    assert browser.texts(".field-phone .readonly") == ["+800 0000 0112"]
    assert browser.texts("input[name=_save]") == []


def test_staff_who_log_in_on_a_site_in_maintenance_preview_it(demo, browser):
    browser.open(demo.url("br.localhost"))
    assert browser.text("h1") == "Brasil will be back soon"
    browser.open(demo.url("br.localhost", "/admin/login/?next=/"))
    browser.fill(username="admin", password="admin")
    assert browser.text("h1") == "Sem pressa, com samba."
    photograph(browser, "brazil-preview", demo.url("br.localhost"), demo.database.parent)


@pytest.mark.parametrize("name", PATHS)
def test_no_page_scrolls_sideways_on_a_phone(demo, browser, tmp_path, name):
    host, path = PATHS[name]
    if path == "the first article":
        path = demo.path_of_article(host)
    photograph(browser, name, demo.url(host, path), tmp_path)


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_of_sitefleet_fit_a_phone_and_escape_what_they_show(browser, tmp_path, name):
    page = tmp_path / "page.html"
    page.write_text(render_to_string(f"sitefleet/{name}.html", PAGES[name]))
    photograph(browser, f"sitefleet-{name}", page.as_uri(), tmp_path)
    assert browser.texts("main b") == []


def photograph(browser, name, url, folder):
    """Save the page at two widths, also into $SCREENSHOTS, and see that it fits."""
    folders = [folder, *(Path(kept) for kept in [os.environ.get("SCREENSHOTS", "")] if kept)]
    for width in (1280, 360):
        browser.open(url, width)
        for target in folders:
            target.mkdir(parents=True, exist_ok=True)
            browser.photograph(target / f"{name}-{width}.png")
        assert not browser.scrolls_sideways
