"""Rights in the fleet, which no file gives: groups, permissions, staff. A clone keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from sitefleet.scoping.transfer.graph import target_of
from sitefleet.scoping.transfer.references import is_user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Model

#: What gives rights to those who have it.
RIGHTS = frozenset({"auth.group", "auth.permission"})
#: Of an account, what lets it into the admin.
FLAGS = ("is_staff", "is_superuser")


def is_right(model: type[Model]) -> bool:
    """Tell whether rows of a model are groups or permissions."""
    return model._meta.label_lower in RIGHTS


def gives_rights(model: type[Model]) -> bool:
    """Tell whether rows of a model give groups or permissions to accounts or groups."""
    targets = {
        "account" if is_user(target_of(item)) else target_of(item)._meta.label_lower
        for item in model._meta.local_concrete_fields
        if item.remote_field is not None
    }
    return len(targets & {"account", *RIGHTS}) > 1


def may_be_unknown(model: type[Model], models: Iterable[type[Model]]) -> bool:
    """Tell whether a group or permission need not be here, as what gives it is left out."""
    return is_right(model) and any(map(gives_rights, models))


def take_away(model: type[Model], values: dict[str, Any]) -> None:
    """Let an account come in without its flags."""
    if is_user(model) or issubclass(get_user_model(), model):
        values |= dict.fromkeys((name for name in FLAGS if name in values), False)
