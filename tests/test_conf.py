import dataclasses

import pytest
from django.test import override_settings

from sitefleet.conf import Conf, find_problems, get_conf
from sitefleet.exceptions import InvalidSetting

WRONG = [
    (["not", "a", "dictionary"], "is not a dictionary", "Write SITEFLEET"),
    (None, "is not a dictionary", "Write SITEFLEET"),
    ({"DOMAIN_FORMATS": ""}, "no setting 'DOMAIN_FORMATS'", "Did you mean 'DOMAIN_FORMAT'?"),
    ({"freshness": 1.0}, "no setting 'freshness'", "Did you mean 'FRESHNESS'?"),
    ({"ZZZ": 1}, "no setting 'ZZZ'", "Known are: ARCHIVED_READ_ONLY"),
    ({3: 1}, "no setting 3", "Known are"),
    ({"DOMAIN_FORMAT": None}, "not a str", "such as '{slug}.localhost:8000'"),
    ({"DOMAIN_FORMAT": "localhost"}, "cannot be 'localhost'", "needs {slug} just once"),
    ({"DOMAIN_FORMAT": "{slug}.{slug}.org"}, "cannot be", "needs {slug} just once"),
    ({"DOMAIN_FORMAT": "{slug}"}, "cannot be", "needs a domain behind"),
    ({"DOMAIN_FORMAT": "http://{slug}.localhost"}, "cannot be", "without the scheme"),
    ({"DOMAIN_FORMAT": "{slug}.localhost:x"}, "cannot be", "port is a number"),
    ({"DOMAIN_FORMAT": "example.org.{slug}"}, "cannot be", "behind {slug}"),
    ({"DOMAIN_FORMAT": "a.{slug}:8000"}, "cannot be", "behind {slug}"),
    ({"DOMAIN_FORMAT": "a.{slug}.:8000"}, "cannot be", "behind {slug}"),
    ({"SCHEME": "ftp"}, "cannot be 'ftp'", "http or https"),
    ({"SCHEME": True}, "not a str", "such as 'https'"),
    ({"SITE": "de"}, "belongs to one process", "Set SITEFLEET_SITE"),
    ({"SITES": ["de"]}, "not a dict", "such as {'gh': {'name'"),
    ({"FRESHNESS": "1"}, "not a float", "such as 1.0"),
    ({"FRESHNESS": True}, "not a float", "such as 1.0"),
    ({"FRESHNESS": -1}, "cannot be -1", "from 0 to 3600"),
    ({"FRESHNESS": float("nan")}, "cannot be nan", "from 0 to 3600"),
    ({"LISTEN": 1}, "not a bool", "such as False"),
    ({"CACHE_SIZE": 0}, "cannot be 0", "at least 1"),
    ({"CACHE_SIZE": 1.5}, "not a int", "such as 5000"),
    ({"WWW": "no"}, "not a bool", "such as True"),
    ({"ARCHIVED_READ_ONLY": None}, "not a bool", "such as False"),
    ({"RETRY_AFTER": -1}, "cannot be -1", "at least 0"),
    ({"RETRY_AFTER": False}, "not a int", "such as 600"),
    ({"PREVIEW_PATHS": "/login"}, "not a list", "such as ['/accounts/login/']"),
    ({"PREVIEW_PATHS": [1]}, "cannot be [1]", "list of text"),
    ({"PREVIEW_PATHS": [""]}, "cannot be ['']", "list of text"),
    ({"SYNC_AFTER_MIGRATE": "yes"}, "not a bool", "such as False"),
    ({"FOLLOW_SITE_ID": 0}, "not a bool", "such as True"),
    ({"OWN_SUFFIXES": "x"}, "not a list", "such as ['sites.example.org']"),
    ({"OWN_SUFFIXES": [None]}, "cannot be [None]", "list of text"),
    ({"SITE_SETTINGS": ["OPENS"]}, "not a dict", "such as {'DEFAULT_FROM_EMAIL'"),
    ({"SITE_SETTINGS": {"opens": {}}}, "cannot be", "'opens' is no name of a setting"),
    ({"SITE_SETTINGS": {1: {}}}, "cannot be", "1 is no name of a setting"),
    ({"SITE_SETTINGS": {"OPENS": "date"}}, "cannot be", "OPENS needs a dictionary"),
    ({"URLCONFS": "project.urls"}, "not a list", "such as ['project.urls_shop']"),
    ({"URLCONFS": ["project/urls.py"]}, "cannot be", "a list of modules"),
    ({"URLCONFS": [None]}, "cannot be [None]", "a list of modules"),
    ({"THEME_DIRS": "themes"}, "not a list", "such as ['themes']"),
    ({"THEME_DIRS": [""]}, "cannot be ['']", "a list of directories"),
    ({"THEME_DIRS": [1]}, "cannot be [1]", "a list of directories"),
    ({"SENDFILE": True}, "not a str", "such as 'x-accel-redirect'"),
    ({"SENDFILE": "nginx"}, "cannot be 'nginx'", "one of ('x-accel-redirect', 'x-sendfile')"),
    ({"SENDFILE_ROOT": None}, "not a str", "such as '/protected/'"),
    ({"SENDFILE_ROOT": "protected/"}, "cannot be", "begins and ends with a slash"),
    ({"SENDFILE_ROOT": "/protected"}, "cannot be", "begins and ends with a slash"),
    ({"HOST_COOKIES": 1}, "not a bool", "such as False"),
    ({"COOKIE_DOMAIN": None}, "not a str", "such as 'example.org'"),
    ({"METRICS_SITES": True}, "not a int", "such as 200"),
    ({"MAIL_BACKEND": None}, "not a str", "such as 'django.core.mail.backends.smtp"),
    ({"MAIL_BACKEND": "smtp"}, "cannot be 'smtp'", "path of a class"),
    ({"METRICS_SITES": 0}, "cannot be 0", "at least 1"),
    ({"SCOPED_MODELS": "talks.Talk"}, "not a list", "such as ['talks.Talk']"),
    ({"SCOPED_MODELS": ["Talk"]}, "cannot be", "'Talk' is no model"),
    ({"SCOPED_MODELS": {"talks.Talk": True}}, "cannot be", "talks.Talk needs a dictionary"),
    ({"SCOPED_MODELS": {"talks.Talk": {"sharing": 1}}}, "cannot be", "no option 'sharing'"),
    ({"SCOPED_MODELS": {"talks.Talk": {"shared": 1}}}, "cannot be", "'shared' is a bool"),
    ({"SCOPED_APP": 1}, "not a str", "such as 'project'"),
    ({"SCOPED_APP": "my.app"}, "cannot be 'my.app'", "an app label"),
    ({"GUARD": None}, "not a bool", "such as True"),
    ({"RAW_SQL": True}, "not a str", "such as 'refuse'"),
    ({"RAW_SQL": "deny"}, "cannot be 'deny'", "one of ('refuse'"),
    ({"RLS": True}, "not a str", "such as 'transaction'"),
    ({"RLS": "on"}, "cannot be 'on'", "'transaction', 'session'"),
    ({"RLS_ROLE": None}, "not a str", "such as 'platform'"),
    ({"SERVING": "zygote"}, "not a dict", "such as {'driver': 'zygote'"),
    ({"SERVING": {"drivers": "zygote"}}, "cannot be", "did you mean 'driver'?"),
    ({"SERVING": {"driver": "apache"}}, "cannot be", "one of zygote, gunicorn, uwsgi"),
    ({"SERVING": {"bind": "8000"}}, "cannot be", "a host and a port"),
    ({"SERVING": {"options": {"workers": 0}}}, "cannot be", "from 1 to 64"),
    ({"SERVING": {"options": {"environment": {"A": "b"}}}}, "cannot be", "does not list it"),
    ({"SERVING": {"environment": ["A=b"]}}, "cannot be", "a list of variables"),
    ({"SERVING": {"trusted_proxies": ["10.0.0.1/8"]}}, "cannot be", "a list of networks"),
    ({"SERVING": {"raw": {"apache": ""}}}, "cannot be", "a dictionary of text by server"),
]


