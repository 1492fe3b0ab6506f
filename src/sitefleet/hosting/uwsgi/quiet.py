"""What uWSGI says of itself at each start, about twenty lines: kept out of the logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sitefleet.hosting.processes.process import Process

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


def is_banner(line: str) -> bool:
    """Whether a line is about uWSGI alone, and the same at each start."""
    return bool(_BANNER.match(line))


class Quiet(Logs):
    """Logs without those lines."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(logs.run_dir, logs.show)
        self._write: Callable[[str, str], None] = logs.write

    def write(self, name: str, line: str) -> None:
        """Write one line, unless it is of the banner."""
        if not is_banner(line):
            self._write(name, line)


def keep_quiet(process: Process) -> Process:
    """Leave the banner out of the logs of a process and of its instances; return it."""
    process.logs = Quiet(process.logs)
    return process
