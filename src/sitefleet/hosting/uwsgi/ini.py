"""Configuration files for uWSGI. Nothing of the database gets into them but checked options.

In such a file ``%``, ``$(`` and ``@(`` have meanings of their own, so values are refused that
have them (``core/config.c``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.logs import MARK, marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sitefleet.hosting.planning.options import Options

#: Values of variables that every reader of such a file takes as they are; a pattern that Python
#: and PostgreSQL read alike.
SAFE_VALUE = "[A-Za-z0-9_.,:/@+=-]([A-Za-z0-9_.,:/@+= -]*[A-Za-z0-9_.,:/@+=-])?"
LONGEST_VALUE = 1000
#: Option of ours and of uWSGI, as the view `sitefleet_vassals` has them too. Not ``threads``: in a
#: process with several, 2.0.21 joins the others in the signal handler of the one that is told to
#: reload, which lasts until the timeout (``core/uwsgi.c``, gracefully_kill); with 2.0.31 hung
#: processes were seen to outlive their harakiri.
NUMBERS = (
    ("workers", "workers"),
    ("timeout", "harakiri"),
    # Else what is told to end, with a request under way, is killed before that has had its time.
    ("timeout", "worker-reload-mercy"),
    ("max_requests", "max-requests"),
    ("memory_limit", "reload-on-rss"),
    ("idle", "idle"),
    ("niceness", "prio"),
)
#: Seconds of the shortest `harakiri`: what fails earlier may be asked again by nginx. It is more
#: than a connection waits at the socket of a vassal that has ended, until the Emperor looks.
SHORTEST = 2
#: Seconds that uWSGI's own limits are never to reach. When that of the Emperor is over, it sends
#: SIGKILL to the process -1, which is *all* processes, for each vassal that waits for its first
#: connection (``core/emperor.c``, "NO MERCY").
NEVER = 100_000_000
#: Seconds that requests under way are given at most when all is stopped, or one vassal. Its master
#: waits for the workers and does nothing else (``core/uwsgi.c``, gracefully_kill_them_all): for one
#: that hangs, or was told before it could listen, no other limit counts any more.
LONGEST_STOP = 30


@dataclass(frozen=True, slots=True)
class Runtime:
    """What vassals run: the project, and the Python in uWSGI."""

    plugins: Sequence[str]
    root: str
    home: str = ""
    """Prefix of a virtual environment; empty for a Python that is none."""
    paths: Sequence[str] = ()
    """Folders with packages, where uWSGI has a Python of its own."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the file is that all vassals include, and the folder of their sockets."""

    common: str
    sockets: str


class Unusable(SiteError):
    """A value cannot be written into a configuration of uWSGI."""


def is_safe(value: str) -> bool:
    """Whether a value of a variable can be written."""
    return len(value) <= LONGEST_VALUE and bool(re.fullmatch(SAFE_VALUE, value))


def ini(lines: Iterable[tuple[str, object]], raw: str = "") -> str:
    """Return a file. Raises Unusable for a value that would mean something else in it."""
    made = ["[uwsgi]"]
    for name, value in lines:
        text = str(value)
        plain = text.replace(MARK, "")
        if plain != plain.strip() or not plain.isprintable() or re.search(r"%|\$\(|@\(", plain):
            message = f"{name} = {text!r} cannot be written for uWSGI."
            raise Unusable(message)
        made.append(f"{name} = {text}")
    return "\n".join([*made, *([raw.strip()] if raw.strip() else []), ""])


def numbers(options: Options) -> list[tuple[str, object]]:
    """Return the lines for the options that are numbers."""
    return [
        (theirs, max(getattr(options, ours), SHORTEST if theirs == "harakiri" else 0))
        for ours, theirs in NUMBERS
    ]


def variables(chosen: Mapping[str, str], allowed: Iterable[str]) -> list[tuple[str, object]]:
    """Return the lines that set the variables that sites may set, and take away the others.

    They are taken away, since a vassal that is reloaded keeps the environment it had.
    """
    return [
        ("env", f"{name}={chosen[name]}")
        if name in chosen and is_safe(chosen[name])
        else ("unenv", name)
        for name in allowed
    ]


