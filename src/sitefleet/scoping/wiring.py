"""What the parts of scoping are told when Django starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models.signals import class_prepared

from sitefleet.conf import find_problems, get_conf
from sitefleet.scoping import guard
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


def _model_prepared(sender: type[Model], **_: Any) -> None:
    # A model that is made later, as tests and some packages do.
    if apps.models_ready and sender._meta.apps is apps:
        scopes.find()
