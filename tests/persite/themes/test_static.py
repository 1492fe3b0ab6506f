"""Static files: those of the current site's theme, in development and collected."""

import json
import re
from contextlib import nullcontext

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.checks import Tags, run_checks
from django.core.exceptions import SuspiciousFileOperation
from django.core.management import call_command
from django.forms import Media
from django.template import engines
from django.templatetags.static import static
from django.test import RequestFactory

from sitefleet import override_site
from sitefleet.persite.static import Themed, themed_name
from sitefleet.registry import configure_site

FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
FINDER = "sitefleet.persite.static.ThemeFinder"
PLAIN = "sitefleet.persite.static.ThemedStaticFilesStorage"
MANIFEST = "sitefleet.persite.static.ThemedManifestStaticFilesStorage"


class Own(Themed, ManifestStaticFilesStorage):
    """A storage of people's own."""

    def url(self, name, force=False, *, loudly=False):
        return super().url(name, force) + ("!" if loudly else "")


def use(settings, storage):
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}


@pytest.fixture(autouse=True)
def project(settings, theme_dirs, tmp_path):
    settings.STATICFILES_FINDERS = [*FINDERS, FINDER]
    settings.STATICFILES_DIRS = [tmp_path / "assets"]
    settings.STATIC_ROOT = str(tmp_path / "collected")
    settings.STATIC_URL = "/static/"
    (tmp_path / "assets").mkdir()
    use(settings, PLAIN)


@pytest.fixture
def files(sites, write):
    """A style sheet for all, one for each theme, and a file that one theme has alone."""
    write("assets/site.css", "shared")
    write("assets/img/logo.png", "shared logo")
    write("themes/red/static/site.css", "red")
    write("themes/blue/static/site.css", "blue")
    write("themes/blue/static/img/logo.png", "blue logo")
    write("themes/red/static/only.js", "red only")
    return sites


def under(site, name, link=static):
    with override_site(site) if site else nullcontext():
        return link(name)


def all_under(sites, name, link=static):
    return [under(site, name, link) for site in (*sites, None)]


def collect(tmp_path, **options):
    options["ignore_patterns"] = ["admin"]
    call_command("collectstatic", interactive=False, verbosity=0, **options)
    root = tmp_path / "collected"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def read(tmp_path, url):
    return (tmp_path / "collected" / url.removeprefix("/static/")).read_text()


# --- links -------------------------------------------------------------------------


@pytest.mark.parametrize("debug", [False, True])
def test_static_links_to_the_file_of_the_theme_else_to_the_shared_one(files, settings, debug):
    settings.DEBUG = debug
    for _ in range(2):
        assert all_under(files, "site.css") == [
            "/static/themes/red/site.css",
            "/static/themes/blue/site.css",
            "/static/site.css",
            "/static/site.css",
        ]
        assert all_under(files, "img/logo.png")[:2] == [
            "/static/img/logo.png",
            "/static/themes/blue/img/logo.png",
        ]


@pytest.mark.parametrize("debug", [False, True])
def test_templates_forms_and_jinja_link_alike(files, settings, debug):
    settings.DEBUG = debug
    settings.TEMPLATES = [
        {"BACKEND": f"django.template.backends.{backend}"}
        for backend in ("django.DjangoTemplates", "jinja2.Jinja2")
    ]
    tag = engines["django"].from_string("{% load static %}{% static 'site.css' as s %}{{ s }}")
    function = engines["jinja2"].from_string("{{ static('site.css') }}")

    for link in (
        lambda _: tag.render(),
        lambda _: function.render({"static": static}),
        lambda name: Media(css={"all": [name]}).absolute_path(name),
    ):
        assert all_under(files, "site.css", link)[:3] == [
            "/static/themes/red/site.css",
            "/static/themes/blue/site.css",
            "/static/site.css",
        ]


def test_links_below_a_path_prefix_are_those_of_the_host(files, settings, client):
    settings.STATIC_URL = "static/"
    configure_site(files[2], theme="red")
    seen = client.get("/de/links/", headers={"host": "one.example.org"}).json()
    assert (seen["prefix"], seen["static"]) == ("/de/", "/static/a.css")
    with override_site(files[2]):
        assert static("site.css") == "/static/themes/red/site.css"