def common(runtime: Runtime, protocol: str, options: Options, raw: str) -> str:
    """Return what all vassals include; lines of a site come after it and win.

    ``protocol`` is what the router speaks with them, ``http`` or ``uwsgi``.
    """
    lines = _plugins(runtime.plugins)
    lines += [
        ("master", "true"),
        # The socket that the Emperor holds: it is bound there and handed on as standard input.
        ("http-socket" if protocol == "http" else "socket", "fd://0"),
        ("chdir", runtime.root),
        *([("home", runtime.home)] if runtime.home else []),
        *(("pythonpath", path) for path in reversed(runtime.paths)),  # each goes to the front
        ("module", "sitefleet.serving.wsgi:application"),
        ("need-app", "true"),
        ("single-interpreter", "true"),
        ("enable-threads", "true"),
        ("buffer-size", 32768),
        ("no-orphans", "true"),
        ("die-on-term", "true"),
        ("die-on-idle", "true"),
        ("disable-logging", "true"),
        ("log-master", "true"),
        ("ignore-sigpipe", "true"),
        ("ignore-write-errors", "true"),
        ("disable-write-exception", "true"),
        *numbers(options),
    ]
    return ini(lines, raw)


def of_site(site: int, sockets: str) -> list[tuple[str, object]]:
    """Return the lines that each vassal needs of its own."""
    key = f"site-{site}"
    return [
        ("env", f"SITE_ID={site}"),
        ("stats", f"{sockets}/{key}.st"),
        ("log-encoder", f"prefix {LOG_MARK.format(key)}"),
    ]


def vassal(
    site: int,
    places: Places,
    options: Options,
    variables: Iterable[tuple[str, object]],
) -> str:
    """Return the file of one site."""
    lines = [
        ("include", places.common),
        *of_site(site, places.sockets),
        *numbers(options),
        *variables,
    ]
    return ini(lines)


def emperor(plugins: Sequence[str], monitor: str, stats: str, backlog: int) -> str:
    """Return the file of the Emperor, which asks ``monitor`` once in a second."""
    lines = _plugins(plugins)
    lines += [
        ("emperor", monitor),
        ("emperor-freq", 1),
        ("emperor-stats", stats),
        ("emperor-graceful-shutdown", "true"),
        ("emperor-curse-tolerance", LONGEST_STOP),
        ("emperor-on-demand-extension", SOCKET_EXTENSION),
        ("listen", backlog),
        ("reload-mercy", NEVER),
    ]
    return ini(lines)


def fastrouter(plugins: Sequence[str], socket: str, cache: str, store: str, backlog: int) -> str:
    """Return the file of the fastrouter, which looks up hosts in a cache.

    ``cache`` is the socket on which entries are written, ``store`` a file that holds them, so that
    a fastrouter which is started again still has them.
    """
    lines = _plugins(plugins)
    lines += [
        ("master", "true"),
        ("cache2", f"name={CACHE},items={MOST_HOSTS},keysize=256,blocksize=128,store={store}"),
        ("fastrouter", socket),
        ("fastrouter-use-cache", CACHE),
        ("fastrouter-timeout", NEVER),
        ("fastrouter-quiet", "true"),
        ("socket", cache),
        ("workers", 1),
        ("no-orphans", "true"),
        ("die-on-term", "true"),
        ("disable-logging", "true"),
        ("listen", backlog),
    ]
    return ini(lines)


def _plugins(names: Sequence[str]) -> list[tuple[str, object]]:
    return [("plugins", ",".join(names))] if names else []


CACHE = "hosts"
#: Hosts that the cache has room for; those beyond it are answered 502.
MOST_HOSTS = 16384
SOCKET_EXTENSION = ".socket"
#: What uWSGI puts before the lines of a vassal, so that they get into the log of its site.
LOG_MARK = marked("{}", "")
