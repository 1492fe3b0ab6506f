"""What one process may use: niceness, memory, and where it is asked for a cgroup of its own."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitefleet.hosting.planning.options import Options

MEGABYTE = 1024 * 1024
#: How far beyond its memory limit the kernel refuses a process more, between two looks at it.
HARD = 4
#: Address space for each thread: its stack, and the C library's pool for it.
PER_THREAD = 80 * MEGABYTE


def set_limits(options: Options) -> None:
    """Limit this process."""
    if options.niceness:
        os.nice(options.niceness)
    if options.memory_limit:
        own = options.memory_limit * MEGABYTE * HARD + options.threads * PER_THREAD
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _data_size() + own
        if hard == resource.RLIM_INFINITY or wanted < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def enter_cgroup(parent: str, key: str, options: Options) -> None:
    """Put this process into a cgroup (version 2) of its site. Raises OSError."""
    folder = Path(parent) / key
    folder.mkdir(exist_ok=True)
    if options.memory_limit:
        # For all processes of the site, with room for those that are being replaced.
        most = options.memory_limit * MEGABYTE * (options.workers + 1)
        (folder / "memory.max").write_text(str(most))
    (folder / "cgroup.procs").write_text(str(os.getpid()))


def leave_cgroup(parent: str, key: str) -> None:
    """Remove the cgroup of a site that is gone, when nothing is left in it."""
    try:
        (Path(parent) / key).rmdir()
    except OSError:
        return


def _data_size() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
