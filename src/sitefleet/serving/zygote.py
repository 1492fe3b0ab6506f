"""The parent of forked processes: ``python -m sitefleet.serving.zygote --fd N``.

Started by `sitefleet.hosting.drivers.zygote`, which talks to it through the descriptor. It loads
and warms the project, lets go of what two processes must not share, and serves from then on by
`sitefleet.hosting.zygote`, to which Django is unknown.
"""

from __future__ import annotations

import argparse
import gc
import socket
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import django
from django.utils.module_loading import import_string

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.logs import install_marked_output
from sitefleet.hosting.zygote.before_fork import (
    find_connections,
    find_generators,
    find_threads,
    reseed_after_fork,
)
from sitefleet.hosting.zygote.immortal import make_immortal
from sitefleet.hosting.zygote.parent import Parent
from sitefleet.serving.suspects import read_suspects

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Imports models, so it comes after the apps.
PROGRAM = "sitefleet.serving.program.DjangoProgram"
#: Exit status of a parent that could not load the project, and is to be started again.
NOT_LOADED = 3
#: Seconds for which it answers for the sites meanwhile.
RETRY_AFTER = 5.0


@contextmanager
def said_at(path: Path | None) -> Iterator[None]:
    """Have a file while the block runs. Raises SiteError if one is left there.

    The last process has then ended in the middle of it, so that it could tell nobody.
    """
    if path is None:
        yield
        return
    if path.exists():
        begun = path.stat().st_mtime
        path.unlink()
        if not read_suspects(begun):  # else it is known which page did that
            message = "the process ended while it loaded the project"
            raise SiteError(message)
    with suppress(OSError):  # a full disk
        path.touch()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run a parent until it is told to end; return its exit status."""
    parser = argparse.ArgumentParser(prog="sitefleet.serving.zygote", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the channel to the supervisor")
    parser.add_argument("--group", default="", help="the code group of its sites")
    parser.add_argument("--cgroup", default="", help="a cgroup for those of sites")
    parser.add_argument("--loading", type=Path, help="a file that is there while it loads")
    parser.add_argument("--mortal", action="store_true", help="count references as ever")
    given = parser.parse_args(arguments)
    install_marked_output("")
    parent = Parent(socket.socket(fileno=given.fd), given.cgroup)
    try:
        with said_at(given.loading):
            django.setup()
            program = import_string(PROGRAM)(given.group)
    except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever the project does
        traceback.print_exc()
        parent.why = f"the project cannot be loaded: {type(error).__name__}: {error}"
        parent.tell_failed()
        parent.run(None, until=monotonic() + RETRY_AFTER)
        return 0 if parent.draining else NOT_LOADED
    gc.collect()  # first: what closes itself by that is no problem
    problems = [
        *find_threads(),
        *find_connections(parent.descriptors),
        *program.find_left_active(),
    ]
    reseed_after_fork(find_generators())
    if not given.mortal:
        make_immortal()
    gc.freeze()
    parent.tell_problems(problems)
    parent.tell({"is": "ready"})
    parent.run(program)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
