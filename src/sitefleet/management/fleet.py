"""One command on many sites: in this process, or spread over several."""

from __future__ import annotations

import io
import sys
import traceback
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from time import monotonic
from typing import TYPE_CHECKING

import django
from django.core.management import ManagementUtility

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Job:
    """A command line for a site."""

    id: int
    slug: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a job."""

    id: int
    slug: str
    status: int
    seconds: float
    stdout: str
    stderr: str


def run_jobs(jobs: list[Job], processes: int, *, keep_going: bool) -> Iterator[Result]:
    """Yield results as they come; after a failure, unless ``keep_going``, start no more."""
    if processes == 1:
        for job in jobs:
            result = run(job)
            yield result
            if result.status and not keep_going:
                return
        return
    # Fresh processes: a forked one would share database connections with this one.
    with ProcessPoolExecutor(
        min(processes, len(jobs)), mp_context=get_context("spawn"), initializer=django.setup
    ) as pool:
        # As many as there are processes: what is not handed out need not be called back.
        waiting = iter(jobs)
        running = {pool.submit(run, job) for job in islice(waiting, processes)}
        go_on = True
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                go_on = go_on and (keep_going or not result.status)
                yield result
            if go_on:
                running |= {pool.submit(run, job) for job in islice(waiting, len(done))}


def run(job: Job) -> Result:
    """Run one job here; whatever it prints and however it ends is in the result."""
    from sitefleet.lookup import get_site  # noqa: PLC0415 - a fresh process is set up by now
    from sitefleet.management.acting import acting_on  # noqa: PLC0415 - likewise

    stdout, stderr = io.StringIO(), io.StringIO()
    start = monotonic()
    with redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            with acting_on(get_site(job.id)):
                status = _call(job.command)
        except Exception:  # noqa: BLE001 - one site's trouble is told, and is not another's
            traceback.print_exc()
            status = 1
    seconds = round(monotonic() - start, 3)
    return Result(job.id, job.slug, status, seconds, stdout.getvalue(), stderr.getvalue())


def _call(command: tuple[str, ...]) -> int:
    argv = [sys.argv[0] or "manage.py", *command]
    utility = ManagementUtility(argv)
    try:
        utility.fetch_command(command[0]).run_from_argv(argv)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
        return 1
    return 0
