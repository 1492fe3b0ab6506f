"""What row-level security is told of: new connections, and that `migrate` begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_migrate

from sitefleet.conf import find_problems, get_conf
from sitefleet.scoping.rls import checks
from sitefleet.scoping.rls.connection import equip
from sitefleet.scoping.rls.status import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig


def connect() -> None:
    """Let connections follow the current site, and migrations see all rows or not begin."""
    connection_created.connect(equip, dispatch_uid="sitefleet.rls")
    pre_migrate.connect(_before_migrate, dispatch_uid="sitefleet.rls")
    checks.connect()


def _before_migrate(app_config: AppConfig, using: str, plan: Sequence[Any] = (), **_: Any) -> None:
    """Refuse to migrate with a role that sees one site: an UPDATE would miss all other rows."""
    first = next(app for app in apps.get_app_configs() if app.models_module is not None)
    connection = connections[using]
    if app_config is not first or not plan or connection.vendor != "postgresql":
        return
    if find_problems() or not get_conf().RLS:
        return
    status = look(connection)
    bound = [table.table for table in status.tables if table.binds]
    if bound and not status.sees_all:
        message = (
            f"The role {status.role} sees the rows of one site at most, as row-level security binds"
            f" it on {', '.join(bound[:5])}: a migration would change these alone. Migrate with a"
            f" role that owns the tables and inherits {status.all_sites or 'that of RLS_ROLE'}."
        )
        raise CommandError(message)
