"""Who hands what to whom when Django starts, and around each ``migrate``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import connections, router
from django.db.models.signals import post_migrate, pre_migrate

from sitefleet import background, checks, current, lookup, site_id, site_rows, triggers
from sitefleet.conf import find_problems, get_conf
from sitefleet.listener import listener
from sitefleet.models import SiteConfig
from sitefleet.options import load_site
from sitefleet.persite import (
    cache,
    cookies,
    csrf,
    locale,
    logging,
    mail,
    sessions,
    settings,
    signing,
    static,
    storage,
    tasks,
    templates,
    urls,
)
from sitefleet.resolver import resolver
from sitefleet.scoping import wiring as scoping
from sitefleet.serving import checks as serving_checks
from sitefleet.sync import sync

if TYPE_CHECKING:
    from django.apps import AppConfig

#: What follows the site and has to be told when Django starts.
ISLANDS: tuple[Any, ...] = (
    cache,
    cookies,
    csrf,
    locale,
    logging,
    mail,
    sessions,
    settings,
    signing,
    static,
    storage,
    tasks,
    templates,
    urls,
)
#: Settings on which remembered answers depend.
WATCHED_SETTINGS = frozenset({"SITEFLEET", "DEBUG", "DATABASES", "DATABASE_ROUTERS"})


def connect() -> None:
    """Connect the floors of sitefleet with each other and with Django."""
    current.wiring.default_site_id = _default_site_id
    current.wiring.load_site = load_site
    resolver.after_look = listener.ensure_running
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=resolver.forked)
    site_rows.connect()
    for island in ISLANDS:
        island.connect()
    background.around[:] = [locale.site_locale]
    scoping.connect()
    pre_migrate.connect(_before_migrate, dispatch_uid="sitefleet.before_migrate")
    post_migrate.connect(_after_migrate, dispatch_uid="sitefleet.after_migrate")
    setting_changed.connect(_setting_changed, dispatch_uid="sitefleet.setting_changed")
    checks.register()
    serving_checks.register()
    # With settings that cannot be used the checks are to speak, and not this line.
    if find_problems() or get_conf().FOLLOW_SITE_ID:
        site_id.follow_current_site(_default_site_id, resolver.before_site_id)


def _default_site_id() -> int | None:
    # In the first `migrate` there is no site yet that SITEFLEET_SITE could mean.
    return site_id.configured_site_id() if resolver.paused else lookup.default_site_id()


def _before_migrate(**_: Any) -> None:
    resolver.paused = True
    # Last of all that are told, whatever the order of the apps: see there.
    post_migrate.disconnect(dispatch_uid="sitefleet.after_migrate")
    post_migrate.connect(_after_migrate, dispatch_uid="sitefleet.after_migrate")


def _after_migrate(app_config: AppConfig, using: str, **_: Any) -> None:
    # Django tells each app. After the last one, since django.contrib.sites makes its default site
    # when it is told, with a model class of its own, for which no signals are sent.
    with_models = [app for app in apps.get_app_configs() if app.models_module is not None]
    if app_config is not with_models[-1]:
        return
    if not router.allow_migrate_model(using, SiteConfig):
        resolver.paused = False
        return
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    if not {SiteConfig._meta.db_table, *triggers.WATCHED} <= tables:
        return  # `migrate other_app`, or back to zero: there is nothing to look after.
    resolver.paused = False
    triggers.install(connection)
    site_rows.add_missing_configs(using)
    lookup.forget_pinned()
    resolver.reset()
    if get_conf().SYNC_AFTER_MIGRATE:
        sync()


def _setting_changed(setting: str, **_: Any) -> None:
    if setting in WATCHED_SETTINGS:
        lookup.forget_pinned()
        resolver.reset()
