"""Tells what there is to serve: ``python -m sitefleet.serving.reader --fd N [--once]``.

Writes the fleet, one line of JSON, at start and after each change. A change is told one
``FRESHNESS`` after it was seen: by then every process that serves has seen it too, so none gets a
request that it has no answer to yet. While the database is gone nothing is written.

Ends with the process that started it, and when nobody reads any more.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, Error

from sitefleet.exceptions import SiteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sitefleet.hosting.fleet import Fleet

#: Seconds between two looks at the generation, at most and at least.
LONGEST_LOOK, SHORTEST_LOOK = 0.25, 0.05
#: Seconds between tries to reach a database that is gone.
BACKOFF = (0.25, 0.5, 1.0, 2.0)


class Reader:
    """Looks at the generation, and writes fleets to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        # With the models, and those with the settings.
        from sitefleet.serving import fleet, waiting  # noqa: PLC0415

        self._load = fleet.load_fleet
        self._waiting = waiting.Waiting(descriptor)
        self._descriptor = descriptor
        self._parent = os.getppid()
        self._pending: deque[tuple[float, Fleet]] = deque()
        self._failures = 0

    def once(self) -> None:
        """Write the fleet as it is now."""
        self.write(self._load())

    def write(self, fleet: Fleet) -> None:
        """Write a fleet in one line. Raises BrokenPipeError when nobody reads."""
        data = f"{fleet.as_json()}\n".encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def run(self) -> None:
        """Write the fleet, and again after each change, until nobody reads or the parent ends."""
        fleet = self._load()
        self.write(fleet)
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
                fleet = self._load()
                self._pending.append((seen + fleet.freshness, fleet))
        except Error as error:
            if not self._failures:
                say(f"the database does not answer, the fleet goes on as it is: {_line(error)}")
            self._failures += 1
            self._waiting.reset()
        except SiteError as error:
            say(_line(error))
        else:
            if self._failures:
                say("the database answers again")
            self._failures = 0
        return fleet

    def _pause(self, fleet: Fleet) -> float:
        """Return the seconds until there is something to do."""
        if self._failures:
            pause = BACKOFF[min(self._failures, len(BACKOFF)) - 1]
        else:
            pause = max(SHORTEST_LOOK, min(LONGEST_LOOK, fleet.freshness / 4))
        if self._pending:
            pause = min(pause, max(0.0, self._pending[0][0] - monotonic()))
        return pause


def say(text: str) -> None:
    """Say something in the log of this process."""
    print(f"sitefleet: {text}", file=sys.stderr, flush=True)  # noqa: T201 - it is read by the supervisor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns the exit status: 0, or 1 when the fleet cannot be read at the start."""
    options = _parser().parse_args(arguments)
    try:
        django.setup()
        reader = Reader(options.fd)
    except Exception as error:  # noqa: BLE001 - whatever a project raises when it is imported
        say(f"the project cannot be loaded: {_line(error)}")
        return 1
    try:
        reader.once() if options.once else reader.run()
    except DatabaseError as error:
        say(_why_unreadable(error))
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


def _why_unreadable(error: DatabaseError) -> str:
    from sitefleet.databases import site_connection  # noqa: PLC0415 - needs the settings

    connection = site_connection()
    with suppress(Error):
        connection.close()
        connection.ensure_connection()
        return f"the tables of sites cannot be read, run `manage.py migrate`: {_line(error)}"
    return f"the database does not answer: {_line(error)}"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    named = isinstance(error, (Error, SiteError, ImproperlyConfigured))
    return text if named and text else f"{type(error).__name__}: {text}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sitefleet.serving.reader",
        description="Write what there is to serve, one line of JSON after each change.",
        epilog="Example: python -m sitefleet.serving.reader --fd 1 --once",
    )
    parser.add_argument("--fd", type=int, default=1, metavar="N", help="where to write to")
    parser.add_argument("--once", action="store_true", help="write the fleet of now, and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
