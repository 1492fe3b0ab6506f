"""What there is to serve: plain values, which travel between processes as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sitefleet.hosting.planning.options import Options, make_options

SHARED, DEDICATED = "shared", "dedicated"
MODES = (SHARED, DEDICATED)
DRIVERS = ("zygote", "gunicorn", "uwsgi")
ROUTERS = ("asyncio", "nginx", "haproxy", "traefik")
SHARED_SERVERS = ("gunicorn", "granian")
#: In the environment: the mode of sites that do not say themselves, before the settings.
MODE_VARIABLE = "SITEFLEET_SERVING_MODE"


@dataclass(frozen=True, slots=True)
class Site:
    """One site, as far as serving it goes."""

    id: int
    slug: str
    name: str
    state: str
    """``active``, ``maintenance``, ``archived`` or ``suspended``."""
    mode: str
    """``shared`` or ``dedicated``, as it is wished for; `plan` says what comes of it."""
    url: str
    """Where it answers in this environment; empty when it has no host here."""
    names: tuple[str, ...] = ()
    """Hosts in normal form, without port, of which each request leads to this site and no other:
    its own host first, then its exact aliases. Empty where it shares its host with other sites
    (path prefixes, ports): such a site can only be served by the shared server."""
    mode_by: str = "its own mode"
    """What has decided its mode: that, ``the project's mode`` or ``--mode``."""
    shared_because: str = ""
    """Why it cannot have a process of its own; empty when it can."""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Serving:
    """How the project wants its fleet served: ``SITEFLEET["SERVING"]``, checked."""

    driver: str = "zygote"
    """``zygote``, ``gunicorn`` or ``uwsgi``: what runs dedicated sites."""
    router: str = "asyncio"
    """``asyncio``, ``nginx``, ``haproxy`` or ``traefik``: what stands in front."""
    server: str = "gunicorn"
    """``gunicorn`` or ``granian``: what runs the shared process."""
    mode: str = SHARED
    """``shared`` or ``dedicated``: sites that do not say themselves."""
    bind: str = "127.0.0.1:8000"
    """Host and port that the router listens on."""
    run_dir: str = ""
    """Directory for sockets, logs and generated files. Empty: ``.sitefleet`` in the project."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of sites that do not say themselves: see `sitefleet.hosting.planning.options`."""
    shared: dict[str, Any] = field(default_factory=dict)
    """Options of the shared process."""
    environment: tuple[str, ...] = ()
    """Variables that sites may set for their processes."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies in front of the router whose ``X-Forwarded-*`` are believed."""
    cgroup: str = ""
    """A cgroup (version 2) in which each site gets one of its own. Empty: none."""
    immortal: bool = True
    """Whether sites' processes read what their parent has loaded without counting references,
    where this Python can: see `sitefleet.hosting.zygote.immortal`."""
    raw: dict[str, str] = field(default_factory=dict)
    """Lines for generated configurations, by server, such as ``{"uwsgi": "buffer-size = 8192"}``.
    From the settings alone, never from the database."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All sites, and how they are to be served."""

    generation: int
    """Another one after each change of a site."""
    sites: tuple[Site, ...]
    """Those that need a word of their own: dedicated ones, and shared ones with options."""
    total: int
    """How many sites there are, those that are not in ``sites`` included."""
    serving: Serving
    debug: bool = False
    format: str = ""
    """How this environment names its hosts; empty in the live one."""
    freshness: float = 1.0
    """Seconds after which each process has seen a change."""
    database: dict[str, Any] = field(default_factory=dict)
    """``vendor``, and where it is limited ``max_connections`` and ``used_connections``."""
    has_asgi: bool = False
    """Whether the project names an ASGI application."""
    examples: tuple[tuple[str, str], ...] = ()
    """Slug and URL of the first shared sites, to be shown to who starts the fleet."""

    def as_json(self) -> str:
        """Return it in one line."""
        return json.dumps(asdict(self), separators=(",", ":"))


def read_fleet(text: str | bytes) -> Fleet:
    """Return the fleet that `Fleet.as_json` has written."""
    raw = json.loads(text)
    sites = tuple(_site(values) for values in raw.pop("sites"))
    serving: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in raw.pop("serving").items()
    }
    examples = tuple((slug, url) for slug, url in raw.pop("examples", ()))
    return Fleet(sites=sites, serving=Serving(**serving), examples=examples, **raw)


def _site(values: dict[str, Any]) -> Site:
    options = make_options(values.pop("options"))
    return Site(**{**values, "names": tuple(values["names"]), "options": options})
