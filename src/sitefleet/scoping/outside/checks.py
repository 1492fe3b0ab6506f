"""System checks of SCOPED_MODELS: what keeps a model from having its site, and what to write."""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.sites.models import Site
from django.core import checks
from django.core.management.base import CommandError
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    NodeNotFoundError,
)
from django.db.migrations.loader import MigrationLoader
from django.utils import translation

from sitefleet.conf import find_problems, get_conf
from sitefleet.scoping.fields import SiteField
from sitefleet.scoping.operations import upstream
from sitefleet.scoping.outside import Spec, local_field, scoped_models, specs
from sitefleet.scoping.outside.writer import Changes, find_changes, new_loader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

#: Lines of what is missing that one message shows.
SHOWN = 5
#: How alike a label is to one that was meant: the same app makes much of that.
LIKE = 0.8


def check_models(**_: Any) -> list[checks.CheckMessage]:
    """Look at each model that SCOPED_MODELS names."""
    return [message for spec in specs().values() for message in _check_model(spec)]


def check_migrations(**_: Any) -> list[checks.CheckMessage]:
    """Look whether the migrations have what SCOPED_MODELS does; no database is asked."""
    if find_problems() or not (specs() or get_conf().SCOPED_APP):
        return []
    label = get_conf().SCOPED_APP
    try:
        with translation.override(None):  # names of fields are compared
            changes = find_changes(new_loader())
    except (BadMigrationError, CircularDependencyError, NodeNotFoundError, CommandError) as error:
        hint = "`manage.py showmigrations` says the same: mend it first."
        return [checks.Error(f"Migrations cannot be read: {error}", hint=hint, id="sitefleet.E416")]
    found: list[checks.CheckMessage] = [*check_app(label, changes)]
    if changes.operations:
        lines = changes.describe()
        more = f", and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        remove = " --remove" if changes.removed else ""
        message = f"Migrations are missing for SCOPED_MODELS: {'; '.join(lines[:SHOWN])}{more}."
        hint = f"Run `manage.py scopemodels{remove}`, then `manage.py migrate`."
        hint += " Until then no other command runs, as makemigrations for apps of yours."
        found.append(checks.Error(message, hint=hint, id="sitefleet.E416"))
    return found


def check_app(label: str, changes: Changes) -> Iterator[checks.CheckMessage]:
    """Look at the app that the migrations go into, and at those that they are for."""
    if changes.operations and not label:
        yield checks.Error(
            "It is not said into which app the migrations for SCOPED_MODELS go.",
            hint='Name one of yours: SITEFLEET["SCOPED_APP"] = "project".',
            id="sitefleet.E417",
        )
    elif label and label not in apps.app_configs:
        near = get_close_matches(label, apps.app_configs, 1)
        yield checks.Error(
            f"Migrations for SCOPED_MODELS are to go into {label!r}, and no app has that label.",
            hint=f"Did you mean {near[0]!r}?" if near else "Add the app to INSTALLED_APPS.",
            id="sitefleet.E417",
        )
    elif label and changes.operations and MigrationLoader.migrations_module(label)[0] is None:
        yield checks.Error(
            f"The app {label!r} has its migrations switched off by MIGRATION_MODULES.",
            hint='Name another: SITEFLEET["SCOPED_APP"] = "project".',
            id="sitefleet.E417",
        )
    elif label and changes.operations and _is_of_others(label):
        yield checks.Error(
            f"The app {label!r} is not yours: what is written into it the next update takes away.",
            hint='Name one of yours: SITEFLEET["SCOPED_APP"] = "project".',
            id="sitefleet.E417",
        )
    for other in changes.unmigrated:
        if MigrationLoader.migrations_module(other)[0] is None:
            continue  # as in tests without migrations, where tables are made from the models
        yield checks.Error(
            f"The app {other!r} has no migrations, so that none can change its tables.",
            hint=f'Keep them in your project: MIGRATION_MODULES = {{{other!r}: "project.{other}'
            f'_migrations"}}, and run `manage.py makemigrations {other}` without SCOPED_MODELS.',
            id="sitefleet.E418",
        )


def _is_of_others(label: str) -> bool:
    """Tell whether migrations in an app are not the user's: of a scoped model, or installed."""
    if any(spec.add and model._meta.app_label == label for model, spec in scoped_models()):
        return True
    package = str(MigrationLoader.migrations_module(label)[0]).rpartition(".")[0]
    paths = import_module(package).__path__ if package else [apps.app_configs[label].path]
    folder = Path(paths[0]).resolve()
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return any(folder.is_relative_to(path) for path in installed)


