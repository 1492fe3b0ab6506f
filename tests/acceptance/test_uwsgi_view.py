"""The view for uWSGI's Emperor on PostgreSQL, and the trigger that moves its epoch."""

import json

import pytest
from django.core.management import call_command
from django.db import connection

from sitefleet.models import SiteConfig
from sitefleet.registry import add_site
from sitefleet.serving import emperor
from tests.databases import using_database
from tests.serving.test_checks import in_database, serving

pytestmark = pytest.mark.acceptance


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else None


def row(view, site):
    name = f"site-{site.pk}.ini"
    (found,) = sql(f"SELECT config, epoch FROM {view} WHERE name = %s", name)  # noqa: S608 - a view
    return found


@pytest.fixture
def schema(postgres_server, django_db_setup, django_db_blocker):
    """A database in which the tables are in a schema of another name, by the search path."""
    postgres_server.sql("CREATE DATABASE elsewhere")
    settings = postgres_server.settings("elsewhere")
    with django_db_blocker.unblock():
        with using_database(**settings):
            sql('CREATE SCHEMA "My fleet"')
        options = {"options": '-c search_path="My\\ fleet"'}
        with using_database(**settings | {"OPTIONS": options}):
            call_command("migrate", verbosity=0)
            yield
        postgres_server.sql("DROP DATABASE elsewhere")


def test_view_and_trigger_work_in_any_schema_and_go_with_the_migration(schema):
    site = add_site(slug="one", domain="one.example")
    view = emperor.describe()["view"]
    assert view == '"My fleet".sitefleet_vassals'
    sql("SET search_path = public")
    config, before = row(view, site)
    assert config == f"env = SITE_ID={site.pk}\n"
    update = 'UPDATE "My fleet".sitefleet_siteconfig SET serving = %s WHERE site_id = %s'
    sql(update, json.dumps({"workers": 5, "timeout": 1, "idle": "x"}), site.pk)
    config, epoch = row(view, site)
    sql('SET search_path = "My fleet"')
    numbers = "workers = 5\nharakiri = 2\nworker-reload-mercy = 1\n"
    assert config == f"env = SITE_ID={site.pk}\n{numbers}"
    assert epoch > before
    call_command("migrate", "sitefleet", "0003", verbosity=0)
    assert emperor.describe()["view"] == ""
    with serving(driver="uwsgi"):
        assert "sitefleet.W531" in in_database()
    SiteConfig.objects.filter(site=site).update(serving={})
    call_command("migrate", "sitefleet", verbosity=0)
    assert emperor.describe()["view"] == view


def test_the_epoch_moves_with_the_options_alone_and_always_forward(postgres):
    site = add_site(slug="one", domain="one.example")
    rows = SiteConfig.objects.filter(site=site)
    seen = [rows.get().updated_at]
    for workers in (1, 2, 3):
        rows.update(serving={"workers": workers})
        seen.append(rows.get().updated_at)
    assert seen == sorted(set(seen))
    config = rows.get()
    config.theme = ""
    config.save()
    rows.update(state="maintenance")
    assert rows.get().updated_at == seen[-1]
    rows.update(state="suspended")  # it leaves, as one does that is set to shared
    assert rows.get().updated_at > seen[-1]
    assert sql("SELECT mode FROM sitefleet_vassals") == [("shared",)]
    sql("ALTER TABLE sitefleet_siteconfig DISABLE TRIGGER USER")
    sql("UPDATE sitefleet_siteconfig SET updated_at = 'infinity'")
    sql("ALTER TABLE sitefleet_siteconfig ENABLE TRIGGER USER")
    assert sql("SELECT max(epoch) FROM sitefleet_vassals") == [(4_000_000_000_000_000,)]
    rows.update(serving={})
    assert rows.get().updated_at > seen[-1]
