"""The public API as users write it. Never run: mypy reads it, strictly."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

from django.contrib.sites.models import Site
from django.core.cache import cache
from django.core.files.storage import storages
from django.http import HttpRequest

from sitefleet import (
    ACCEPTED_HOST,
    activate,
    carry_site,
    deactivate,
    get_current_site,
    get_current_site_id,
    override_site,
)
from sitefleet.addresses import site_reverse, site_url
from sitefleet.canary import Canary
from sitefleet.canary import Report as Crossings
from sitefleet.current import carry_async_iterable, carry_iterable
from sitefleet.environments import Environment, get_environment
from sitefleet.exceptions import InvalidHost, NoCurrentSite, SiteError, UnknownSite
from sitefleet.lookup import get_site
from sitefleet.models import Alias, SiteConfig
from sitefleet.persite.cache import SharedKey, clear_site_cache, shared
from sitefleet.persite.locale import site_locale
from sitefleet.persite.signing import SiteSigner, shared_signing
from sitefleet.persite.storage import SiteStorage
from sitefleet.persite.tasks import enqueue_for_sites, fleet_wide
from sitefleet.persite.websockets import group
from sitefleet.populate import Report, populate
from sitefleet.registry import (
    add_alias,
    add_site,
    change_site,
    configure_site,
    promote_alias,
    set_state,
)
from sitefleet.sync import Change, sync

ALLOWED_HOSTS: list[str] = [ACCEPTED_HOST, "health.example.org"]


def reading(request: HttpRequest) -> None:
    assert_type(get_current_site(), Site)
    assert_type(get_current_site(request), Site)
    assert_type(get_current_site_id(), int)
    assert_type(get_site("gh"), Site)
    assert_type(get_site(1, source="a form"), Site)
    assert_type(site_url(get_current_site()), str)
    assert_type(site_url(1, "/news/"), str)
    assert_type(get_environment(), Environment)
    assert_type(get_environment().is_live, bool)


def entering(site: Site) -> None:
    activate(site)
    activate(site.pk)
    assert_type(deactivate(), None)
    with override_site(site):
        reading(HttpRequest())
    with override_site(1), override_site(None):
        value = 1
    assert_type(value, int)


async def entering_async(site: Site) -> None:
    async with override_site(site):
        pass


@override_site(1)
def plain(number: int, *, text: str = "") -> str:
    return text * number


@override_site(1)
async def coroutine(number: int) -> str:
    return str(number)


@override_site(1)
def generator(number: int) -> Generator[int, str, bool]:
    text = yield number
    return bool(text)


@override_site(1)
async def async_generator(number: int) -> AsyncGenerator[int, str]:
    text = yield number
    assert_type(text, str)


async def decorated_functions_keep_their_types() -> None:
    assert_type(plain(1, text="a"), str)
    assert_type(await coroutine(1), str)
    assert_type(generator(1), Generator[int, str, bool])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    plain("1")  # type: ignore[arg-type]


def carried(pool: ThreadPoolExecutor, items: list[int], more: AsyncIterator[str]) -> None:
    assert_type(pool.submit(carry_site(plain), 1).result(), str)
    numbers: Iterator[int] = carry_iterable(items)
    assert_type(next(numbers), int)
    texts: AsyncIterator[str] = carry_async_iterable(more)
    assert_type(texts, AsyncIterator[str])
    callback: Callable[[], int] = carry_site(get_current_site_id)
    assert_type(callback(), int)


def changing() -> None:
    site = add_site("gh", name="Ghana", domain="example.gh", path_prefix="", state="active")
    assert_type(site, Site)
    assert_type(change_site(site, domain="example.com.gh"), SiteConfig)
    assert_type(set_state(site, "maintenance").production_domain, str)
    alias = add_alias(site, "www2.example.gh", redirect=False)
    assert_type(alias, Alias)
    assert_type(promote_alias(alias), SiteConfig)
    assert_type(populate(dry_run=True), Report)
    assert_type(populate().created, list[str])
    assert_type(sync(production=True), list[Change])


def following(site: Site) -> None:
    assert_type(configure_site(site, theme="winter", settings={"OPENS": None}), SiteConfig)
    assert_type(site_reverse(site, "item", args=[7], query={"page": 2}), str)
    assert_type(site_reverse(1, plain, kwargs={"pk": 7}, fragment="top"), str)
    assert_type(shared("rates"), SharedKey)
    cache.set(shared("rates"), {"EUR": 1.0}, timeout=60)
    assert_type(clear_site_cache(), None)
    clear_site_cache(site)
    clear_site_cache(1)
    storage = storages["default"]
    assert isinstance(storage, SiteStorage)
    assert_type(storage.for_site(site), SiteStorage)
    assert_type(storage.for_site(1).save("a.txt", None), str)
    with site_locale(), site_locale(site), site_locale(1):
        assert_type(group("chat"), str)


def signing() -> None:
    assert_type(SiteSigner(salt="newsletter").sign("7"), str)
    with shared_signing():
        pass
    assert_type(shared_signing()(plain)(1, text="a"), str)


@fleet_wide
def prune(days: int) -> int:
    return days


def tasks(site: Site) -> None:
    assert_type(prune(30), int)
    assert_type(enqueue_for_sites(plain, 1, text="a", sites=[site, "gh", 1]), int)
    assert_type(enqueue_for_sites(plain, 1, states=["active"]), int)


def testing(site: Site, other: Site) -> None:
    canary = Canary([site, other.pk], leave=["cache", Alias], paths=["/news/"])
    report = canary.assert_nothing_crosses()
    assert_type(report, Crossings)
    Canary(
        [site, other],
        factories={"news.Article": lambda site, mark: Alias(site=site, name=mark)},
        sign_in=lambda client, _: client.login(),
    )


def failing() -> str:
    try:
        get_site("nowhere")
    except UnknownSite as error:
        assert_type(error.near, list[str])
        return error.key
    except InvalidHost as error:
        return error.reason
    except (NoCurrentSite, SiteError):
        return ""
    return ""


def mistakes(anything: Any) -> None:
    override_site("gh")  # type: ignore[arg-type]
    activate(None)  # type: ignore[arg-type]
    site_url("gh")  # type: ignore[arg-type]
    add_site("gh", "Ghana")  # type: ignore[call-arg]
    carry_site(1)  # type: ignore[type-var]
    clear_site_cache("gh")  # type: ignore[arg-type]
    site_reverse("gh", "item")  # type: ignore[arg-type]
    site_locale("gh")  # type: ignore[arg-type]
    enqueue_for_sites(plain, 1, sites=None, states=1)  # type: ignore[arg-type]
    Canary("gh")  # type: ignore[arg-type]
    site_url(anything)
