"""What the checks say where the guard is off, is passed by, or is put on what it must not be."""

from types import SimpleNamespace

import pytest
from django.core.checks import registry as django_checks
from django.db import connection, models
from django.db.models.sql import compiler

from sitefleet.scoping import SiteModel, checks
from sitefleet.scoping.scopes import Kind, Scope, scopes
from tests.rooms.models import Person, Room


def ids(messages):
    return [message.id.partition(".")[2] for message in messages]


def found(look=checks.check_guard):
    messages = look()
    assert all(message.hint for message in messages)
    return ids(messages)


@pytest.fixture
def scoped(monkeypatch):
    """Says which models SCOPED_MODELS names."""

    def name(*labels):
        specs = {label.lower(): SimpleNamespace(label=label) for label in labels}
        monkeypatch.setattr(checks, "specs", lambda: specs)

    name()
    return name


@pytest.mark.usefixtures("scoped")
def test_with_the_guard_on_there_is_nothing_to_tell():
    assert found() == []


def test_without_the_guard_own_models_are_a_warning_and_those_of_others_an_error(settings, scoped):
    settings.SITEFLEET = {"GUARD": False}
    assert found() == ["W461"]
    scoped("talks.Talk")
    assert found() == ["E462"]


def test_where_nothing_is_scoped_nothing_is_told(settings, monkeypatch):
    settings.SITEFLEET = {"GUARD": False, "RAW_SQL": "allow"}
    monkeypatch.setattr(scopes, "tables", {})
    assert found() == found(checks.check_log) == []


@pytest.mark.parametrize(("way", "told"), [("refuse", []), ("warn", []), ("allow", ["W463"])])
def test_raw_sql_that_is_let_go_is_told(settings, scoped, way, told):
    settings.SITEFLEET = {"RAW_SQL": way}
    assert found() == told


def test_settings_that_cannot_be_used_are_told_by_their_own_check(settings):
    settings.SITEFLEET = {"RAW_SQL": "nonsense"}
    assert found() == found(checks.check_log) == []


def test_a_backend_with_a_compiler_of_its_own_is_told(monkeypatch, scoped):
    class SQLCompiler(compiler.SQLCompiler):
        def execute_sql(self, *args, **kwargs):
            raise NotImplementedError

    module = SimpleNamespace(SQLCompiler=SQLCompiler)
    monkeypatch.setattr(checks, "import_module", lambda _: module)
    assert found() == ["W464"]
    assert connection.alias in checks.check_guard()[0].msg


@pytest.mark.usefixtures("scoped", "late")
def test_a_table_between_whose_rows_may_lack_the_one_of_a_site_is_told():
    class Guide(models.Model):
        rooms = models.ManyToManyField(Room, through="rooms.Tour", related_name="+")

        class Meta:
            app_label = "rooms"

        def __str__(self):
            return ""

    class Tour(models.Model):
        room = models.ForeignKey(Room, models.SET_NULL, null=True, related_name="+")
        guide = models.ForeignKey(Guide, models.CASCADE, related_name="+")

        class Meta:
            app_label = "rooms"

        def __str__(self):
            return ""

    assert found() == ["W467"]
    assert "rooms.Tour.room" in checks.check_guard()[0].hint


@pytest.mark.usefixtures("scoped", "late")
def test_a_parent_table_of_no_site_is_told():
    class Chief(Person, SiteModel):
        class Meta:
            app_label = "rooms"

    class Deputy(Chief):
        class Meta:
            app_label = "rooms"

    assert found() == ["W468"]
    assert "rooms.Chief" in checks.check_guard()[0].msg


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("sites.Site", ["E465"]),
        ("contenttypes.ContentType", ["E465"]),
        ("auth.Permission", ["E465"]),
        ("sessions.Session", ["E465"]),
        ("sitefleet.SiteConfig", ["E465"]),
        ("auth.User", ["W466"]),
        ("flatpages.FlatPage", []),
    ],
)
def test_models_that_are_of_no_site_are_told_with_the_reason(scoped, label, told):
    scoped(label)
    messages = checks.check_scoped_models()
    assert ids(messages) == told
    assert all(label in message.msg and label in message.hint for message in messages)


def test_the_log_of_the_admin_is_told_before_deployment_until_it_is_scoped(monkeypatch):
    assert found(checks.check_log) == ["W471"]
    log = checks.apps.get_model("admin.LogEntry")
    scope = Scope(log, Kind.OWN, "site", "site_id")
    monkeypatch.setattr(scopes, "tables", {**scopes.tables, log._meta.db_table: scope})
    assert found(checks.check_log) == []


def test_models_that_refer_to_rows_of_a_site_and_belong_to_none_are_told():
    (message,) = checks.check_references()
    assert message.id == "sitefleet.W469"
    assert "rooms.Key" in message.msg
    assert "'room', 'spare'" in message.msg
    assert "SCOPED_MODELS" in message.hint


def test_before_deployment_models_with_a_site_that_nothing_guards_are_told():
    (message,) = checks.check_unguarded()
    assert message.id == "sitefleet.W470"
    assert "redirects.Redirect.site" in message.msg
    assert "flatpages.FlatPage.sites" in message.msg
    assert "rooms." not in message.msg
    assert "sitefleet." not in message.msg.replace("sitefleet.W470", "")
    assert '"add": False' in message.hint


def test_where_there_is_no_admin_there_is_no_log(settings):
    apps = [app for app in settings.INSTALLED_APPS if app != "django.contrib.admin"]
    settings.INSTALLED_APPS = apps
    assert found(checks.check_log) == []


def test_each_is_run_with_the_others():
    looks = {checks.check_guard, checks.check_scoped_models, checks.check_references}
    assert looks <= django_checks.registry.registered_checks
    messages = django_checks.run_checks(include_deployment_checks=True)
    assert {"sitefleet.W470", "sitefleet.W471"} <= {message.id for message in messages}
