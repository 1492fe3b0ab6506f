"""Programs that run while something is measured, and end with it whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environments import HERE, clean_environ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MEGABYTE = 2**20
#: Seconds that a program has to end by itself.
PATIENCE = 20.0


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory with a path that is short enough for unix sockets."""
    short = "/tmp"  # noqa: S108 - whatever TMPDIR says
    with tempfile.TemporaryDirectory("", "sf", short, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environ(**variables: str) -> dict[str, str]:
    """Return the environment of a program that can import the benchmarks and sitefleet."""
    root = HERE.parent
    path = os.pathsep.join((str(root / "src"), str(root)))
    return {**clean_environ(), "PYTHONPATH": path, **variables}


@contextmanager
def started(
    command: Sequence[str], variables: Mapping[str, str], log: Path, descriptors: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; afterwards end it and all that it has started."""
    with log.open("ab") as file:
        program = subprocess.Popen(
            command,
            cwd=HERE.parent,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            start_new_session=True,
        )
    try:
        yield program
    finally:
        _end(program)


def _end(program: subprocess.Popen[bytes]) -> None:
    below = {pid: _began(pid) for pid in family(program.pid)}
    program.terminate()
    with suppress(subprocess.TimeoutExpired):
        program.wait(PATIENCE)
    # Who has been started meanwhile, or has a session of its own, too. Numbers come again.
    for pid in family(program.pid) if program.poll() is None else ():
        below.setdefault(pid, _began(pid))
    for pid, began in below.items():
        if began and _began(pid) == began:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    program.wait()


def _stat(pid: int) -> list[str]:
    """Return what ``/proc/PID/stat`` has after the name, from the state on; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _began(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def family(pid: int) -> list[int]:
    """Return a process and all those below it."""
    children: dict[int, list[int]] = {}
    for number in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - names are all
        if fields := _stat(int(number)):
            children.setdefault(int(fields[1]), []).append(int(number))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def processor(pids: Sequence[int]) -> float:
    """Return the seconds of processor that processes have had; the kernel counts hundredths."""
    fields = filter(None, map(_stat, pids))
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def memory(pids: Sequence[int]) -> dict[str, float]:
    """Return what processes take, in megabytes: what is theirs alone, and with their shares."""
    total = {"private": 0.0, "pss": 0.0}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:  # it has ended
            continue
        kilobytes = {words[0]: int(words[1]) for words in map(str.split, lines)}
        total["private"] += (kilobytes["Private_Clean:"] + kilobytes["Private_Dirty:"]) / 1024
        total["pss"] += kilobytes["Pss:"] / 1024
    return total


def available_memory() -> float:
    """Return the megabytes that the machine has left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) / 1024


def wait_for_end(pids: Sequence[int], patience: float = PATIENCE) -> None:
    """Wait until none of the processes runs. Raises TimeoutError."""
    end = time.monotonic() + patience
    while any(map(_began, pids)):
        if time.monotonic() > end:
            message = f"processes have not ended after {patience:.0f} s"
            raise TimeoutError(message)
        time.sleep(0.02)
