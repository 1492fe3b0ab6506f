"""The tenants and their domains, of either package."""

from __future__ import annotations

from django.apps import apps

if apps.is_installed("django_tenants"):
    from django_tenants.models import DomainMixin, TenantMixin
else:
    from django_pgschemas.models import TenantModel as TenantMixin
    from django_pgschemas.routing.models import DomainModel as DomainMixin


class Tenant(TenantMixin):
    """Has a schema."""


class Domain(DomainMixin):
    """Leads to a tenant."""
