"""What the supervisor tells a parent, and when."""

import asyncio
import os
import socket
from contextlib import suppress
from types import SimpleNamespace

import pytest

from sitefleet.hosting.planning.options import make_options
from sitefleet.hosting.zygote import channel
from sitefleet.hosting.zygote.handle import Handle
from sitefleet.hosting.zygote.program import Served


def served(number, **options):
    return Served(f"site-{number}", number, make_options(options))


class Sockets(dict):
    """Those of sites, by key, as the supervisor holds them."""

    get = dict.__getitem__


@pytest.fixture
async def handle(tmp_path):
    """The side of the supervisor, of a parent that reads when a test does so."""

    class Silent:
        def __init__(self, _name, argv, **_):
            self.argv = argv

        async def start(self):
            pass

        async def stop(self, _patience):
            pass

    said = []
    context = SimpleNamespace(
        run_dir=SimpleNamespace(files=tmp_path),
        say=said.append,
        process=Silent,
        python=lambda *words: words,
        sockets=Sockets(),
    )
    made = Handle(context, "1f", {})
    made.said = said
    assert await made.start()
    yield made
    await made.stop(0)
    for one in context.sockets.values():
        one.close()


async def test_a_parent_is_told_of_which_code_group_it_is(handle):
    words = handle._process.argv
    assert words[words.index("--group") + 1] == "1f"


async def read_all(handle, count):
    """Read that many messages, as a parent does."""
    found = []
    handle._other.settimeout(0)
    async with asyncio.timeout(5):
        while len(found) < count:
            try:
                found.append(channel.receive(handle._other))
            except BlockingIOError:
                await asyncio.sleep(0.001)
    return found


async def test_a_parent_that_loads_the_project_is_told_of_its_sites_once_as_they_are_then(
    handle,
):
    sockets = handle.context.sockets
    sockets["site-1"] = sockets["site-2"] = socket.socket()
    handle.serve({"site-1": served(1)})
    handle.serve({"site-1": served(1, threads=7), "site-2": served(2)})
    handle.serve({"site-2": served(2)})
    channel.send(handle._other, {"is": "ready"})
    ((message, passed),) = await read_all(handle, 1)
    channel.close_all(passed)
    assert message == {"do": "serve", "sites": [served(2).as_json()]}
    await asyncio.sleep(0.01)
    with pytest.raises(BlockingIOError):
        channel.receive(handle._other)


async def test_a_parent_that_did_not_listen_gets_the_socket_that_a_site_has_by_then(handle):
    blocked = 0
    with suppress(BlockingIOError):
        while True:
            channel.send(handle._end, {"text": "x" * 10_000})
            blocked += 1
    sockets = handle.context.sockets
    sockets["site-1"], sockets["site-2"] = socket.socket(), socket.socket()
    handle._settled.set()
    handle.serve({"site-1": served(1), "site-2": served(2)})
    await asyncio.sleep(0)  # it has tried
    # Site 1 has gone and has come again, and another socket has its number.
    number = sockets["site-1"].fileno()
    with socket.socket() as other:
        sockets["site-1"].close()
        os.dup2(other.fileno(), number)
        try:
            sockets["site-1"] = socket.socket()
            (message, passed) = (await read_all(handle, blocked + 1))[-1]
        finally:
            os.close(number)
    inodes = [os.fstat(descriptor).st_ino for descriptor in passed]
    channel.close_all(passed)
    assert [values["key"] for values in message["sites"]] == ["site-1", "site-2"]
    assert inodes == [os.fstat(sockets[key].fileno()).st_ino for key in sockets]
    assert handle.said == []
