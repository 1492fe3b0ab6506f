"""Templates of Django: the current site's theme, in front of project and apps, whatever loads."""

import logging
from contextlib import nullcontext

import pytest
from django.contrib.sites.models import Site
from django.core.mail import EmailMessage
from django.db import connection
from django.template import Context, Engine, TemplateDoesNotExist, engines
from django.template.loader import get_template, render_to_string, select_template
from django.test.utils import CaptureQueriesContext

from sitefleet import carry_site, override_site, themes
from sitefleet.models import SiteConfig
from sitefleet.persite.static import themed_name
from sitefleet.registry import add_site, configure_site
from tests.databases import together

FILESYSTEM = "django.template.loaders.filesystem.Loader"
APPS = "django.template.loaders.app_directories.Loader"
CACHED = "django.template.loaders.cached.Loader"
LOCMEM = "django.template.loaders.locmem.Loader"

pytestmark = pytest.mark.usefixtures("engine")


def under(site, name="page.html", **context):
    with override_site(site) if site else nullcontext():
        return render_to_string(name, context)


def all_under(sites, name="page.html"):
    return [under(site, name) for site in (*sites, None)]


@pytest.fixture
def pages(write, sites):
    """The page of the project, of both themes; the third site has none."""
    write("templates/page.html", "shared")
    write("themes/red/templates/page.html", "red")
    write("themes/blue/templates/page.html", "blue")
    return sites


# --- attack 15: the cache of templates --------------------------------------------


def test_the_cached_loader_never_shows_the_template_of_one_site_on_another(pages):
    assert CACHED in str(Engine.get_default().loaders)
    assert [all_under(pages) for _ in range(3)] == [["red", "blue", "shared", "shared"]] * 3


def test_what_is_missing_for_one_theme_is_not_missing_for_another(sites, write):
    write("themes/blue/templates/own.html", "blue")
    for _ in range(2):
        with pytest.raises(TemplateDoesNotExist):
            under(sites[0], "own.html")
        assert under(sites[1], "own.html") == "blue"
        with pytest.raises(TemplateDoesNotExist):
            under(None, "own.html")


def test_templates_are_compiled_once_for_each_theme_and_found_without_a_query(pages):
    all_under(pages)
    for site in pages:
        with override_site(site):
            first = get_template("page.html").template
            with CaptureQueriesContext(connection) as queries:
                again = [get_template("page.html").template for _ in range(5)]
            assert all(template is first for template in again)
            assert not queries.captured_queries


def test_there_are_no_more_chains_than_themes_on_disk(pages, monkeypatch):
    monkeypatch.setattr(themes, "REMEMBERED", 20)
    loaders = Engine.get_default().template_loaders
    for number in range(50):
        configure_site(pages[2], theme=f"none{number}")
        all_under(pages)
        assert len([chain for chain in loaders.themes._made.values() if chain]) == 2
        assert len(loaders.themes._made) <= 20


# --- what a theme overrides --------------------------------------------------------


def test_a_theme_overrides_project_and_apps_and_falls_back_to_them(sites, write):
    write("templates/admin/base_site.html", "project")
    write("themes/red/templates/admin/base_site.html", "red")
    write("themes/red/templates/admin/login.html", "red login")
    assert all_under(sites, "admin/base_site.html") == ["red", "project", "project", "project"]
    assert under(sites[0], "admin/login.html") == "red login"
    assert "red" not in under(sites[1], "admin/login.html")
    assert "404" not in under(sites[0], "admin/404.html", title="Missing")


def test_a_theme_in_two_directories_is_one_and_the_first_wins(sites, write):
    write("themes/red/templates/page.html", "first")
    write("more_themes/red/templates/page.html", "second")
    write("more_themes/red/templates/more.html", "more")
    write("more_themes/green/templates/page.html", "green")
    themes.forget_themes()
    assert under(sites[0]) == "first"
    assert under(sites[0], "more.html") == "more"
    configure_site(sites[0], theme="green")
    assert under(sites[0]) == "green"