def test_another_host_for_static_files_stays(files, settings):
    settings.STATIC_URL = "https://cdn.example.net/s/"
    assert under(files[0], "site.css") == "https://cdn.example.net/s/themes/red/site.css"


NOT_NAMES = [
    "../static/site.css",
    "x/../site.css",
    "../../red/static/site.css",
    "/site.css",
    "./site.css",
    "",
    "img/",
    "img",
    "none.css",
    "x" * 5000,
]


@pytest.mark.parametrize("debug", [False, True])
def test_other_spellings_and_folders_are_left_to_django(files, settings, debug):
    settings.DEBUG = debug
    for site in files:
        with override_site(site):
            assert [themed_name(name) for name in NOT_NAMES] == NOT_NAMES


@pytest.mark.parametrize("debug", [False, True])
def test_what_stands_behind_the_path_stays(files, settings, debug):
    settings.DEBUG = debug
    with override_site(files[0]):
        assert themed_name("site.css?#iefix") == "themes/red/site.css?#iefix"
        assert themed_name("only.js#a?b") == "themes/red/only.js#a?b"
        assert themed_name(None) is None


def test_in_development_a_new_file_is_seen_at_once(files, settings, write):
    settings.DEBUG = True
    assert under(files[0], "img/logo.png") == "/static/img/logo.png"
    write("themes/red/static/img/logo.png", "red logo")
    assert under(files[0], "img/logo.png") == "/static/themes/red/img/logo.png"
    write("themes/green/static/site.css", "green")
    configure_site(files[2], theme="green")
    assert under(files[2], "site.css") == "/static/themes/green/site.css"
    assert finders.find("themes/green/site.css")


def test_a_missing_theme_links_to_the_shared_files(files):
    configure_site(files[0], theme="gone")
    assert under(files[0], "site.css") == "/static/site.css"


def test_the_disk_is_read_once_in_production(files, monkeypatch, settings):
    before = all_under(files, "site.css")

    def forbidden(*_):
        raise AssertionError

    monkeypatch.setattr("sitefleet.persite.static.get_files", forbidden)
    monkeypatch.setattr("os.stat", forbidden)
    monkeypatch.setattr("os.scandir", forbidden)
    assert all_under(files, "site.css") == before


# --- found, collected and served -----------------------------------------------------


def test_files_of_themes_are_found_in_their_place_only(files, tmp_path, capsys):
    assert finders.find("themes/red/site.css") == str(tmp_path / "themes/red/static/site.css")
    assert finders.find("themes/red/site.css", find_all=True) == [
        str(tmp_path / "themes/red/static/site.css")
    ]
    assert finders.find("site.css", find_all=True) == [str(tmp_path / "assets/site.css")]
    for name in ("themes/red/none.css", "themes/none/site.css", "only.js", "themes"):
        assert not finders.find(name)
    with pytest.raises(SuspiciousFileOperation):
        finders.get_finder(FINDER).find("themes/red/../templates/page.html")
    call_command("findstatic", "themes/blue/site.css", verbosity=1)
    assert str(tmp_path / "themes/blue/static/site.css") in capsys.readouterr().out


@pytest.mark.parametrize("link", [False, True])
def test_collected_files_of_two_themes_never_mix(files, tmp_path, link):
    for _ in range(2):
        collected = collect(tmp_path, link=link)
    assert collected == {
        "site.css",
        "img/logo.png",
        "themes/red/site.css",
        "themes/red/only.js",
        "themes/blue/site.css",
        "themes/blue/img/logo.png",
    }
    texts = [read(tmp_path, url) for url in all_under(files, "site.css")]
    assert texts == ["red", "blue", "shared", "shared"]
    assert (tmp_path / "collected/site.css").is_symlink() is link


def test_a_theme_in_two_directories_is_collected_as_one(files, tmp_path, write):
    write("more_themes/red/static/site.css", "second")
    write("more_themes/red/static/more.css", "more")
    collect(tmp_path)
    assert read(tmp_path, under(files[0], "site.css")) == "red"
    assert read(tmp_path, under(files[0], "more.css")) == "more"


