"""What is wrong with the themes, or with who reads them, is said by the system checks."""

import pytest
from django.core.checks import Tags, run_checks
from django.core.management import call_command

from sitefleet.models import SiteConfig
from sitefleet.persite.templates.checks import check_sites, check_themes
from sitefleet.persite.templates.django import DjangoTemplates
from sitefleet.registry import add_site, configure_site

PLAIN = {
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {
        "context_processors": [
            "django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ]
    },
}
THEMED = {**PLAIN, "BACKEND": "sitefleet.persite.templates.django.DjangoTemplates"}
JINJA = {"BACKEND": "django.template.backends.jinja2.Jinja2"}
THEMED_JINJA = {"BACKEND": "sitefleet.persite.templates.jinja2.Jinja2"}


class Own(DjangoTemplates):
    pass


def found(**options):
    messages = [message for message in run_checks(**options) if message.id.startswith("sitefleet")]
    return [message for message in messages if message.id[-3:].startswith("31")]


def ids(**options):
    return [message.id.removeprefix("sitefleet.") for message in found(**options)]


@pytest.mark.parametrize(
    ("kind", "templates", "expected"),
    [
        ("templates", [THEMED], []),
        ("templates", [PLAIN], ["W311"]),
        ("templates", [PLAIN, THEMED_JINJA], ["W311"]),
        ("jinja2", [THEMED], ["W311"]),
        ("jinja2", [THEMED, JINJA], ["W311"]),
        ("jinja2", [PLAIN, THEMED_JINJA], []),
        ("static", [PLAIN], []),
        (".", [PLAIN], []),
    ],
)
def test_a_folder_that_no_engine_reads_is_told(settings, theme_dirs, kind, templates, expected):
    (theme_dirs[0] / "red" / kind).mkdir(parents=True)
    settings.TEMPLATES = templates
    messages = found(tags=[Tags.templates])
    assert [message.id.removeprefix("sitefleet.") for message in messages] == expected
    assert all(repr(kind) in message.msg and "BACKEND" in message.hint for message in messages)


def test_a_backend_of_your_own_on_top_of_ours_counts(settings, theme_dirs):
    (theme_dirs[0] / "red" / "templates").mkdir(parents=True)
    settings.TEMPLATES = [{**PLAIN, "BACKEND": f"{__name__}.Own"}]
    assert ids(tags=[Tags.templates]) == []


def test_an_engine_without_themes_is_told(settings):
    settings.TEMPLATES = [THEMED, THEMED_JINJA]
    messages = found(tags=[Tags.templates])
    assert [message.id for message in messages] == ["sitefleet.W312"] * 2
    assert all("THEME_DIRS" in message.hint for message in messages)


def test_nothing_is_told_where_nobody_wants_themes():
    assert ids() == []


def test_a_directory_of_themes_that_is_none_is_an_error(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.SITEFLEET = {"THEME_DIRS": [tmp_path / "none", str(tmp_path / "file"), tmp_path]}
    messages = found(tags=[Tags.templates])
    assert [message.id for message in messages] == ["sitefleet.E310"] * 2
    assert [str(tmp_path / "none") in messages[0].msg, "file" in messages[1].msg] == [True, True]


def test_settings_that_cannot_be_used_are_told_elsewhere(settings):
    settings.SITEFLEET = {"THEME_DIRS": 1}
    assert ids() == []
    assert "sitefleet.E001" in [message.id for message in run_checks()]


def test_a_backend_that_cannot_be_imported_is_told_by_django(settings, theme_dirs):
    settings.TEMPLATES = [{"BACKEND": "no.such.Backend"}, THEMED]
    (theme_dirs[0] / "red" / "templates").mkdir(parents=True)
    assert check_themes() == []


def test_sites_whose_theme_is_nowhere_are_named(theme_dirs, db):
    (theme_dirs[1] / "red").mkdir()
    for number in range(13):
        site = add_site(f"s{number:02}", domain=f"s{number:02}.example")
        configure_site(site, theme="gone")
    configure_site(site, theme="red")
    SiteConfig.objects.filter(slug="s00").update(theme="../red")
    messages = found(databases=["default"])
    assert [message.id for message in messages] == ["sitefleet.W315"] * 2
    texts = [message.msg for message in messages]
    assert "'../red'" in texts[0]
    assert "what s00 is to have" in texts[0]
    assert "s01, s02" in texts[1]
    assert "s10 and 1 more" in texts[1]
    assert all("red" in message.hint for message in messages)
    assert ids() == []  # no queries without --database


def test_sites_with_themes_and_no_directories_of_themes_are_named(site, settings):
    configure_site(site, theme="red")
    settings.SITEFLEET = {}
    assert ids(databases=["default"]) == ["W315"]
    settings.SITEFLEET = {"THEME_DIRS": 1}
    assert ids(databases=["default"]) == []


def test_before_the_first_migration_the_check_has_nothing_to_say(monkeypatch, db):
    monkeypatch.setattr(SiteConfig._meta, "db_table", "no_such_table")
    assert check_sites(databases=["default"]) == []
    assert check_sites(databases=["other"]) == []


def test_a_check_costs_one_query(django_assert_num_queries, site, theme_dirs):
    with django_assert_num_queries(1):
        assert check_sites(databases=["default"]) == []


def test_check_passes_with_all_of_it(settings, theme_dirs, site, capsys):
    for kind in ("templates", "jinja2"):
        (theme_dirs[0] / "red" / kind).mkdir(parents=True)
    configure_site(site, theme="red")
    settings.TEMPLATES = [THEMED, THEMED_JINJA]
    call_command("check", "--tag", "templates", "--database", "default")
    assert "no issues" in capsys.readouterr().out