def _check_model(spec: Spec) -> Iterator[checks.CheckMessage]:
    model = _find(spec.label)
    if model is None or model._meta.abstract:
        yield _unknown(spec, model)
        return
    if model._meta.swapped:
        yield checks.Error(
            f"SCOPED_MODELS names {spec.label}, in the place of which {model._meta.swapped} is.",
            hint=f"Name that one: {model._meta.swapped!r}.",
            id="sitefleet.E411",
        )
        return
    concrete: Any = model._meta.concrete_model
    if model._meta.auto_created:
        yield checks.Error(
            f"SCOPED_MODELS names {spec.label}, whose rows go with those that they are between.",
            hint=f"Take it out, and name {model._meta.auto_created._meta.label}.",
            id="sitefleet.E411",
        )
        return
    other = next((each for each in specs().values() if _is_at_odds(spec, concrete, each)), None)
    labels = [*specs()]
    if other is not None and labels.index(spec.label.lower()) > labels.index(other.label.lower()):
        return  # the first tells
    if other is not None:
        yield checks.Error(
            f"SCOPED_MODELS names {spec.label} and {other.label}, which are one table, with"
            " different options.",
            hint=f"Take {other.label} out.",
            id="sitefleet.E411",
        )
    elif spec.add:
        yield from _check_added(spec, concrete)
    else:
        yield from _check_declared(spec, concrete)
    if not concrete._meta.managed:
        yield checks.Warning(
            f"Django does not manage the table of {spec.label}: no migration adds the column.",
            hint=f"See to it that {concrete._meta.db_table} has the column {spec.field}_id.",
            id="sitefleet.W419",
        )


def _is_at_odds(spec: Spec, concrete: type[Model], other: Spec) -> bool:
    """Tell whether the other names the same table in another way."""
    model = _find(other.label)
    if model is None or model._meta.concrete_model is not concrete or other.label == spec.label:
        return False
    return replace(other, label=spec.label) != spec


def _check_added(spec: Spec, model: type[Model]) -> Iterator[checks.CheckMessage]:
    field = next((field for field in model._meta.get_fields() if field.name == spec.field), None)
    if isinstance(field, SiteField):
        return
    if field is None and not hasattr(model, spec.field):
        yield checks.Error(
            f"SCOPED_MODELS names {spec.label}, which was made before sitefleet knew that.",
            hint="Name it in the settings that Django starts with, not later; and let the"
            ' AppConfig that stands in INSTALLED_APPS be "sitefleet", or call'
            " super().__init__().",
            id="sitefleet.E412",
        )
        return
    ways = [f'give ours another name: {{"{spec.label}": {{"field": "of_site"}}}}']
    if _is_site(field):
        ways.insert(0, f'if that is the site: {{"{spec.label}": {_options(spec, model)}}}')
    yield checks.Error(
        f"SCOPED_MODELS names {spec.label}, which has something called {spec.field!r} already.",
        hint=f"SITEFLEET['SCOPED_MODELS']: {'; else '.join(ways)}",
        id="sitefleet.E413",
    )


def _options(spec: Spec, model: type[Model]) -> str:
    field = local_field(model, spec.field)
    more = ', "shared": True' if field is not None and getattr(field, "null", False) else ""
    named = f', "field": "{spec.field}"' if spec.field != "site" else ""
    return f'{{"add": False{named}{more}}}'


def _check_declared(spec: Spec, model: type[Model]) -> Iterator[checks.CheckMessage]:
    field = local_field(model, spec.field)
    if not _is_site(field):
        near = [each.name for each in model._meta.local_fields if _is_site(each)]
        named = near[0] if near else "conference_site"
        yield checks.Error(
            f"{spec.label} has no field {spec.field!r} that is a foreign key to sites.Site.",
            hint=f'Name the one that is: {{"{spec.label}": {{"add": False, "field": "{named}"}}}}'
            + ("." if near else ', or leave "add" out, to get one.'),
            id="sitefleet.E414",
        )


def _is_site(field: Any) -> bool:
    # Of a relation to our model, Django calls the end that it makes auto-created.
    return getattr(field, "related_model", None) is Site and not field.auto_created


def _find(label: str) -> Any:
    try:
        return apps.get_model(label)
    except LookupError:
        app, _, name = label.partition(".")
        config = apps.app_configs.get(app)
        found = getattr(getattr(config, "models_module", None), name, None)
        return found if hasattr(found, "_meta") else None


def _unknown(spec: Spec, model: Any) -> checks.CheckMessage:
    app = spec.label.partition(".")[0]
    labels = [each._meta.label for each in apps.get_models()]
    if model is not None:
        message = f"SCOPED_MODELS names {spec.label}, which is abstract and has no table."
        hint = "Name the models that inherit from it."
        return checks.Error(message, hint=hint, id="sitefleet.E411")
    if app in apps.app_configs:
        message = f"SCOPED_MODELS names {spec.label}; the app {app!r} has no such model."
        labels = [label for label in labels if label.startswith(f"{app}.")]
        hint = f"It has {', '.join(labels) or 'none'}."
    else:
        message = f"SCOPED_MODELS names {spec.label}, and no app has the label {app!r}."
        hint = "Add the app to INSTALLED_APPS."
    near = get_close_matches(spec.label, labels, 1, LIKE)
    if near:
        hint = f"Did you mean {near[0]!r}?"
    return checks.Error(message, hint=hint, id="sitefleet.E411")


def connect() -> None:
    """Register the checks, and let migrations of other people run on models with a site."""
    upstream.install()
    checks.register(check_models, checks.Tags.models)
    checks.register(check_migrations, checks.Tags.models)
