"""Requests counted by site, for Prometheus.

``MIDDLEWARE = ["sitefleet.persite.metrics.MetricsMiddleware", "sitefleet.middleware...", ...]`` is
the switch, ``path("metrics/", exposition)`` shows the numbers. In front of ``SiteMiddleware`` it
counts all requests, also those that sitefleet answers itself (unknown hosts, redirects,
maintenance), without a site; behind it, only those that a site was asked.

What clients can make up never becomes a label: methods and status are from fixed sets, and sites
are told apart up to ``SITEFLEET["METRICS_SITES"]``. Needs ``prometheus_client``.
"""

from __future__ import annotations

import os
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from sitefleet.conf import get_conf
from sitefleet.hybrid import HybridMiddleware
from sitefleet.presented import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Labels for what has none of its own; no slug looks like these.
NO_SITE, OTHER_SITES = "-", "_other"
#: What is counted where there was no response: the client has left.
CANCELLED = "cancelled"
FAILED = "5xx"
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class SiteMetrics:
    """The metrics, in a registry of prometheus_client.

    ``sitefleet_requests_total`` by ``site``, ``method`` and ``status`` (``2xx``), and
    ``sitefleet_request_seconds``, a histogram of the time until the response begins, by ``site``.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.requests = Counter(
            "sitefleet_requests",
            "Requests answered.",
            ["site", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "sitefleet_request_seconds",
            "Seconds until the response began.",
            ["site"],
            registry=registry,
        )
        self._lock = Lock()
        self._sites: set[str] = {NO_SITE}

    def count(self, request: HttpRequest, status: str, seconds: float, limit: int) -> None:
        """Count one request; ``limit`` is the number of sites that are told apart."""
        site = self._label(request, limit)
        method = request.method if request.method in METHODS else "other"
        self.requests.labels(site, method, status).inc()
        self.seconds.labels(site).observe(seconds)

    def _label(self, request: HttpRequest, limit: int) -> str:
        site = getattr(request, "site", None)
        view = None if site is None else shown(site)
        slug = NO_SITE if view is None else view.slug
        if slug in self._sites:
            return slug
        with self._lock:
            if len(self._sites) <= limit:  # NO_SITE is none of them
                self._sites.add(slug)
        return slug if slug in self._sites else OTHER_SITES


class MetricsMiddleware(HybridMiddleware):
    """Count requests by site. A subclass may have ``metrics`` in a registry of its own."""

    metrics = SiteMetrics()

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        super().__init__(get_response)
        self.limit = get_conf().METRICS_SITES

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request, and count it."""
        if self.is_async:
            return self._call_async(request)
        begin, status = perf_counter(), CANCELLED
        try:
            response: HttpResponseBase = self.get_response(request)
            status = _class_of(response)
        except Exception:
            status = FAILED
            raise
        finally:
            self.metrics.count(request, status, perf_counter() - begin, self.limit)
        return response

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        begin, status = perf_counter(), CANCELLED
        try:
            response: HttpResponseBase = await self.get_response(request)
            status = _class_of(response)
        except Exception:
            status = FAILED
            raise
        finally:
            self.metrics.count(request, status, perf_counter() - begin, self.limit)
        return response


def _class_of(response: HttpResponseBase) -> str:
    return f"{response.status_code // 100}xx"


@never_cache
@require_safe
def exposition(request: HttpRequest, registry: CollectorRegistry = REGISTRY) -> HttpResponse:
    """Show the metrics as text, for Prometheus: those of all sites, so keep it from the public.

    With ``PROMETHEUS_MULTIPROC_DIR`` in the environment those of all processes together.
    """
    if MULTIPROCESS in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)
