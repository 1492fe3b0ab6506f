"""A fleet of any size, written by the database itself: a million sites take seconds."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.db import connection

NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(i) AS"
    " (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {sites})",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, {sites}) AS i)",
}
SITES = (
    "INSERT INTO django_site (id, domain, name) {numbers}"
    " SELECT i, 'site-' || i || '.example.org', 'Site ' || i FROM numbers"
)
CONFIGS = (
    "INSERT INTO sitefleet_siteconfig"
    " (site_id, slug, path_prefix, state, theme, urlconf, settings, cache_generation, mode,"
    " serving) {numbers}"
    " SELECT i, 'site-' || i, '', 'active', '', '', '{{}}', 0, '', '{{}}' FROM numbers"
)
ALIASES = (
    "INSERT INTO multisite_alias (domain, is_canonical, redirect_to_canonical, site_id) {numbers}"
    " SELECT 'site-' || i || '.example.org', true, true, i FROM numbers"
)


def host(number: int) -> str:
    """Return the host of a site."""
    return f"site-{number}.example.org"


def seed(sites: int) -> None:
    """Replace whatever there is by ``sites`` sites, for each app that is installed."""
    statements = ["DELETE FROM django_site", SITES]
    if apps.is_installed("sitefleet"):
        statements = ["DELETE FROM sitefleet_siteconfig", *statements, CONFIGS]
    if apps.is_installed("multisite"):
        statements = ["DELETE FROM multisite_alias", *statements, ALIASES]
    numbers = NUMBERS[connection.vendor].format(sites=sites)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # The triggers of SQLite run for each row.
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            cursor.execute(statement.format(numbers=numbers))
        if connection.vendor == "postgresql":
            # As autovacuum would within a minute.
            cursor.execute("ANALYZE")
    if apps.is_installed("sitefleet"):
        import_module("sitefleet.triggers").install(connection)
