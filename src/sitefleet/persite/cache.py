"""Django's cache follows the site: its keys, ``clear()``, and a deliberate way to share.

Switched on by the settings of each cache::

    CACHES = {"default": {"BACKEND": "sitefleet.persite.cache.RedisCache", "LOCATION": "redis://"}}

or, for a backend that is not here, by ``"KEY_FUNCTION": "sitefleet.persite.cache.make_key"``. Keys
hold the id of the current site and its *generation*; to clear the cache of a site is to raise that.
"""

from __future__ import annotations

import inspect
from secrets import token_hex
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sites.models import Site
from django.core import checks
from django.core.cache.backends import db, filebased, locmem, memcached, redis
from django.core.cache.backends.base import BaseCache, default_key_func
from django.core.cache.backends.dummy import DummyCache
from django.db import connections, models, router, transaction
from django.db.models.functions import Greatest
from django.db.models.signals import pre_save

from sitefleet.addresses import site_id
from sitefleet.current import get_current_site_id
from sitefleet.dotted import imported
from sitefleet.exceptions import NoCurrentSite
from sitefleet.models import SiteConfig, registry_lock
from sitefleet.options import current_site
from sitefleet.registry import get_config
from sitefleet.resolver import resolver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sitefleet.presented import Shown

#: Generations are seconds since then: 31 bits last until 2091. As a mere count they would come
#: back with a restored backup, or with a new site that has the id of a removed one.
EPOCH = 1_700_000_000
#: Sites whose raised generation is remembered, for requests that have begun before.
REMEMBERED = 1000


class SharedKey(str):
    """A key of all sites. It equals no plain text, which is a key of the current site."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedKey) and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((SharedKey, str(self)))


def shared(key: object) -> SharedKey:
    """Return a key under which all sites find the same entry, and code without a site too.

    Good for one use as it is: ``shared(key) + "x"`` is plain text again, and the site's own.
    """
    return SharedKey(key)


def make_key(key: object, key_prefix: str, version: object) -> str:
    """Return the key that a cache uses for ``key`` of the current site; a KEY_FUNCTION.

    ``prefix:site.generation.version:key``: what callers choose stands behind what they cannot,
    and a version cannot hold the colon that ends it. Raises NoCurrentSite.
    """
    if isinstance(key, SharedKey):
        return f"{key_prefix}:shared.{_spelled(version)}:{key}"
    site = _site_of(key)
    generation: int | str = site.options.cache_generation
    if _raised or _held:
        generation = _generation_here(site)
    return f"{key_prefix}:{site.pk}.{generation}.{_spelled(version)}:{key}"


def shared_by_all(key: object, key_prefix: str, version: object) -> str:
    """Return Django's own key: a KEY_FUNCTION that says that sites share a cache on purpose."""
    return str(default_key_func(key, key_prefix, version))


def clear_site_cache(site: Site | int | None = None) -> None:
    """Clear all caches that have `make_key` for one site, by default the current one.

    Seen at once by this process, by others within FRESHNESS seconds. In a transaction: by what is
    done in it at once, by others when it is committed. Shared keys and other sites are left alone.

    Raises NoCurrentSite, Site.DoesNotExist, TypeError for a name.
    """
    pk = get_current_site_id() if site is None else site_id(site, "clear_site_cache()")
    using = router.db_for_write(SiteConfig)
    get_config(Site(pk=pk))  # raises where there is no such site
    clear = _Clear(pk, using)
    _waiting.add(clear)
    transaction.on_commit(clear, using)  # now, where there is no transaction


class PerSiteCache(BaseCache):
    """To be mixed into a cache backend: keyed by site, and ``clear()`` clears the current site.

    ``class Cache(PerSiteCache, OtherBackend)`` makes it of any backend.
    """

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        params = {**params, "KEY_FUNCTION": params.get("KEY_FUNCTION") or make_key}
        super().__init__(location, params)  # type: ignore[call-arg]  # as backends have it

    def clear(self) -> None:
        """Clear the current site (see `clear_site_cache`); all, with another KEY_FUNCTION."""
        if inspect.unwrap(self.key_func) is not make_key:
            self.clear_all()
            return
        try:
            clear_site_cache()
        except NoCurrentSite as error:
            detail = "clear() clears the cache of one site, clear_all() that of all sites."
            raise NoCurrentSite(detail) from error

    async def aclear(self) -> None:
        """Do what `clear` does."""
        await sync_to_async(self.clear)()

    def clear_all(self) -> None:
        """Remove everything, of all sites: what Django's ``clear()`` does."""
        super().clear()


class _CulledByClear(PerSiteCache):
    """Backends of Django that make room by ``clear()`` where CULL_FREQUENCY is 0."""

    _cull_frequency: int

    def _cull(self, *args: Any) -> None:
        if self._cull_frequency == 0:
            self.clear_all()
        else:
            super()._cull(*args)  # type: ignore[misc]  # the backend's


class LocMemCache(PerSiteCache, locmem.LocMemCache):
    """Django's cache in the memory of the process."""