def test_a_site_changes_its_theme_without_a_restart(pages):
    assert under(pages[0]) == "red"
    configure_site(pages[0], theme="blue")
    assert under(pages[0]) == "blue"
    configure_site(pages[0], theme="")
    assert under(pages[0]) == "shared"


def test_the_default_site_has_its_theme_where_it_is_entered(pages, settings):
    settings.SITE_ID = pages[0].pk
    assert under(None) == "shared"
    assert under(pages[0]) == "red"


# --- extends, include, select ------------------------------------------------------


def test_extends_of_the_same_name_goes_from_theme_to_project_to_app(sites, write):
    same = '{% extends "admin/404.html" %}'
    write(
        "themes/red/templates/admin/404.html",
        same + "{% block title %}R{{ block.super }}{% endblock %}",
    )
    write("templates/admin/404.html", same + "{% block title %}P{% endblock %}")
    for _ in range(2):
        assert "<title>RP</title>" in under(sites[0], "admin/404.html")
        assert "<title>P</title>" in under(sites[1], "admin/404.html")


def test_extends_of_the_same_name_passes_two_directories_of_one_theme(sites, write):
    extended = '{{% extends "page.html" %}}{{% block a %}}{}{{{{ block.super }}}}{{% endblock %}}'
    write("themes/red/templates/page.html", extended.format("1"))
    write("more_themes/red/templates/page.html", extended.format("2"))
    write("templates/page.html", "{% block a %}shared{% endblock %}")
    assert [under(sites[0]), under(sites[1])] == ["12shared", "shared"]


def test_a_shared_page_extends_and_includes_what_the_theme_has(sites, write):
    write("templates/page.html", '{% extends "base.html" %}{% block a %}page{% endblock %}')
    write("templates/base.html", '{% block a %}{% endblock %} {% include "nav.html" %}')
    write("templates/nav.html", "nav")
    write("themes/red/templates/nav.html", "red nav")
    write(
        "themes/blue/templates/base.html",
        'blue {% block a %}{% endblock %} {% for n in "12" %}{% include "nav.html" %}{% endfor %}',
    )
    assert all_under(sites) == ["page red nav", "blue page navnav", "page nav", "page nav"]


def test_extends_and_include_of_a_variable_follow_the_theme(sites, write):
    write("templates/page.html", "{% extends base %}{% block a %}{% include names %}{% endblock %}")
    write("templates/a.html", "shared {% block a %}{% endblock %}")
    write("themes/red/templates/a.html", "red {% block a %}{% endblock %}")
    write("templates/b.html", "b")
    write("themes/red/templates/b.html", "red b")
    context = {"base": "a.html", "names": ["none.html", "b.html"]}
    assert under(sites[0], **context) == "red red b"
    assert under(sites[1], **context) == "shared b"


def test_select_template_prefers_the_earlier_name_in_each_theme(sites, write):
    write("templates/b.html", "shared")
    write("themes/red/templates/a.html", "red")
    assert under(sites[0], ["a.html", "b.html"]) == "red"
    assert under(sites[1], ["a.html", "b.html"]) == "shared"
    with override_site(sites[1]), pytest.raises(TemplateDoesNotExist, match=r"a\.html, none\.html"):
        select_template(["a.html", "none.html"])


def test_a_template_kept_from_before_finds_its_parts_for_the_site_it_is_rendered_on(sites, write):
    write("templates/page.html", '{% include "nav.html" %}')
    write("templates/nav.html", "nav")
    write("themes/red/templates/nav.html", "red nav")
    kept = get_template("page.html")
    text = engines["django"].from_string('{% extends "page.html" %}')
    for site, expected in ((sites[0], "red nav"), (sites[1], "nav"), (sites[0], "red nav")):
        with override_site(site):
            assert kept.render() == text.render() == expected


