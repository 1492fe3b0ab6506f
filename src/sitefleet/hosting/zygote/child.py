"""What a forked process does: become that of one site, serve, end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sitefleet.hosting.processes.logs import install_marked_output
from sitefleet.hosting.processes.parents import end_with
from sitefleet.hosting.servers import workers
from sitefleet.hosting.servers.ending import when_told_to_end
from sitefleet.hosting.zygote.counting import Counter
from sitefleet.hosting.zygote.limits import enter_cgroup, set_limits
from sitefleet.hosting.zygote.rules import GRACE

if TYPE_CHECKING:
    from sitefleet.hosting.zygote.descriptors import Descriptors
    from sitefleet.hosting.zygote.program import Program, Served
    from sitefleet.hosting.zygote.slots import Slots

#: What a child says by its bell, before its pid: it serves; it has had its number of requests.
READY, ENOUGH = b"r", b"e"


@dataclass(frozen=True, slots=True)
class Birth:
    """What the parent gives to a child."""

    served: Served
    listener: int
    descriptors: Descriptors
    slots: Slots
    row: int
    parent: int
    cgroup: str

    @property
    def threads(self) -> int:
        """Requests that it counts one by one."""
        options = self.served.options
        return options.threads if options.interface == "wsgi" else 1


def run_child(birth: Birth, program: Program) -> NoReturn:
    """Serve until told to end; never returns into the parent's code."""
    status = 1
    try:
        status = _run(birth, program)
    except BaseException:  # noqa: BLE001 - the frames below are the parent's
        traceback.print_exc()
    finally:
        try:
            logging.shutdown()  # raises what handlers of the project do
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _run(birth: Birth, program: Program) -> int:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    if not end_with(birth.parent):
        return 0
    # When the parent is killed its group is, too; who answers a request then is to finish it.
    os.setpgid(0, 0)
    listener, bell = birth.descriptors.leave(birth.listener)
    served, options = birth.served, birth.served.options
    install_marked_output(served.key)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _limit(birth)
    application = program.become(served)
    ring = _Bell(bell)
    counter = Counter(birth.slots.cells, birth.row, options, lambda: ring(ENOUGH))

    def ready() -> None:
        _limit_end(options.timeout)
        ring(READY)

    return workers.serve(
        socket.socket(fileno=listener),
        counter.wrap(application, options.interface),
        options,
        interface=options.interface,
        name=served.key,
        on_ready=ready,
    )


def _limit(birth: Birth) -> None:
    options = birth.served.options
    if birth.cgroup:
        try:
            enter_cgroup(birth.cgroup, birth.served.key, options)
        except OSError as error:
            sys.stderr.write(f"It runs without a cgroup of its own: {error}.\n")
    try:
        set_limits(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"It runs without its limits: {error}.\n")


class _Bell:
    """Tells the parent something: one short write, which is never mixed with those of others."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, what: bytes) -> None:
        try:
            os.write(self._descriptor, b"%b%d\n" % (what, os.getpid()))
        except OSError:
            return  # the parent is gone, and this process ends by itself


def _limit_end(timeout: int) -> None:
    """See to it that a process which is told to end does so, even if nobody is left to look."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    when_told_to_end(lambda: signal.alarm(int(timeout + GRACE)))
    signal.signal(signal.SIGABRT, _tell_where)


def _tell_where(_number: int, _frame: Any) -> NoReturn:
    """Say what each thread does, and end: a request has taken too long."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented by Python
        stack = "".join(traceback.format_stack(frame))
        sys.stderr.write(f"Thread {names.get(ident, ident)} is at:\n{stack}")
    sys.stderr.flush()
    os._exit(1)