@pytest.mark.parametrize(("value", "message", "hint"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_setting_is_told_with_a_hint(value, message, hint):
    with override_settings(SITEFLEET=value):
        (problem,) = find_problems()
        assert message in problem.message
        assert hint in problem.hint
        with pytest.raises(InvalidSetting, match="SITEFLEET"):
            get_conf()


def test_every_setting_has_a_wrong_value_above():
    named = {key for value, _, _ in WRONG if isinstance(value, dict) for key in value}
    assert {item.name for item in dataclasses.fields(Conf)} <= named


def test_all_that_is_wrong_is_told_at_once():
    with override_settings(SITEFLEET={"SCHEME": "ftp", "CACHE_SIZE": 0, "WWW": True}):
        assert [problem.key for problem in find_problems()] == ["SCHEME", "CACHE_SIZE"]


def test_without_the_setting_there_are_the_defaults(settings):
    del settings.SITEFLEET
    assert find_problems() == []
    assert get_conf() == Conf()
    settings.SITEFLEET = None
    with pytest.raises(InvalidSetting):
        get_conf()


def test_lists_are_frozen_and_override_settings_is_followed():
    with override_settings(SITEFLEET={"PREVIEW_PATHS": ["/login"]}):
        assert get_conf().PREVIEW_PATHS == ("/login",)
    assert get_conf().PREVIEW_PATHS == ()


@pytest.mark.parametrize(
    ("key", "in_settings", "in_environment"),
    [
        ("DOMAIN_FORMAT", "{slug}.a.org", "{slug}.b.org"),
        ("DOMAIN_FORMAT", "{slug}.a.org", ""),
        ("SCHEME", "http", "https"),
    ],
)
def test_the_environment_wins(monkeypatch, key, in_settings, in_environment):
    with override_settings(SITEFLEET={key: in_settings}):
        assert getattr(get_conf(), key) == in_settings
        monkeypatch.setenv(f"SITEFLEET_{key}", in_environment)
        assert getattr(get_conf(), key) == in_environment


def test_the_site_of_a_process_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("SITEFLEET_SITE", "germany")
    assert get_conf().SITE == "germany"


def test_a_wrong_value_in_the_environment_is_told_too(monkeypatch):
    monkeypatch.setenv("SITEFLEET_SCHEME", "gopher")
    assert [problem.key for problem in find_problems()] == ["SCHEME"]


def test_other_variables_of_the_environment_do_not_count(monkeypatch):
    monkeypatch.setenv("SITEFLEET_FRESHNESS", "60")
    assert get_conf().FRESHNESS == 0.0