@pytest.mark.django(6, 0)
def test_partials_are_those_of_the_theme(sites, write):
    write("templates/page.html", "{% partialdef p %}shared{% endpartialdef %}")
    write("themes/red/templates/page.html", "{% partialdef p %}red{% endpartialdef %}")
    for _ in range(2):
        assert all_under(sites, "page.html#p") == ["red", "shared", "shared", "shared"]


# --- loaders that are listed by hand -----------------------------------------------

MEMORY = {"page.html": "memory", "memory.html": "memory"}


@pytest.mark.parametrize(
    "loaders",
    [
        [FILESYSTEM, APPS],
        [APPS, FILESYSTEM],
        [(CACHED, [FILESYSTEM, APPS])],
        [(CACHED, [(FILESYSTEM, ["/nowhere"]), FILESYSTEM])],
        [(CACHED, [(CACHED, [FILESYSTEM])])],
        [(FILESYSTEM, ["/nowhere", "templates"]), FILESYSTEM],
        [(LOCMEM, MEMORY)],
        [(LOCMEM, MEMORY), (CACHED, [FILESYSTEM])],
        [(FILESYSTEM,)],
    ],
)
def test_a_theme_goes_in_front_of_any_loaders(pages, settings, loaders):
    entry = {**settings.TEMPLATES[0], "APP_DIRS": False}
    entry["OPTIONS"] = {**entry["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [entry]
    assert [under(site) for site in (pages[0], pages[1]) * 2] == ["red", "blue"] * 2
    assert under(pages[2]) == ("memory" if (LOCMEM, MEMORY) in loaders else "shared")
    with override_site(pages[0]):
        chain = Engine.get_default().template_loaders
        cached = CACHED in str(loaders[0])
        assert len(chain) == len(list(chain)) == len(loaders) + (not cached)
        template = chain[0].get_template("page.html")
        assert (template is chain[0].get_template("page.html")) == cached


def test_options_of_the_entry_stay_what_they_are(settings, pages, write):
    write("themes/red/templates/page.html", "{{ value }}{{ nothing }}{% load i18n %}")
    entry = settings.TEMPLATES[0]
    entry["OPTIONS"] |= {"autoescape": False, "string_if_invalid": "?", "debug": True}
    settings.TEMPLATES = [entry]
    assert under(pages[0], value="<") == "<?"


def test_the_engine_keeps_the_name_that_django_gives_it(pages):
    assert list(engines) == ["django"]
    assert Engine.get_default() is engines["django"].engine
    with override_site(pages[0]):
        assert render_to_string("page.html", using="django") == "red"


# --- other places that render ------------------------------------------------------


def test_threads_that_start_at_once_each_render_for_their_site(file_database, write):
    names = ("red", "blue", "shared")
    fleet = [add_site(name, domain=f"{name}.example") for name in names]
    write("templates/page.html", "shared")
    for site, theme in zip(fleet[:2], names, strict=False):
        write(f"themes/{theme}/templates/page.html", theme)
        configure_site(site, theme=theme)

    def render(number):
        site = fleet[number % 3]
        with override_site(site):
            carried = carry_site(render_to_string)
        return [under(site), carried("page.html"), render_to_string("page.html")]

    expected = [[names[number % 3], names[number % 3], "shared"] for number in range(9)]
    assert together(render, 9) == expected


def test_a_mail_of_a_task_has_the_theme_of_its_site(pages, mailoutbox):
    for site in pages:
        with override_site(site):
            EmailMessage("subject", render_to_string("page.html"), to=["a@example.org"]).send()
    assert [mail.body for mail in mailoutbox] == ["red", "blue", "shared"]


# --- missing and hostile themes ----------------------------------------------------


@pytest.mark.parametrize("debug", [False, True])
def test_a_missing_theme_is_told_once_and_the_shared_pages_are_shown(
    pages, caplog, settings, debug
):
    settings.DEBUG = debug
    configure_site(pages[0], theme="gone")
    configure_site(pages[1], theme="gone")
    with caplog.at_level(logging.WARNING, "sitefleet"):
        for _ in range(2):
            assert all_under(pages) == ["shared"] * 4
            with override_site(pages[0]):
                assert themed_name("site.css") == "site.css"
    [record] = [record for record in caplog.records if record.name == "sitefleet"]
    assert "'gone'" in record.getMessage()
    assert "more_themes" in record.getMessage()


def test_a_missing_theme_is_looked_for_once_in_production(pages, monkeypatch):
    configure_site(pages[0], theme="gone")
    assert under(pages[0]) == "shared"
    monkeypatch.setattr(themes, "theme_folders", None)
    assert under(pages[0]) == "shared"


def test_a_theme_without_templates_is_not_missing(pages, theme_dirs, caplog):
    (theme_dirs[0] / "only_static" / "static").mkdir(parents=True)
    configure_site(pages[0], theme="only_static")
    assert under(pages[0]) == "shared"
    assert not caplog.records


def test_rows_that_came_in_past_validation_lead_nowhere(pages, write, caplog):
    write("secret/templates/page.html", "secret")
    write("themes/templates/page.html", "secret")
    hostile = ["../secret", "..", ".", "/", "red/../../secret", "red/..", "red/templates", "%2e"]
    for theme in [*hostile, "red\nx", "x" * 63, "re\u0301d", "red ", "../themes/red"]:
        SiteConfig.objects.filter(site=pages[2]).update(theme=theme)
        Site.objects.clear_cache()
        with override_site(pages[2]):
            assert themes.current_theme() == theme
        assert under(pages[2]) == "shared"
    assert len(caplog.records) == len(caplog.text.splitlines())


def test_a_name_too_long_for_a_file_system_leads_nowhere(pages):
    if connection.vendor != "sqlite":
        pytest.skip("this database minds the length of a column")
    SiteConfig.objects.filter(site=pages[2]).update(theme="x" * 5000)
    Site.objects.clear_cache()
    assert under(pages[2]) == "shared"


def test_template_names_do_not_leave_the_folder_of_a_theme(pages, write):
    write("themes/secret.html", "secret")
    for name in ("../../secret.html", "../secret.html", "/etc/passwd"):
        with pytest.raises(TemplateDoesNotExist):
            under(pages[0], name)


def test_themes_are_the_folders_on_disk_with_a_name_that_can_be_one(theme_dirs):
    for name in ("red", "Blue_2", "__pycache__", ".git", "a b"):
        (theme_dirs[0] / name).mkdir()
    (theme_dirs[1] / "red").mkdir()
    (theme_dirs[1] / "green").mkdir()
    (theme_dirs[1] / "README").write_text("no theme")
    assert themes.theme_names() == ["Blue_2", "green", "red"]


def test_there_are_no_themes_without_directories(settings, tmp_path):
    settings.SITEFLEET = {"THEME_DIRS": [tmp_path / "none"]}
    assert themes.theme_names() == []
    settings.SITEFLEET = {}
    assert themes.theme_names() == []


def test_without_theme_dirs_pages_are_shared(pages, settings):
    assert under(pages[0]) == "red"
    settings.SITEFLEET = {}
    assert under(pages[0]) == "shared"


def test_another_directory_of_themes_is_seen_in_tests(pages, settings, write, tmp_path):
    assert under(pages[0]) == "red"
    write("other/red/templates/page.html", "other")
    settings.SITEFLEET = {"THEME_DIRS": [str(tmp_path / "other")]}
    assert under(pages[0]) == "other"
    assert under(pages[1]) == "shared"


def test_a_site_that_is_gone_is_an_error_and_no_guess(pages):
    pk = pages[1].pk
    pages[1].delete()
    with override_site(pk), pytest.raises(Site.DoesNotExist):
        render_to_string("page.html")
    assert get_template("page.html").template.render(Context()) == "shared"
