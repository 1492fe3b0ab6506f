"""System checks of the guard: where it is off, what goes past it, what it must not be put on."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import connections
from django.db.models.sql import compiler as django_compiler

from sitefleet.conf import find_problems, get_conf
from sitefleet.scoping import guard
from sitefleet.scoping.outside import specs
from sitefleet.scoping.scopes import scopes

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
    return [*_check_settings(), *_check_backends()]


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
    checks.register(check_log, checks.Tags.security, deploy=True)
