"""System checks of serving: ids sitefleet.E501 to W519."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.sites.models import Site
from django.core import checks

from sitefleet.checking import LOOKED_AT, look_into
from sitefleet.conf import find_problems, get_conf, process_site_id
from sitefleet.exceptions import InvalidSetting
from sitefleet.hosting.planning.budget import make_budget
from sitefleet.hosting.planning.fleet import DEDICATED, MODES
from sitefleet.hosting.planning.options import InvalidOptions, clean_options
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.planning.settings import read_serving
from sitefleet.models import SiteConfig
from sitefleet.serving import uwsgi_checks
from sitefleet.serving.fleet import count_dedicated, load_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sitefleet.hosting.planning.fleet import Fleet

PACKAGES = {"zygote": "gunicorn", "gunicorn": "gunicorn", "granian": "granian"}


def register() -> None:
    """Register all of them with Django."""
    checks.register(check_process_site)
    checks.register(check_serving)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_sites, checks.Tags.database)
    checks.register(check_connections, checks.Tags.database, deploy=True)
    uwsgi_checks.register()


def check_process_site(**_: Any) -> list[checks.CheckMessage]:
    """Look at ``SITE_ID`` in the environment."""
    try:
        process_site_id()
    except InvalidSetting as error:
        hint = "Give the id of a site, which `manage.py sites list` shows; or take it out."
        return [checks.Error(str(error), hint=hint, id="sitefleet.E501")]
    return []


def check_deployment(**_: Any) -> list[checks.CheckMessage]:
    """Look at what processes of one site have, and no other is to have (``check --deploy``)."""
    try:
        own = process_site_id()
    except InvalidSetting:
        return []  # E501
    if own is None:
        return []
    return [
        checks.Warning(
            f"SITE_ID={own} is in the environment: this process answers that site's hosts alone.",
            hint="`sitefleet up` sets it for processes of one site. Take it out everywhere else; a"
            " default site is SITE_ID in the settings.",
            id="sitefleet.W502",
        )
    ]


def check_serving(**_: Any) -> list[checks.CheckMessage]:
    """Look at ``SITEFLEET["SERVING"]``, of which E001 has told what is not well-formed."""
    if find_problems() or not get_conf().SERVING:
        return []
    return [*_check_packages(), *_check_asgi()]


def _check_packages() -> Iterator[checks.CheckMessage]:
    serving = read_serving(get_conf().SERVING)
    for package in sorted({PACKAGES.get(serving.driver, ""), PACKAGES[serving.server]} - {""}):
        if find_spec(package) is None:
            extra = "serve" if package == "gunicorn" else package
            yield checks.Warning(
                f"{package} is not installed, and SERVING asks for it.",
                hint=f'pip install "django-sitefleet[{extra}]"',
                id="sitefleet.W505",
            )


def _check_asgi() -> Iterator[checks.CheckMessage]:
    serving = get_conf().SERVING
    asked = [key for key in ("options", "shared") if _wants_asgi(serving.get(key, {}))]
    if asked and not getattr(settings, "ASGI_APPLICATION", None):
        yield _without_asgi(f"SERVING[{asked[0]!r}] asks")


def _wants_asgi(options: dict[str, Any]) -> bool:
    return options.get("interface") == "asgi"


def _without_asgi(who: str) -> checks.CheckMessage:
    return checks.Warning(
        f"{who} for ASGI, and ASGI_APPLICATION is not set: Django's own application is served,"
        " which knows no WebSockets.",
        hint='Write ASGI_APPLICATION = "project.asgi.application".',
        id="sitefleet.W506",
    )


def check_sites(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Look for modes and options that cannot be used: they came in past validation."""
    return look_into(databases, _check_rows)


def _check_rows(using: str) -> Iterator[checks.CheckMessage]:
    try:
        own = process_site_id()
    except InvalidSetting:
        own = None  # E501
    if own is not None and not Site.objects.using(using).filter(pk=own).exists():
        yield checks.Warning(
            f"SITE_ID in the environment is {own}, and no site has that id: no host is answered.",
            hint="`manage.py sites list` shows the ids.",
            id="sitefleet.W503",
        )
    rows = SiteConfig.objects.using(using).order_by("slug")
    strange = rows.exclude(mode__in=("", *MODES)).values_list("slug", "mode")
    for slug, mode in strange[:LOOKED_AT]:
        yield checks.Warning(
            f"The mode of the site {slug!r} is {mode!r}: it is served as the project says.",
            hint=f"`manage.py sites serving {slug} --mode default`",
            id="sitefleet.W507",
        )
    variables = get_conf().SERVING.get("environment", ())
    for slug, options in rows.exclude(serving={}).values_list("slug", "serving")[:LOOKED_AT]:
        try:
            clean_options(options, variables)
        except InvalidOptions as error:
            yield checks.Warning(
                f"Options of the site {slug!r} cannot be used, and do not count: {error}",
                hint=f"`manage.py sites serving {slug} NAME=VALUE`; NAME= takes one away.",
                id="sitefleet.W508",
            )
    yield from _check_dedicated()


def _check_dedicated() -> Iterator[checks.CheckMessage]:
    fleet = _small_fleet()
    for site in fleet.sites if fleet else ():
        if site.mode == DEDICATED and site.shared_because:
            yield checks.Warning(
                f"The site {site.slug!r} is dedicated, and served by the shared server:"
                f" {site.shared_because}.",
                hint="Give it a host of its own, or set it to shared:"
                f" `manage.py sites serving {site.slug} --mode shared`",
                id="sitefleet.W509",
            )
        if site.options.interface == "asgi" and fleet and not fleet.has_asgi:
            yield _without_asgi(f"The site {site.slug!r} asks")


def check_connections(
    databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Compare what all processes may open with what the database lets in (``check --deploy``)."""
    return look_into(databases, lambda _: _check_budget())


def _check_budget() -> Iterator[checks.CheckMessage]:
    fleet = _small_fleet()
    for sentence in make_budget(make_plan(fleet)).warnings() if fleet else ():
        yield checks.Warning(
            sentence,
            hint="`sitefleet plan` shows what each site takes.",
            id="sitefleet.W510",
        )


def _small_fleet() -> Fleet | None:
    """Return the fleet, or None where so many sites are dedicated that a check would take long."""
    few = count_dedicated(get_conf().SERVING.get("mode", "")) <= LOOKED_AT
    return load_fleet() if few else None