def test_what_collectstatic_leaves_out_is_not_linked_to(files, tmp_path, write):
    write("themes/red/static/.hidden.css", "hidden")
    assert not [name for name in collect(tmp_path) if "hidden" in name]
    assert under(files[0], ".hidden.css") == "/static/.hidden.css"


@pytest.mark.parametrize("storage", [MANIFEST, f"{__name__}.Own"])
def test_hashed_names_are_those_of_the_file_of_the_theme(files, tmp_path, settings, write, storage):
    write("themes/red/static/css/a.css", "a { background: url(../img/red.png) }")
    write("themes/red/static/css/b.css", "b { background: url(../../../img/logo.png) }")
    write("themes/red/static/img/red.png", "red image")
    use(settings, storage)
    with override_site(files[1]):  # `collectstatic --site` makes no difference
        collect(tmp_path)
    urls = all_under(files, "site.css")
    assert [read(tmp_path, url) for url in urls] == ["red", "blue", "shared", "shared"]
    assert re.fullmatch(r"/static/themes/red/site\.[0-9a-f]{12}\.css", urls[0])
    manifest = json.loads((tmp_path / "collected/staticfiles.json").read_text())["paths"]
    assert manifest["site.css"] == urls[3].removeprefix("/static/")
    sheet = read(tmp_path, under(files[0], "css/a.css"))
    image = manifest["themes/red/img/red.png"].removeprefix("themes/red/")
    assert f"url(../{image})" in sheet.replace('"', "")
    sheet = read(tmp_path, under(files[0], "css/b.css"))
    assert f"url(../../../{manifest['img/logo.png']})" in sheet.replace('"', "")
    assert under(files[0], "site.css#x").endswith(".css#x")
    with pytest.raises(ValueError, match=r"Missing staticfiles manifest entry for 'none\.css'"):
        under(files[0], "none.css")


def test_a_storage_keeps_what_else_its_url_takes(files, tmp_path, settings):
    use(settings, f"{__name__}.Own")
    collect(tmp_path)
    from django.contrib.staticfiles.storage import staticfiles_storage  # noqa: PLC0415

    with override_site(files[0]):
        assert staticfiles_storage.url("site.css", force=True, loudly=True).endswith(".css!")


def test_with_debug_hashed_names_are_not_needed(files, settings):
    use(settings, MANIFEST)
    settings.DEBUG = True
    assert under(files[0], "site.css") == "/static/themes/red/site.css"


def test_the_server_of_development_serves_what_it_links_to(files, settings):
    settings.DEBUG = True
    for url, text in zip(
        all_under(files, "site.css"), ("red", "blue", "shared", "shared"), strict=True
    ):
        request = RequestFactory().get(url)
        response = StaticFilesHandler(None).serve(request)
        assert b"".join(response).decode() == text
        response.close()


# --- checks --------------------------------------------------------------------------


def ids():
    messages = run_checks(tags=[Tags.staticfiles])
    return [message.id for message in messages if message.id.startswith("sitefleet")]


def test_a_missing_finder_and_a_missing_storage_are_told(files, settings):
    assert ids() == []
    settings.STATICFILES_FINDERS = FINDERS
    assert ids() == ["sitefleet.W313"]
    use(settings, "django.contrib.staticfiles.storage.StaticFilesStorage")
    assert ids() == ["sitefleet.W313", "sitefleet.W314"]
    settings.STORAGES = {}
    assert ids() == ["sitefleet.W313", "sitefleet.W314"]
    use(settings, "no.such.Storage")
    settings.STATICFILES_FINDERS = [*FINDERS, FINDER]
    assert ids() == ["sitefleet.W314"]
    use(settings, f"{__name__}.Own")
    assert ids() == []


def test_nothing_is_told_where_no_theme_has_static_files(settings, theme_dirs):
    (theme_dirs[0] / "red" / "templates").mkdir(parents=True)
    settings.STATICFILES_FINDERS = FINDERS
    use(settings, "django.contrib.staticfiles.storage.StaticFilesStorage")
    assert ids() == []
    settings.SITEFLEET = {"THEME_DIRS": 1}
    assert ids() == []
