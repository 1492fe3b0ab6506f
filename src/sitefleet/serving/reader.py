"""Tells what there is to serve: ``python -m sitefleet.serving.reader --fd N [--once]``.

Writes the fleet, one line of JSON, at start and after each change. A change is told one
``FRESHNESS`` after it was seen: by then every process that serves has seen it too, so none gets a
request that it has no answer to yet. While the database is gone no fleets are written, but a line
``{"trouble": "...", "away": true}`` when that begins, and one without trouble when it has ended.

Ends with the process that started it, and when nobody reads any more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from sitefleet.exceptions import SiteError
from sitefleet.serving.trial import tell, why_unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sitefleet.hosting.planning.fleet import Fleet

#: Seconds between two looks at the generation, at most and at least.
LONGEST_LOOK, SHORTEST_LOOK = 0.25, 0.05
#: Seconds between tries to reach a database that is gone.
BACKOFF = (0.25, 0.5, 1.0, 2.0)


GONE, UNREADABLE = "the database does not answer", "a change cannot be read"
AGAIN = {GONE: "the database answers again", UNREADABLE: "changes can be read again"}


class Reader:
    """Looks at the generation, and writes fleets to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        # With the models, and those with the settings.
        from sitefleet.serving import fleet, waiting  # noqa: PLC0415

        self._load = fleet.load_fleet
        self._waiting = waiting.Waiting(descriptor)
        self._descriptor = descriptor
        self._parent = os.getppid()
        self._pending: deque[tuple[float, bytes]] = deque()
        self._failures = 0
        self._why = ""

    def once(self) -> None:
        """Write the fleet as it is now."""
        self.write(_encode(self._load()))

    def all_once(self) -> None:
        """Write the fleet as it is now, with plain shared sites as far as they can be listed."""
        self.write(_encode(self._load(everything=True)))

    def write(self, data: bytes) -> None:
        """Write the line of a fleet. Raises BrokenPipeError when nobody reads."""
        while data:
            data = data[os.write(self._descriptor, data) :]

    def run(self, *, again: bool = False) -> None:
        """Write the fleet, and again after each change, until nobody reads or the parent ends.

        ``again``: a reader has run before. What this one finds may be as new as any other change.
        """
        try:
            fleet = self._load()
        except Error as error:
            self._tell(f"{GONE}: {_line(error)}", away=True)
            raise
        if again:
            self._tell("", away=False)  # the one before may have ended within an outage
        self._pending.append((monotonic() + fleet.freshness * again, _encode(fleet)))
        while self._waiting.wait(self._pause(fleet)) and os.getppid() == self._parent:
            now = monotonic()
            while self._pending and self._pending[0][0] <= now:
                self.write(self._pending.popleft()[1])
            fleet = self._look(fleet)

    def _look(self, fleet: Fleet) -> Fleet:
        """Return the fleet as it is now: that of before, where nothing has changed."""
        try:
            if self._waiting.generation() != fleet.generation:
                seen = monotonic()
                loaded = self._load()
                self._pending.append((seen + loaded.freshness, _encode(loaded)))
                fleet = loaded
        except Error as error:
            self._fail(GONE, error)
            self._waiting.reset()
        except Exception as error:  # noqa: BLE001 - one load that fails: the next may not
            self._fail(UNREADABLE, error)
        else:
            if self._failures:
                say(AGAIN[self._why])
                self._tell("", away=False)
            self._failures, self._why = 0, ""
        return fleet

    def _fail(self, why: str, error: Exception) -> None:
        if why != self._why:
            say(f"{why}, the fleet goes on as it is: {_line(error)}")
            self._tell(f"{why}: {_line(error)}", away=why == GONE)
        self._failures, self._why = self._failures + 1, why

    def _tell(self, trouble: str, *, away: bool) -> None:
        self.write(f"{json.dumps({'trouble': trouble, 'away': away})}\n".encode())

    def _pause(self, fleet: Fleet) -> float:
        """Return the seconds until there is something to do."""
        if self._failures:
            pause = BACKOFF[min(self._failures, len(BACKOFF)) - 1]
        else:
            pause = max(SHORTEST_LOOK, min(LONGEST_LOOK, fleet.freshness / 4))
        if self._pending:
            pause = min(pause, max(0.0, self._pending[0][0] - monotonic()))
        return pause


def _encode(fleet: Fleet) -> bytes:
    return f"{fleet.as_json()}\n".encode()


def say(text: str) -> None:
    """Say something in the log of this process."""
    print(f"sitefleet: {text}", file=sys.stderr, flush=True)  # noqa: T201 - it is read by the supervisor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns the exit status: 0, or 1 when the fleet cannot be read at the start."""
    options = _parser().parse_args(arguments)
    try:
        if missing := _missing_apps():
            say(f"add {missing} to INSTALLED_APPS.")
            return 1
        django.setup()
        reader = Reader(options.fd)
    except Exception as error:  # noqa: BLE001 - whatever a project raises when it is imported
        say(f"the project cannot be loaded: {_line(error)}")
        return 1
    try:
        if options.all:
            reader.all_once()
        else:
            reader.once() if options.once else reader.run(again=options.again)
    except Error as error:
        say(why_unreadable(error))
        return 1
    except (ImproperlyConfigured, SiteError) as error:
        say(_line(error))
        return 1
    except BrokenPipeError:
        pass
    except OSError as error:
        say(f"descriptor {options.fd} cannot be written to: {error.strerror}")
        return 1
    return 0


def _missing_apps() -> str:
    """Return the apps that have to be there and are not."""
    installed = set(settings.INSTALLED_APPS)
    return " and ".join(
        repr(app)
        for app in ("django.contrib.sites", "sitefleet")
        if not any(name == app or name.startswith(f"{app}.apps.") for name in installed)
    )


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    named = isinstance(error, (Error, SiteError, ImproperlyConfigured))
    return text if named and text else tell(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sitefleet.serving.reader",
        description="Write what there is to serve, one line of JSON after each change.",
        epilog="Example: python -m sitefleet.serving.reader --fd 1 --once",
    )
    parser.add_argument("--fd", type=int, default=1, metavar="N", help="where to write to")
    parser.add_argument(
        "--again", action="store_true", help="one has run before: what it finds is told as a change"
    )
    parser.add_argument("--once", action="store_true", help="write the fleet of now, and end")
    parser.add_argument("--all", action="store_true", help="that, with plain shared sites too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
