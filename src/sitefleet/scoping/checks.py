"""System checks of the guard: where it is off, what goes past it, what it must not be put on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.contrib.sites.models import Site
from django.core import checks
from django.db import connections
from django.db.models.sql import compiler as django_compiler

from sitefleet.conf import find_problems, get_conf
from sitefleet.models import Alias, SiteConfig
from sitefleet.scoping import guard
from sitefleet.scoping.introspection import tables_between
from sitefleet.scoping.outside import specs
from sitefleet.scoping.scopes import Kind, scopes

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Models that one row serves all sites of, and why; in lower case, as `specs` has them.
OF_NO_SITE = {
    "sites.site": "its rows are the sites",
    "contenttypes.contenttype": "its rows are the models of the project",
    "auth.permission": "its rows are made from the models of the project, once",
    "sessions.session": "sessions are bound to their site by SESSION_ENGINE",
}
_WHY_USERS = "an account of one site could log in on no other"
#: Methods of compilers that the guard replaces.
GUARDED = {
    "SQLCompiler": ("get_from_clause", "execute_sql"),
    "SQLInsertCompiler": ("execute_sql",),
    "SQLUpdateCompiler": ("execute_sql", "execute_returning_sql"),  # the second from Django 6.0 on
    "SQLDeleteCompiler": ("execute_sql",),
    "SQLAggregateCompiler": ("execute_sql",),
}
LOG_ENTRY = "admin.LogEntry"


def check_guard(**_: Any) -> list[checks.CheckMessage]:
    """Look whether the rows of sites are guarded, and by the whole of the guard."""
    if find_problems() or not scopes.tables:
        return []
    looks = (_check_settings, _check_backends, _check_between, _check_parents)
    return [message for look in looks for message in look()]


def check_scoped_models(**_: Any) -> list[checks.CheckMessage]:
    """Look for models in SCOPED_MODELS of which all sites need the same rows."""
    found: list[checks.CheckMessage] = []
    for label, spec in specs().items():
        why = OF_NO_SITE.get(label)
        if why is None and label.startswith("sitefleet."):
            why = "sitefleet finds sites by it"
        if why is not None:
            found.append(
                checks.Error(
                    f"SCOPED_MODELS names {spec.label}, which is of no site: {why}.",
                    hint=f"Take {spec.label!r} out of SITEFLEET['SCOPED_MODELS'].",
                    id="sitefleet.E465",
                )
            )
        elif label == settings.AUTH_USER_MODEL.lower():
            found.append(
                checks.Warning(
                    f"SCOPED_MODELS names {spec.label}, the model of accounts: {_WHY_USERS}.",
                    hint=f"Take {spec.label!r} out of SITEFLEET['SCOPED_MODELS']: what a user may"
                    " do on a site is told by rows beside it, and accounts are of all.",
                    id="sitefleet.W466",
                )
            )
    return found


def _check_settings() -> Iterator[checks.CheckMessage]:
    conf = get_conf()
    if not conf.GUARD:
        scoped = bool(specs())
        names = ", ".join(sorted({scope.label for scope in scopes})[:5])
        kind = checks.Error if scoped else checks.Warning
        yield kind(
            f"The guard is off: rows of {names} are seen and changed on all sites"
            + (", as the managers of SCOPED_MODELS know of no site." if scoped else "."),
            hint='Take "GUARD": False out of SITEFLEET.',
            id="sitefleet.E462" if scoped else "sitefleet.W461",
        )
    elif conf.RAW_SQL == "allow":
        yield checks.Warning(
            "Raw SQL sees the rows of all sites where there is no current site.",
            hint='Take "RAW_SQL": "allow" out of SITEFLEET; with "warn" the log tells of it.',
            id="sitefleet.W463",
        )


def _check_backends() -> Iterator[checks.CheckMessage]:
    if not guard.is_installed():
        return
    for alias in connections:
        module = import_module(connections[alias].ops.compiler_module)
        for name, methods in GUARDED.items():
            theirs, ours = getattr(module, name, None), getattr(django_compiler, name)
            for method in methods:
                guarded = getattr(ours, method, None)
                if theirs is None or getattr(theirs, method, None) is guarded:
                    continue
                yield checks.Warning(
                    f"The backend of DATABASES[{alias!r}] has a {name}.{method}() of its own,"
                    " which may go past the guard.",
                    hint="See that it calls super(); then add 'sitefleet.W464' to"
                    " SILENCED_SYSTEM_CHECKS.",
                    id="sitefleet.W464",
                )


def _check_between() -> Iterator[checks.CheckMessage]:
    open_ends = {
        through._meta.label: end
        for through, ends in tables_between(apps.get_models(include_auto_created=True))
        for end in ends
        if scopes.of(through) is None and scopes.of(end.remote_field.model) is not None
    }
    for label, end in open_ends.items():
        yield checks.Warning(
            f"Rows of {label} are seen, counted and deleted on all sites: {end.name!r} refers to"
            " rows that belong to a site, but may be NULL.",
            hint=f"Take null=True off {label}.{end.name}, or give {label} a `site = SiteField()`.",
            id="sitefleet.W467",
        )


def _check_parents() -> Iterator[checks.CheckMessage]:
    for scope in scopes:
        # What goes with another row is that one's matter.
        links = scope.model._meta.parents.items() if scope.kind is not Kind.PATH else ()
        for parent, link in links:
            if link is not None and scopes.of(parent) is None:
                yield checks.Warning(
                    f"{scope.label} belongs to a site, and its parent {parent._meta.label} to none:"
                    " what stands there is seen and changed on all sites.",
                    hint=f"Move {scope.field!r} to {parent._meta.label}, {scope.label} goes with"
                    " it; or, if all sites may see it, add 'sitefleet.W468' to"
                    " SILENCED_SYSTEM_CHECKS.",
                    id="sitefleet.W468",
                )


def check_references(**_: Any) -> list[checks.CheckMessage]:
    """Look for models that refer to rows of sites and belong to none."""
    between = {through for through, _ in tables_between(apps.get_models())}  # see W467
    found: list[checks.CheckMessage] = []
    for model in _of_no_site():
        fields = [
            field.name
            for field in model._meta.local_fields
            if field.remote_field is not None
            and not field.remote_field.parent_link
            and scopes.of(field.remote_field.model) is not None
        ]
        if not fields or model in between:
            continue
        label = model._meta.label
        message = checks.Warning(
            f"Rows of {label} refer to rows of a site by {', '.join(map(repr, fields))}, and belong"
            " to none: they are seen and changed on all sites.",
            hint=f"Make {label} a SiteModel, or name it in SITEFLEET['SCOPED_MODELS']. If all sites"
            " may see them, add 'sitefleet.W469' to SILENCED_SYSTEM_CHECKS.",
            id="sitefleet.W469",
        )
        found.append(message)
    return found


def check_unguarded(**_: Any) -> list[checks.CheckMessage]:
    """Look for models with a site of their own that nothing guards (``check --deploy``)."""
    unguarded = [
        f"{model._meta.label}.{field.name}"
        for model in _of_no_site()
        if model not in (SiteConfig, Alias)
        for field in (*model._meta.local_fields, *model._meta.local_many_to_many)
        if field.remote_field is not None and field.remote_field.model is Site
    ]
    if not unguarded or find_problems():
        return []
    listed = ", ".join(unguarded)
    return [
        checks.Warning(
            f"These fields lead to a site, and nothing guards their rows: {listed}.",
            hint="In models of your own make them `SiteField()`; for others write"
            ' SITEFLEET = {"SCOPED_MODELS": {"app.Model": {"field": "site", "add": False}}}.',
            id="sitefleet.W470",
        )
    ]


def _of_no_site() -> Iterator[Any]:
    for model in apps.get_models():
        if not model._meta.proxy and scopes.of(model) is None:
            yield model


def check_log(**_: Any) -> list[checks.CheckMessage]:
    """Look whether the admin tells one site of the rows of another (``check --deploy``)."""
    if find_problems() or not scopes.tables or not apps.is_installed("django.contrib.admin"):
        return []
    if scopes.of(apps.get_model(LOG_ENTRY)) is not None:
        return []
    return [
        checks.Warning(
            "The log of the admin is of all sites: its front page tells each of the others' rows.",
            hint='SITEFLEET = {"SCOPED_MODELS": ["admin.LogEntry"], "SCOPED_APP": "project"};'
            " then `manage.py scopemodels`.",
            id="sitefleet.W471",
        )
    ]


def connect() -> None:
    """Register the checks."""
    checks.register(check_guard, checks.Tags.models)
    checks.register(check_scoped_models, checks.Tags.models)
    checks.register(check_references, checks.Tags.models)
    checks.register(check_unguarded, checks.Tags.security, deploy=True)
    checks.register(check_log, checks.Tags.security, deploy=True)
