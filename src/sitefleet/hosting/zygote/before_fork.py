"""What a process that is going to be forked must not have: threads, and open connections.

After a fork the threads are gone, with whatever locks they held, and a connection has two owners
who read each other's answers.
"""

from __future__ import annotations

import gc
import os
import random
import socket
import stat
import threading
from inspect import getattr_static
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

FIX = "start it in a receiver of sitefleet.serving.signals.post_fork instead"


def find_threads() -> list[str]:
    """Return a sentence for each thread but this one."""
    found = [
        f"The thread {thread.name!r} ({_target(thread)}) was started when the project was loaded:"
        f" it is gone in each process of a site; {FIX}."
        for thread in threading.enumerate()
        if thread is not threading.current_thread()
    ]
    try:
        others = len(list(Path("/proc/self/task").iterdir())) - threading.active_count()
    except OSError:
        others = 0
    if others > 0:
        found.append(
            f"{others} threads of a library in C were started when the project was loaded: they"
            f" are gone in each process of a site; find what starts them, and {FIX}."
        )
    return found


def find_connections(own: Collection[int]) -> list[str]:
    """Return a sentence for each connected socket, but for those of ours."""
    try:
        numbers = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    except OSError:
        return []
    found = []
    for number in sorted(set(numbers) - set(own)):
        peer = _peer(number)
        if peer:
            found.append(
                f"The project has left a connection to {peer} open when it was loaded: two"
                f" processes would read each other's answers from it; close it, or open it in a"
                f" receiver of sitefleet.serving.signals.post_fork."
            )
    return found


def find_generators() -> list[random.Random]:
    """Return the random number generators of the project; subclasses have rules of their own."""
    return [item for item in gc.get_objects() if type(item) is random.Random]


def reseed_after_fork(generators: Collection[random.Random]) -> None:
    """Let each process that is forked from now on have other numbers of these generators.

    As `random` itself does for the one that its functions use.
    """

    def reseed() -> None:
        for generator in generators:
            generator.seed()

    os.register_at_fork(after_in_child=reseed)


def _target(thread: threading.Thread) -> str:
    target = getattr(thread, "_target", None) or type(thread)
    module, name = getattr(target, "__module__", "?"), getattr(target, "__qualname__", "?")
    return f"{module}.{name}"


def _peer(number: int) -> str:
    """Return where a connected socket leads; empty for anything else."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return ""
        with socket.socket(fileno=os.dup(number)) as copy:
            peer = copy.getpeername()
            family = copy.family
    except OSError:  # it listens, or is closed by now
        return ""
    if family == socket.AF_UNIX:
        return str(peer) if peer else "another process (an unnamed unix socket)"
    return f"{peer[0]}:{peer[1]}" if family in {socket.AF_INET, socket.AF_INET6} else str(peer)


def changed_files(modules: Collection[object], since: float) -> list[str]:
    """Return the files of loaded modules that were changed after a time (seconds since 1970)."""
    found = []
    for module in modules:
        # Modules that load themselves late raise anything when they are asked.
        name = getattr_static(module, "__file__", None)
        if not isinstance(name, str):
            continue
        try:
            if Path(name).stat().st_mtime > since:
                found.append(name)
        except OSError:
            found.append(name)
    return sorted(found)
