"""`sitefleet.hosting.processes.process` and `leftovers`, with real processes: shells."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sitefleet.hosting.processes import process as processes
from sitefleet.hosting.processes.leftovers import belonging_to, end_leftovers, find_leftovers
from sitefleet.hosting.processes.process import Process, describe_exit

pytestmark = pytest.mark.acceptance


class Logs:
    def __init__(self):
        self.lines = []

    def write(self, name, line):
        self.lines.append((name, line))


@pytest.fixture
def logs():
    return Logs()


@pytest.fixture
async def shell(logs):
    """Run a line of shell as a process that is kept."""
    made = []

    async def start(line, **variables):
        process = Process("p", ["sh", "-c", line], {**os.environ, **variables}, logs)
        made.append(process)
        await process.start()
        return process

    yield start
    for process in made:
        await process.stop(0.1)


async def until(what):
    for _ in range(1000):
        if what():
            return True
        await asyncio.sleep(0.01)
    return False


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def test_what_it_says_is_written_down_line_by_line(shell, logs):
    await shell("echo one; echo two >&2; printf three; sleep 30")
    assert await until(lambda: ("p", "two") in logs.lines)
    assert logs.lines == [("p", "one"), ("p", "two")]


async def test_a_line_without_end_costs_that_line_alone(shell, logs):
    await shell("head -c 300000 /dev/zero | tr '\\0' x; echo; echo next; sleep 30")
    assert await until(lambda: ("p", "next") in logs.lines)


async def test_it_is_started_again_and_says_why(shell, logs):
    process = await shell("exit 3")
    assert await until(lambda: process.restarts >= 2)
    assert ("p", "ended (exit status 3), is started again") in logs.lines


async def test_what_it_has_forked_ends_with_it(shell, logs):
    process = await shell("sleep 1000 & echo $!; sleep 1000")
    assert await until(lambda: logs.lines)
    forked = int(logs.lines[0][1])
    process.signal(signal.SIGKILL)
    assert await until(lambda: not is_alive(forked))


async def test_its_end_is_seen_though_something_else_holds_its_output(shell):
    process = await shell("setsid sleep 5 & exit 3")
    assert await asyncio.wait_for(until(lambda: process.restarts), 3)


async def test_it_is_asked_to_end_and_killed_when_it_does_not(shell, logs):
    process = await shell("trap 'echo no' TERM; while :; do sleep 0.05; done")
    await asyncio.sleep(0.1)
    pid = process.pid
    await process.stop(0.3)
    assert ("p", "no") in logs.lines
    assert not is_alive(pid)
    assert not process.is_kept


async def test_the_number_of_a_process_that_has_ended_is_forgotten(shell):
    """Else the second Ctrl-C would kill whatever has that number now."""
    process = await shell("exec sleep 1000")
    assert process.pid
    await process.stop(5)
    assert process.pid is None


async def test_it_is_stopped_while_it_is_being_started(logs):
    process = Process("p", ["sleep", "1000"], dict(os.environ), logs)
    starting = asyncio.create_task(process.start())
    await asyncio.sleep(0)
    await process.stop()
    await starting
    try:
        assert await until(lambda: not process.is_running)
    finally:
        process.kill()


async def test_it_is_stopped_while_it_waits_to_start_again(shell, monkeypatch):
    monkeypatch.setattr(processes, "BACKOFF", (60.0,))
    process = await shell("exit 0")
    assert await until(lambda: not process.is_running)
    await asyncio.wait_for(process.stop(), 2)


async def test_it_is_replaced_without_a_word(shell, logs):
    process = await shell("echo up; exec sleep 1000")
    assert await until(lambda: logs.lines)
    before = process.pid
    process.replace()
    assert await until(lambda: process.is_running and process.pid != before)
    assert await until(lambda: logs.lines == [("p", "up")] * 2)
    assert process.restarts == 0  # somebody has asked for it


async def test_an_end_that_nobody_has_asked_for_is_told_though_one_was_asked_for_before(
    shell, logs, monkeypatch
):
    monkeypatch.setattr(processes, "BACKOFF", (0.3,))
    process = await shell("echo up; exit 3")
    assert await until(lambda: any("ended" in line for _, line in logs.lines))
    process.replace()  # while it waits to start again
    assert await until(lambda: logs.lines.count(("p", "up")) == 3)
    said = [line.partition(" ")[0] for _, line in logs.lines]
    assert said[:5] == ["up", "ended", "up", "ended", "up"]


async def test_it_is_not_started_again_with_a_file_of_another_under_an_old_number(logs):
    """It could be the socket of another site: see `Sockets.keep_only`."""
    number, other = os.pipe()
    process = Process("p", ["sleep", "1000"], dict(os.environ), logs, (number,))
    try:
        await process.start()
        with open(os.devnull) as taken:  # noqa: ASYNC230, PTH123 - nothing waits here
            os.dup2(taken.fileno(), number)
        process.signal(signal.SIGKILL)
        assert await until(lambda: any("was closed" in line for _, line in logs.lines))
        assert not process.is_running
    finally:
        await process.stop(0.1)
        os.close(number)
        os.close(other)


async def test_a_program_that_is_missing_is_told_at_start(logs):
    with pytest.raises(FileNotFoundError):
        await Process("p", ["/no/such"], {}, logs).start()


def test_it_ends_with_its_supervisor_even_where_that_is_killed(tmp_path):
    code = f"""
import asyncio, os
from sitefleet.hosting.processes.process import Process
class Logs:
    def write(self, name, line): pass
async def main():
    process = Process("p", ["sleep", "1000"], dict(os.environ), Logs())
    await process.start()
    open({str(tmp_path / "pid")!r}, "w").write(f"{{process.pid}}\\n")
    await asyncio.sleep(1000)
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    path = tmp_path / "pid"
    assert asyncio.run(until(lambda: path.exists() and path.read_text().endswith("\n")))
    pid = int(path.read_text())
    assert is_alive(pid)
    supervisor.kill()
    supervisor.wait()
    assert asyncio.run(until(lambda: not is_alive(pid)))


def test_leftovers_are_known_by_their_run_directory_and_ended(tmp_path):
    command = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]
    mine, others = (
        subprocess.Popen(command, env={**os.environ, **belonging_to(tmp_path / name)})
        for name in ("r", "r2")
    )
    try:
        assert mine.pid in find_leftovers(tmp_path / "r")
        assert others.pid not in find_leftovers(tmp_path / "r")
        assert asyncio.run(end_leftovers(tmp_path / "r")) >= 1
        assert mine.wait(5) == -signal.SIGKILL
        assert others.poll() is None
    finally:
        for process in (mine, others):
            process.kill()
            process.wait()


def test_an_end_is_told_for_people():
    assert describe_exit(3) == "exit status 3"
    assert describe_exit(-9) == "by SIGKILL"
    assert describe_exit(-99) == "by signal 99"
