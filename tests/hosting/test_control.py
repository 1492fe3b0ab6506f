import asyncio
import stat
import tempfile
from contextlib import suppress

import pytest

from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.supervising.control import Control, Refused, ask


@pytest.fixture
def run_dir():
    with tempfile.TemporaryDirectory(prefix="sf", dir="/tmp") as folder:
        yield RunDir(folder)


async def hello(asked):
    return {"hello": asked["name"]}


async def refuse(_asked):
    raise Refused("no such site", 2)


async def fail(_asked):
    raise ZeroDivisionError("oh")


@pytest.fixture
async def control(run_dir):
    made = Control(run_dir.control, {"hello": hello, "refuse": refuse, "fail": fail})
    await made.start()
    yield made
    made.stop()


async def answer(run_dir, action, **values):
    return await asyncio.to_thread(ask, run_dir, action, **values)


async def test_it_answers_and_goes_on_after_each_failure(control, run_dir):
    with pytest.raises(Refused, match="no such site") as refused:
        await answer(run_dir, "refuse")
    assert refused.value.status == 2
    with pytest.raises(Refused, match="ZeroDivisionError: oh"):
        await answer(run_dir, "fail")
    with pytest.raises(Refused, match="Known are: hello, refuse, fail"):
        await answer(run_dir, "unknown")
    assert await answer(run_dir, "hello", name="x") == {"hello": "x"}


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b'"x"\n', b"{\n", b"\xff\n", b"x" * 2_000_000])
async def test_it_survives_what_is_no_question(control, run_dir, line):
    raised = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: raised.append(told))
    reader, writer = await asyncio.open_unix_connection(str(run_dir.control))
    writer.write(line)
    writer.write_eof()
    with suppress(ConnectionResetError):  # it has read no more of what is too long
        await reader.read()
    writer.close()
    assert await answer(run_dir, "hello", name="x") == {"hello": "x"}
    assert raised == []


async def test_a_question_may_name_the_logs_of_thousands_of_sites(control, run_dir):
    names = [f"site-{number}" for number in range(10_000)]
    assert await answer(run_dir, "hello", name=names) == {"hello": names}


@pytest.mark.parametrize("part", [b"", b'{"hello": "'], ids=["nothing", "half"])
async def test_an_answer_that_breaks_off_is_told_in_a_sentence(run_dir, part):
    async def end_early(reader, writer):
        await reader.readline()
        writer.write(part)
        writer.close()

    async with await asyncio.start_unix_server(end_early, str(run_dir.control)):
        with pytest.raises(Refused, match="ended before it answered"):
            await answer(run_dir, "hello")


async def test_it_is_for_its_user_alone_and_gone_when_stopped(control, run_dir):
    assert stat.S_IMODE(run_dir.control.stat().st_mode) == 0o600
    assert stat.S_IMODE(run_dir.root.stat().st_mode) == 0o700
    control.stop()
    with pytest.raises(Refused, match="No fleet runs in"):
        await answer(run_dir, "hello", name="x")
