"""What the parts of scoping are told when Django starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models.signals import class_prepared

from sitefleet.conf import find_problems, get_conf
from sitefleet.scoping import checks, forms, guard
from sitefleet.scoping.constraints import checks as constraint_checks
from sitefleet.scoping.guard import raw
from sitefleet.scoping.outside import checks as outside_checks
from sitefleet.scoping.rls import wiring as rls
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from django.db.models import Model


def connect() -> None:
    """Find the models whose rows belong to a site, and guard them."""
    scopes.find()
    class_prepared.connect(_model_prepared, dispatch_uid="sitefleet.scoping")
    # With settings that cannot be used the guard is on: that is the safe mistake.
    if find_problems() or get_conf().GUARD:
        guard.install()
        raw.install()
        forms.connect()
    checks.connect()
    rls.connect()
    outside_checks.connect()
    constraint_checks.connect()
    if apps.is_installed("django.contrib.admin"):
        from sitefleet.scoping import admin  # noqa: PLC0415 - it cannot be imported without

        admin.connect()


def _model_prepared(sender: type[Model], **_: Any) -> None:
    # A model that is made later, as tests and some packages do: once it is among the others.
    if apps.models_ready and sender._meta.apps is apps:
        opts = sender._meta
        apps.lazy_model_operation(_look_again, (opts.app_label, str(opts.model_name)))


def _look_again(_: type[Model]) -> None:
    apps.clear_cache()  # Django does so only after it has told us
    scopes.find()
