"""URLs: a site may have a URLconf of its own, and nothing is reloaded.

On where ``SITEFLEET["URLCONFS"]`` lists modules. ``settings.ROOT_URLCONF``, which Django asks for
wherever it is given no URLconf, is then that of the site that was entered, so that resolving,
``reverse()``, ``{% url %}`` and the pages for errors follow it: in requests, in blocks of
`override_site` inside of them, in threads, tasks and commands. Django keeps one resolver for each
module, so there are never more than are listed: no name from the database is imported.

The trap is that Django's handler pins the URLconf for the whole request, by ``set_urlconf()``,
before any middleware runs. So `SiteMiddleware` pins again, when there is a site, and `let_go`
undoes that where another site is entered by hand. ``request.urlconf`` is not set: Django pins it
too, and what reads it falls back to the setting.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.core.checks import urls as django_checks
from django.core.signals import setting_changed
from django.db import DatabaseError, router
from django.db.models import Count, Min
from django.urls import get_urlconf, set_urlconf

from sitefleet.conf import find_problems, get_conf
from sitefleet.current import Wiring, current_state, override_site, wiring
from sitefleet.exceptions import InvalidSetting
from sitefleet.following import configured, follow, stop_following
from sitefleet.models import SiteConfig
from sitefleet.options import entered_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.conf import LazySettings

NAME = "ROOT_URLCONF"
#: Of Django, for the one URLconf that it knows of.
DJANGO_CHECKS: Any = (
    django_checks.check_url_config,
    django_checks.check_url_namespaces_unique,
    django_checks.check_custom_error_handlers,
)

_checked: ContextVar[str] = ContextVar("sitefleet_checked_urlconf", default="")


def connect() -> None:
    """Follow the site where that is switched on, and register the checks."""
    checks.register(check_urlconfs, checks.Tags.urls)
    checks.register(check_sites, checks.Tags.database)
    setting_changed.connect(_setting_changed, dispatch_uid="sitefleet.persite.urls")
    _switch()


def let_go() -> None:
    """Let Django ask the settings again, where another site is entered in the middle of a request.

    What somebody else has pinned stays, as it does in Django.
    """
    pinned = get_urlconf()
    if pinned is not None and pinned == settings.ROOT_URLCONF:
        set_urlconf(None)


def _setting_changed(setting: str, **_: Any) -> None:
    if setting == "SITEFLEET":
        _switch()


def _switch() -> None:
    listed = frozenset(() if find_problems() else get_conf().URLCONFS)
    if not listed:
        stop_following(NAME)
        wiring.before_entering = Wiring().before_entering
        return

    def read(_: LazySettings) -> Any:
        state = current_state.get()
        if state is None:
            return _checked.get() or configured(NAME)
        # In a request the owner of the frame is the site: as in `entered_site`, without the call.
        view = getattr(state[3], "_sitefleet", None)
        if view is None or view.pk != state[0]:
            view = entered_site()
        if view is None:
            return _checked.get() or configured(NAME)
        name = view.options.urlconf
        if name in listed:
            return name
        if not name:
            return configured(NAME)
        message = (
            f"The site {view.slug!r} has the URLconf {name!r}, which SITEFLEET['URLCONFS'] does"
            " not list."
        )
        raise InvalidSetting(message)

    follow(NAME, read)
    wiring.before_entering = let_go


def check_urlconfs(**_: Any) -> list[checks.CheckMessage]:
    """Look at each URLconf that is listed, as Django looks at the one that it knows of."""
    names = () if find_problems() else get_conf().URLCONFS
    return [message for name in names for message in _check_urlconf(name)]


def _check_urlconf(name: str) -> list[checks.CheckMessage]:
    try:
        with _as_root(name):
            found = [message for check in DJANGO_CHECKS for message in check(None)]
    except Exception as error:  # noqa: BLE001 - an import runs any code
        return [
            checks.Error(
                f"The URLconf {name!r} cannot be used: {type(error).__name__}: {error}",
                hint="Correct the module, or its name in SITEFLEET['URLCONFS'].",
                id="sitefleet.E320",
            )
        ]
    for message in found:
        message.obj = message.obj or name  # Django does not say in which one.
    return found


@contextmanager
def _as_root(name: str) -> Iterator[None]:
    token = _checked.set(name)
    try:
        with override_site(None):
            yield
    finally:
        _checked.reset(token)


def check_sites(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look for sites whose URLconf came in past validation, or was taken out of the settings.

    A warning only: an error would keep `migrate` from running for all the other sites.
    """
    using = router.db_for_read(SiteConfig)
    if not databases or using not in databases or find_problems():
        return []
    known = ("", *get_conf().URLCONFS)
    try:
        rows = SiteConfig.objects.using(using).exclude(urlconf__in=known)
        grouped = rows.values_list("urlconf").order_by("urlconf")
        found = list(grouped.annotate(Min("slug"), Count("pk")))
    except DatabaseError:
        return []  # No tables yet.
    return [
        checks.Warning(
            f"The URLconf {name!r} of {slug!r}{f' and {count - 1} more' if count > 1 else ''} is"
            " not listed: requests for such a site are answered with 503.",
            hint=f'Write SITEFLEET = {{"URLCONFS": [{name!r}, ...]}}, or choose another one.',
            id="sitefleet.W321",
        )
        for name, slug, count in found
    ]
