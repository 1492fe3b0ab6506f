"""One `sitefleet up`, from start to end: start, say where sites answer, follow, stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from sitefleet.exceptions import SiteError
from sitefleet.hosting.planning.budget import check_descriptors, make_budget
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.logs import OWN, Logs, stamp
from sitefleet.hosting.processes.open_files import raise_limit
from sitefleet.hosting.processes.run_dir import run_dir_of
from sitefleet.hosting.supervising.control import Answer, Control, Refused
from sitefleet.hosting.supervising.journal import describe, is_terminal, own_version, where
from sitefleet.hosting.supervising.missing import why_missing
from sitefleet.hosting.supervising.naming import (
    ROUTER,
    find_key,
    log_of,
    logs_elsewhere,
    name_of,
)
from sitefleet.hosting.supervising.probing import wait_until_it_accepts
from sitefleet.hosting.supervising.reader import read_once
from sitefleet.hosting.supervising.supervisor import Supervisor, override
from sitefleet.hosting.supervising.telling import tell_status
from sitefleet.hosting.supervising.trial import try_project
from sitefleet.hosting.supervising.watching import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.project import Project

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a command line says beside the settings."""

    serving: dict[str, Any] = field(default_factory=dict)
    run_dir: str = ""
    code_reload: bool | None = None
    """None: when the project is in DEBUG."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where a run says what it does."""

    show: Callable[[str, str, Plan], None]
    """A line of a process."""
    ready: Callable[[Plan], None]
    progress: Callable[[int, int, str], None]
    fail: Callable[[str], None]
    """A mistake in the project that is served all the same."""


STEPS = 4
#: Files that may be open in any case: sites come, and processes keep the limit they start with.
OPEN_FILES = 65_536
#: Seconds within which a second SIGTERM is part of the first: a service manager and a shell may
#: both send one.
SAME_SIGNAL = 1.0
#: Seconds after which what goes on is cancelled once more.
CANCELLED_AGAIN = 5.0


async def read_plan(project: Project, wishes: Wishes, *, everything: bool = False) -> Plan:
    """Return what is to run; with ``everything``, plain shared sites too. Raises SiteError."""
    fleet = await read_once(project, everything=everything)
    return make_plan(override(fleet, wishes.serving))


class Stopped(Refused):
    """What was asked for is not done, since the fleet stops."""


