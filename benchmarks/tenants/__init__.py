"""The same application of three makers: rows with a site, or a PostgreSQL schema for each tenant.

``MIGRATION_MODULES`` says which of its migrations are there yet: with `before` all but the last.
"""

from __future__ import annotations

from typing import Any

STORIES, CUSTOMERS = "benchmarks.tenants.stories", "benchmarks.tenants.customers"
URLCONF = "benchmarks.tenants.urls"
SETTINGS: dict[str, Any] = {"ROOT_URLCONF": URLCONF, "SCHEMAS": False}
APPS = [STORIES]
#: The last migration, an AddField, is not written yet.
BEFORE = {"MIGRATION_MODULES": {"stories": "benchmarks.tenants.stories.before"}}
_SHARED = ["django.contrib.contenttypes", CUSTOMERS]


def django_tenants(stack: list[str], _: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of django-tenants, as its documentation has them."""
    apps = ["django_tenants", *_SHARED]
    return {
        "ALLOWED_HOSTS": ["*"],
        "INSTALLED_APPS": apps.copy(),
        "SHARED_APPS": apps,
        "TENANT_APPS": [STORIES],
        "TENANT_MODEL": "customers.Tenant",
        "TENANT_DOMAIN_MODEL": "customers.Domain",
        "DATABASE_ROUTERS": ["django_tenants.routers.TenantSyncRouter"],
        "MIDDLEWARE": ["django_tenants.middleware.main.TenantMainMiddleware", *stack],
        "SCHEMAS": "django_tenants.postgresql_backend",
    }


def django_pgschemas(stack: list[str], _: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of django-pgschemas, as its documentation has them."""
    apps = ["django_pgschemas", *_SHARED]
    return {
        "ALLOWED_HOSTS": ["*"],
        "INSTALLED_APPS": apps.copy(),
        "TENANTS": {
            "public": {"APPS": apps},
            "default": {
                "TENANT_MODEL": "customers.Tenant",
                "DOMAIN_MODEL": "customers.Domain",
                "APPS": [STORIES],
                "URLCONF": URLCONF,
            },
        },
        "DATABASE_ROUTERS": ["django_pgschemas.routers.TenantAppsRouter"],
        "MIDDLEWARE": ["django_pgschemas.routing.middleware.DomainRoutingMiddleware", *stack],
        "SCHEMAS": "django_pgschemas.postgresql",
    }
