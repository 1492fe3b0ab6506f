"""What uWSGI says: at each start about twenty lines, kept out of the logs; and what is counted."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Callable

#: Beginnings of lines of `core/uwsgi.c` and of `plugins/python` that are said at each start.
_BANNER = re.compile(
    r"""\s*(?:
    \[uWSGI\]\ getting\ INI\ configuration|compiled\ with\ version:|os:\ Linux-|nodename:\ \S+$|
    machine:\ \S+$|clock\ source:\ \S+$|pcre\ jit\ (?:dis|en)abled$|
    detected\ (?:number\ of\ CPU\ cores|binary\ path|max\ file\ descriptor\ number):|
    current\ working\ directory:|chdir\(\)\ to\ /|your\ (?:processes\ number|memory\ page\ size|
    server\ socket\ listen\ backlog|mercy\ for\ graceful)|lock\ engine:|thunder\ lock:|
    Python\ (?:version:\ 3|main\ interpreter)|python\ threads\ support|PEP\ 405\ virtualenv|
    Set\ PythonHome\ to|mapped\ \d+\ bytes\ |added\ /.*\ to\ pythonpath\.$|
    uwsgi\ socket\ \d+\ |\[log-encoder\]\ registered|uWSGI\ (?:running\ as\ root|http\ bound|
    fastrouter\ bound)|
    \*\*\*\ (?:WARNING:\ you\ (?:are\ running\ uWSGI|have\ enabled\ harakiri)|Operational\ MODE|
    has_emperor|Emperor\ stats|Stats\ server)
    )""",
    re.VERBOSE,
)

#: Said of a worker that has died: by a fault, a signal or its ``harakiri``. Not of one that ends as
#: it was told to, after `max-requests` or for a reload (``core/master.c``).
_DIED = re.compile(r"DAMN ! worker \d+ \(pid: \d+\) ")


def is_banner(line: str) -> bool:
    """Whether a line is about uWSGI alone, and the same at each start."""
    return bool(_BANNER.match(line))


class Quiet(Logs):
    """Logs without those lines."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logs.run_dir, logs.show)
        self._write: Callable[[str, str], None] = logs.write
        self.died: Counter[str] = Counter()
        """Workers that have died, by instance: uWSGI's own numbers count those that were told to
        end as well, and are gone with the vassal."""

    def write(self, name: str, line: str) -> None:
        """Write one line, unless it is of the banner."""
        if _DIED.match(line):
            self.died[name] += 1
        if not is_banner(line):
            self._write(name, line)
