"""Paths at which a process ended while it asked for them to warm up: they are not asked for again.

Such a page (a crash of a library in C, ``os._exit``) would end each next process in the same way,
and with it all sites that the process is for. So each path is written to a file before it is asked
for. The kernel gives the lock of that file back when the process ends, however it does: a file
without a lock names what the process ended with.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sitefleet.hosting.servers.variables import ASKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sitefleet.hosting.planning.fleet import Site
    from sitefleet.serving.choosing import Wanted

logger = logging.getLogger("sitefleet")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A path that a process ended with, and the site that it was asked of."""

    site: int
    slug: str
    path: str


@contextmanager
def noted(site: Site, path: str) -> Iterator[None]:
    """Have it written, while a path is asked for, which one that is."""
    named = os.environ.get(ASKING)
    if not named:
        yield
        return
    folder, name = os.path.split(named)
    try:
        number, file = tempfile.mkstemp(prefix=f"{name}.", dir=folder)
    except OSError:  # a full disk: it is asked for all the same
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
            os.write(number, json.dumps([site.id, site.slug, path]).encode())
        yield
    finally:
        Path(file).unlink(missing_ok=True)
        os.close(number)


def read_suspects(since: float = 0.0) -> list[Suspect]:
    """Return those that were asked for at a time, in seconds since 1970, or later."""
    named = os.environ.get(ASKING)
    found = []
    for path in sorted(Path(named).parent.glob(f"{Path(named).name}.*")) if named else ():
        with suppress(OSError, ValueError, TypeError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # it raises where the process lives
            if path.stat().st_mtime >= since:
                found.append(Suspect(*json.load(file)))
    return found


def tell_suspects() -> list[Suspect]:
    """Return all of them, and say in the log that they are left out."""
    suspects = read_suspects()
    for suspect in suspects:
        logger.warning(
            "Warm-up of %s, %s: a process ended while it asked for that. It is left out from now"
            " on, and so are the other paths of this site.",
            suspect.slug,
            suspect.path,
        )
    return suspects


def spare(wanted: Iterable[Wanted], suspects: Collection[Suspect]) -> Iterator[Wanted]:
    """Yield sites and paths without what may end one more process.

    That is the path under any site, and any path of the site.
    """
    bad_sites = {suspect.site for suspect in suspects}
    bad_paths = {suspect.path for suspect in suspects}
    for site, paths in wanted:
        if site.id not in bad_sites:
            yield site, tuple(path for path in paths if path not in bad_paths)
