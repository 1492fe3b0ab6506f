"""What is done to a fleet, by the means of whoever looks after it."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from benchmarks.seeding import host
from benchmarks.tenants.stories.models import Story

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def migrate() -> float:
    """Run all migrations that are due; return the seconds that it took."""
    command = "migrate_schemas" if apps.is_installed("django_tenants") else "migrate"
    begin = time.perf_counter()
    call_command(command, verbosity=0)
    return time.perf_counter() - begin


def back() -> None:
    """Undo the AddField."""
    call_command("migrate", "stories", "0001", verbosity=0)


def add(first: int, last: int, rows: int) -> list[float]:
    """Add sites, each with its first rows; return the seconds that each took."""
    taken = []
    for number in range(first, last + 1):
        begin = time.perf_counter()
        with _added(number):
            Story._default_manager.bulk_create(
                Story(title=f"Story {row} of {host(number)}") for row in range(rows)
            )
        taken.append(time.perf_counter() - begin)
    return taken


def _added(number: int) -> AbstractContextManager[Any]:
    if not settings.SCHEMAS:
        registry = import_module("sitefleet.registry")
        site = registry.add_site(f"site-{number}", domain=host(number))
        return import_module("sitefleet").override_site(site)
    models = import_module("benchmarks.tenants.customers.models")
    tenant = models.Tenant(schema_name=f"site_{number}")
    tenant.save(verbosity=0)
    models.Domain.objects.create(tenant=tenant, domain=host(number), is_primary=True)
    return tenant


def analyse() -> None:
    """Gather the statistics, as autovacuum would within a minute."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