class DatabaseCache(_CulledByClear, db.DatabaseCache):
    """Django's cache in a table of the database.

    It makes room by what expires first. Django goes by the keys: the lowest site would pay for all.
    """

    def _cull(self, using: str, cursor: Any, now: datetime, count: int) -> None:
        if self._cull_frequency == 0:
            self.clear_all()
            return
        ops = connections[using].ops
        table, key, expires = map(ops.quote_name, (self._table, "cache_key", "expires"))  # type: ignore[attr-defined]  # Django's
        now_there = ops.adapt_datetimefield_value(now)
        cursor.execute(f"DELETE FROM {table} WHERE {expires} < %s", [now_there])  # noqa: S608 - quoted
        left = count - cursor.rowcount
        if left > self._max_entries:
            # MD5 is an order without sites. MySQL takes LIMIT, and this table, one query deeper.
            some = f"SELECT {key} FROM {table} ORDER BY {expires}, MD5({key})"  # noqa: S608 - quoted
            limit = ops.limit_offset_sql(0, left // self._cull_frequency)
            chosen = f"SELECT {key} FROM ({some} {limit}) chosen"  # noqa: S608 - quoted
            cursor.execute(f"DELETE FROM {table} WHERE {key} IN ({chosen})")  # noqa: S608 - quoted


class FileBasedCache(_CulledByClear, filebased.FileBasedCache):
    """Django's cache in files."""


class RedisCache(PerSiteCache, redis.RedisCache):
    """Django's cache on Redis."""


class PyMemcacheCache(PerSiteCache, memcached.PyMemcacheCache):
    """Django's cache on memcached by pymemcache."""


class PyLibMCCache(PerSiteCache, memcached.PyLibMCCache):
    """Django's cache on memcached by pylibmc."""


class _Clear:
    """The clearing of one site: now, or when the transaction is committed that it waits for.

    It waits in the list of its connection, which Django empties when a transaction or a savepoint
    is rolled back. As long as it is there, the transaction uses a generation that nobody else
    knows: what it has not committed yet must not get into the cache of others.
    """

    __slots__ = ("__weakref__", "pk", "private", "using")

    def __init__(self, pk: int, using: str) -> None:
        self.pk = pk
        self.using = using
        self.private = f"t{token_hex(8)}"

    def __call__(self) -> None:
        # In the lock: what others read and save as a whole row must not bring the old one back.
        with registry_lock(self.using):
            rows = SiteConfig.objects.using(self.using).filter(pk=self.pk)
            rows.update(cache_generation=Greatest(models.F("cache_generation") + 1, _seconds()))
            found = list(rows.values_list("cache_generation", flat=True))
        resolver.expire(self.using)
        with _lock:
            for generation in found:  # none when the site went with the transaction
                _raised[self.pk] = max(generation, _raised.pop(self.pk, 0))
            while len(_raised) > REMEMBERED:
                del _raised[next(iter(_raised))]


_lock = Lock()
#: Generations by primary key, as raised by this process: a request keeps what it began with.
_raised: dict[int, int] = {}
_waiting: WeakSet[_Clear] = WeakSet()
#: What is inside of that: whether it is empty is told without a call, for each key.
_held: set[Any] = _waiting.data  # type: ignore[attr-defined]


def _generation_here(site: Shown) -> int | str:
    if _held:
        for entry in reversed(connections[router.db_for_write(SiteConfig)].run_on_commit):
            function = entry[1]
            if isinstance(function, _Clear) and function.pk == site.pk:
                return function.private
    return max(site.options.cache_generation, _raised.get(site.pk, 0))


def _site_of(key: object) -> Shown:
    try:
        return current_site()
    except NoCurrentSite as error:
        detail = f"The cache key {str(key)!r} is a site's own; shared({str(key)!r}) is for all."
        raise NoCurrentSite(detail) from error


def _spelled(version: object) -> object:
    if type(version) is int:
        return version
    return str(version).replace("%", "%25").replace(":", "%3A")


def _seconds() -> int:
    return int(time()) - EPOCH


def _before_config(instance: SiteConfig, raw: bool, **_: Any) -> None:  # noqa: FBT001 - signal
    if instance._state.adding and not raw and not instance.cache_generation:  # noqa: SLF001 - documented by Django
        instance.cache_generation = _seconds()


def check_caches(**_: Any) -> list[checks.CheckMessage]:
    """Look at each cache in CACHES."""
    return [message for alias in settings.CACHES for message in _check_cache(alias)]


def _check_cache(alias: str) -> Iterator[checks.CheckMessage]:
    backend = imported(settings.CACHES[alias].get("BACKEND"))
    if not isinstance(backend, type) or issubclass(backend, DummyCache):
        return  # What cannot be imported, Django tells.
    named = settings.CACHES[alias].get("KEY_FUNCTION")
    per_site, ready = issubclass(backend, PerSiteCache), globals().get(backend.__name__)
    function = inspect.unwrap(imported(named or (make_key if per_site else None)))
    line = f'CACHES["{alias}"]["{{}}"] = "{__name__}.{{}}"'.format
    keyed, own = line("KEY_FUNCTION", "make_key"), ""
    if not per_site and isinstance(ready, type) and issubclass(ready, backend):
        own = line("BACKEND", ready.__name__)
    if function in (make_key, shared_by_all):
        if function is make_key and not per_site:
            message = f"clear() of the cache {alias!r} clears it for all sites."
            other = "Make a BACKEND of PerSiteCache and yours; until then call clear_site_cache()."
            yield checks.Warning(message, hint=own or other, id="sitefleet.W303")
    elif named and (not callable(function) or function.__module__ == __name__):
        message = f"The KEY_FUNCTION of the cache {alias!r}, {named!r}, is no key function."
        yield checks.Error(message, hint=keyed, id="sitefleet.E302")
    else:
        message = f"The cache {alias!r} is not keyed by site: sites see what others keep there."
        hint = f"{own or keyed}. To share it on purpose: {line('KEY_FUNCTION', 'shared_by_all')}."
        yield checks.Warning(message, hint=hint, id="sitefleet.W301")


def connect() -> None:
    """Register the checks; give each new site a generation that no other has had under its id."""
    checks.register(check_caches, checks.Tags.caches)
    pre_save.connect(_before_config, sender=SiteConfig, dispatch_uid="sitefleet.cache")