class Run:
    """A fleet that is being run by this process."""

    def __init__(self, project: Project, wishes: Wishes, hooks: Hooks) -> None:
        self.project, self.wishes, self.hooks = project, wishes, hooks
        self.stopping = asyncio.Event()
        self.supervisor: Supervisor
        self.logs: Logs
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_terminal = is_terminal()
        self._told_to_stop_at = -SAME_SIGNAL

    async def run(self) -> None:
        """Run the fleet until it is told to stop. Raises SiteError where it cannot be started."""
        self.hooks.progress(0, STEPS, "the project")
        plan, mistake = await self._look()
        budget = make_budget(plan)
        limit = raise_limit(max(budget.wanted_descriptors, OPEN_FILES))
        warning = check_descriptors(budget, limit)
        run_dir = run_dir_of(self.project.root, self.wishes.run_dir or plan.fleet.serving.run_dir)
        run_dir.make()
        run_dir.lock()
        self._since = stamp()
        self.logs = Logs(run_dir, lambda name, line: self.hooks.show(name, line, self.plan))
        self.supervisor = Supervisor(self.project, run_dir, self.logs, plan)
        self.supervisor.overridden = self.wishes.serving
        self.supervisor.mistake = mistake
        if warning:
            self.supervisor.context.say(warning)
        control = Control(run_dir.control, self._actions())
        self._listen_to_signals()
        self._note(f"sitefleet {own_version()} starts as process {os.getpid()} at {where(plan)}.")
        try:
            await control.start()
            with suppress(Stopped):
                await self._unless_stopped(self._start())
                await self.stopping.wait()
        except (SiteError, OSError) as error:
            self._note(f"It could not be started: {describe(error)}")
            if isinstance(error, SiteError):
                raise
            raise SiteError(f"The fleet cannot be started: {describe(error)}") from error
        finally:
            await self._end(control)
            self._note("Stopped.")
            run_dir.unlock()

    def _note(self, text: str) -> None:
        """Write into the log of the fleet what its terminal is told in another way."""
        self.logs.keep(OWN, text)

    async def _look(self) -> tuple[Plan, str]:
        """Return what is to run, and what is wrong with the code where DEBUG lets it be tried.

        Raises SiteError where something is missing, and for broken code without DEBUG.
        """
        trial = asyncio.create_task(try_project(self.project))
        try:
            plan = await read_plan(self.project, self.wishes)
            if missing := why_missing(plan, self.project):
                raise SiteError(missing)
            found = await trial
        finally:
            trial.cancel()
            await asyncio.wait((trial,))
        if found.trouble or (found.mistake and not plan.fleet.debug):
            message = f"The project cannot be served: {found.mistake or found.trouble}"
            raise SiteError(message)
        return plan, found.mistake

    @property
    def plan(self) -> Plan:
        """What runs now."""
        return self.supervisor.plan

    async def _start(self) -> None:
        self.hooks.progress(1, STEPS, "servers")
        await self.supervisor.start()
        self.hooks.progress(3, STEPS, "first answer")
        bind = self.plan.fleet.serving.bind
        if not await wait_until_it_accepts(bind):
            raise SiteError(f"The router does not answer at {bind}: sitefleet logs router.")
        for row in await self.supervisor.shared.status():
            if row.state != "running":
                told = f"{row.instance} is {row.state}: {row.note or 'see sitefleet logs'}"
                self.supervisor.context.say(told)
        self.hooks.progress(STEPS, STEPS, "ready")
        self.hooks.ready(self.plan)
        self._note(f"Ready after {monotonic() - self.supervisor.started:.1f} s.")
        if self.supervisor.mistake:
            self.hooks.fail(f"Requests fail until this is mended: {self.supervisor.mistake}")
        self._go_on(self.supervisor.follow())
        watched = self.wishes.code_reload
        if self.plan.fleet.debug if watched is None else watched:
            self._go_on(self._watch())

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work; leave it where this is told to stop meanwhile. Raises Stopped then."""
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if task.done():
            return task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        raise Stopped("The fleet is being stopped.")

    def _go_on(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.supervisor.context.say(f"A part of the supervisor has ended: {describe(error)}")

    async def _watch(self) -> None:
        context = self.supervisor.context
        async for path in changes(self.project.root, context.run_dir.root):
            context.say(f"{path.relative_to(self.project.root)} has changed.")
            await self.supervisor.reload()

    async def _end(self, control: Control) -> None:
        self.stopping.set()
        while self._tasks:  # more than once: `asyncio.wait_for` of Python 3.11 may lose one
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCELLED_AGAIN)
        await self.supervisor.stop()
        control.stop()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        if self._on_terminal and not is_terminal():  # it was closed, and nobody sees this
            self.stopping.set()
        else:
            self._go_on(self.supervisor.reload())

    def _stop(self, number: int) -> None:
        say = self.supervisor.context.say  # it never raises, though nobody may see it any more
        if number == signal.SIGTERM and monotonic() < self._told_to_stop_at + SAME_SIGNAL:
            return
        self._told_to_stop_at = monotonic()
        if self.stopping.is_set():
            say("Killed.")
            self.supervisor.kill()
            os._exit(1)
        say("Stopping; once more: kill.")
        self.stopping.set()

    def _actions(self) -> dict[str, Callable[[Answer], Coroutine[Any, Any, Answer]]]:
        return {
            "status": self._tell_status,
            "reload": self._reload,
            "stop": self._told_to_stop,
            "find": self._find,
            "names": self._names,
        }

    async def _tell_status(self, _asked: Answer) -> Answer:
        rows = await self.supervisor.status()
        uptime = monotonic() - self.supervisor.started
        mistake = self.supervisor.mistake
        note = f"the code as it is now does not load: {mistake}" if mistake else ""
        return tell_status(self.plan, rows, uptime, self.supervisor.context, note)

    async def _reload(self, asked: Answer) -> Answer:
        site = str(asked.get("site", ""))
        key = find_key(self.plan, site, self._processes(), "reload") if site else ""
        if reason := await self._unless_stopped(self.supervisor.reload(key)):
            raise Refused(f"Not reloaded, what runs goes on: {reason}")
        return {"reloaded": name_of(self.plan, key) or "all"}

    async def _told_to_stop(self, _asked: Answer) -> Answer:
        self.supervisor.context.say("Stopping, as `sitefleet stop` has asked.")
        self.stopping.set()
        return {"stopping": os.getpid()}

    async def _find(self, asked: Answer) -> Answer:
        others = (*map(str, asked.get("others", ())), *self._processes())
        key = find_key(self.plan, str(asked.get("site")), others)
        log, speakers = log_of(self.plan, key)
        return {"key": log, "speakers": speakers}

    async def _names(self, _asked: Answer) -> Answer:
        names = (OWN, *(one.key for one in self.plan.instances), *self._processes())
        elsewhere = logs_elsewhere(self.plan)
        return {"names": [elsewhere.get(name, name) for name in names], "since": self._since}

    def _processes(self) -> tuple[str, ...]:
        """Return the names of what runs beside the instances."""
        kept = (process.name for process in self.supervisor.context.processes if process.is_kept)
        return (ROUTER, *kept)


def run(project: Project, wishes: Wishes, hooks: Hooks) -> None:
    """Run a fleet until it is told to stop. Raises SiteError where it cannot be started."""
    if sys.version_info < (3, 12):
        # The default of 3.11 starts a thread for each process, and this one forks.
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.run(_run(project, wishes, hooks))


async def _run(project: Project, wishes: Wishes, hooks: Hooks) -> None:
    await Run(project, wishes, hooks).run()
