"""What uWSGI's Emperor reads on PostgreSQL: a view with a row for each site.

The view holds what the database alone can say. Where sockets are, what applies to all sites, and
which mode sites have that do not say is known to the fleet that runs: its query adds them (see
`sitefleet.hosting.uwsgi.query`), and takes those that are dedicated. A suspended one is not: it
leaves as one does that is set to shared, when routers know.

The database is edited by more people than the server is, so none of its text gets into the
configuration of a server, where a line can run a command: only whole numbers within their limits
do. What is no such number counts as not given, and is never an error, which would be one for all
sites at once.

``updated_at`` is the epoch by which the Emperor sees that a site is to be restarted. A trigger
keeps it, as raw SQL and ``QuerySet.update()`` do not; it grows with each change, also within a
microsecond or when the clock is set back; and it stays when only other columns have changed, so
that a new theme restarts nothing. Of the states only the suspended one counts. It is installed
here, not after each ``migrate`` as those of `sitefleet.triggers`: PostgreSQL loses no trigger when
a table is altered, and without the view nobody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import migrations, router

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

#: Option of ours, of uWSGI, and its limits: as in `sitefleet.hosting.planning.options`. Not
#: ``threads``, see `sitefleet.hosting.uwsgi.ini`.
NUMBERS = (
    ("workers", "workers", 1, 64),
    ("timeout", "harakiri", 1, 86_400),
    ("timeout", "worker-reload-mercy", 1, 86_400),
    ("max_requests", "max-requests", 0, 10_000_000),
    ("memory_limit", "reload-on-rss", 0, 1_048_576),
    ("idle", "idle", 0, 86_400),
    ("niceness", "prio", 0, 19),
)
#: Seconds of the shortest `harakiri`: as in `sitefleet.hosting.uwsgi.ini`.
SHORTEST = 2


def _line(ours: str, theirs: str, lowest: int, highest: int) -> str:
    # In CASE, as AND may be evaluated in any order: what is no number must not be cast.
    value = f"(serving->>'{ours}')::integer"
    written = f"greatest({value}, {SHORTEST})" if theirs == "harakiri" else value
    return (
        f"CASE WHEN jsonb_typeof(serving->'{ours}') = 'number'"
        f" AND serving->>'{ours}' ~ '^[0-9]{{1,9}}$' THEN"
        f" CASE WHEN {value} BETWEEN {lowest} AND {highest} THEN"
        f" '{theirs} = ' || {written} || chr(10) ELSE '' END ELSE '' END"
    )


#: Microseconds since 1970 that no row is later than (2096): a timestamp can be infinite.
LATEST = 4_000_000_000_000_000

FUNCTION = """
CREATE FUNCTION sitefleet_serving_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF (NEW.serving, NEW.mode, NEW.state = 'suspended')
    IS DISTINCT FROM (OLD.serving, OLD.mode, OLD.state = 'suspended') THEN
    NEW.updated_at := greatest(clock_timestamp(), CASE WHEN isfinite(OLD.updated_at)
      THEN OLD.updated_at + interval '1 microsecond' END);
  ELSE
    NEW.updated_at := OLD.updated_at;
  END IF;
  RETURN NEW;
END $$
"""
TRIGGER = """
CREATE TRIGGER sitefleet_serving_changed BEFORE UPDATE ON "sitefleet_siteconfig"
FOR EACH ROW EXECUTE FUNCTION sitefleet_serving_changed()
"""
VIEW = f"""
CREATE VIEW "sitefleet_vassals" AS SELECT
  'site-' || site_id || '.ini' AS name,
  'env = SITE_ID=' || site_id || chr(10) || {" || ".join(_line(*row) for row in NUMBERS)} AS config,
  least(greatest(extract(epoch FROM updated_at) * 1000000, 0), {LATEST})::bigint AS epoch,
  ''::text AS uid,
  ''::text AS gid,
  'site-' || site_id || '.sock' AS socket,
  CASE WHEN state = 'suspended' THEN 'shared' ELSE mode END AS mode,
  CASE WHEN jsonb_typeof(serving->'environment') = 'object' THEN serving->'environment' END
    AS environment
FROM "sitefleet_siteconfig"
"""


def _applies(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> bool:
    connection = schema_editor.connection
    config = apps.get_model("sitefleet", "SiteConfig")
    return connection.vendor == "postgresql" and router.allow_migrate_model(
        connection.alias, config
    )


def install(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the view and the trigger, in the schema of the table."""
    if _applies(apps, schema_editor):
        for statement in (FUNCTION, TRIGGER, VIEW):
            schema_editor.execute(statement)


def remove(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop them."""
    if _applies(apps, schema_editor):
        schema_editor.execute('DROP VIEW IF EXISTS "sitefleet_vassals"')
        schema_editor.execute(
            'DROP TRIGGER IF EXISTS sitefleet_serving_changed ON "sitefleet_siteconfig"'
        )
        schema_editor.execute("DROP FUNCTION IF EXISTS sitefleet_serving_changed()")


class Migration(migrations.Migration):
    dependencies = (("sitefleet", "0003_serving"),)

    operations = (migrations.RunPython(install, remove),)
