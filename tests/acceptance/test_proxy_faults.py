"""The asyncio router when instances or clients fail: nobody else notices, and nobody waits."""

import asyncio
import socket

import pytest

from sitefleet.hosting.proxy.__main__ import loop_factory
from tests.acceptance.proxies import answering, get, ok, proxying, read_head, until

pytestmark = pytest.mark.acceptance


async def test_the_shared_server_answers_for_an_instance_that_is_gone():
    async with proxying({"shared": answering(ok(b"shared")), "one": None}) as proxy:
        assert await proxy.fetch() == (200, b"shared")
        lines = ("Content-Length: 2",)
        async with proxy.talk() as talk:
            await talk.send(get("/", "one.example", *lines, method="POST") + b"hi")
            assert await talk.answer() == (200, b"shared")


async def test_a_page_says_so_when_there_is_no_server_at_all():
    async with proxying({"shared": None, "one": None}) as proxy:
        answer = await proxy.ask(get())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in answer


class Falling:
    """An instance that closes its first connections without an answer."""

    def __init__(self, times, *, reads=True):
        self.left = times
        self.asked = 0
        self.reads = reads

    async def __call__(self, reader, writer):
        self.asked += 1
        if self.reads or self.left <= 0:
            await read_head(reader)
        if self.left > 0:
            self.left -= 1
        else:
            writer.write(ok())


async def test_a_request_is_asked_once_more_when_a_child_has_just_ended():
    instance = Falling(1)
    async with proxying({"shared": instance}) as proxy:
        assert await proxy.fetch() == (200, b"hi")
    assert instance.asked == 2


async def test_a_request_is_asked_twice_at_most():
    instance = Falling(5)
    async with proxying({"shared": instance}) as proxy:
        answer = await proxy.ask(get())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"\r\nRetry-After: " in answer
    assert instance.asked == 2


@pytest.mark.parametrize("body", [b"", b"hi"], ids=["empty", "sent"])
async def test_a_post_that_may_have_been_done_is_not_done_again(body):
    instance = Falling(1)
    async with proxying({"shared": instance}) as proxy:
        head = get("/", "a", f"Content-Length: {len(body)}", method="POST")
        assert (await proxy.ask(head + body)).startswith(b"HTTP/1.1 502 ")
    assert instance.asked == 1


async def test_a_post_that_was_not_read_is_asked_once_more():
    async with proxying({"shared": None}) as proxy:
        path = str(proxy.folder / "shared")
        with socket.socket(socket.AF_UNIX) as first:
            first.bind(path)
            first.listen()
            async with proxy.talk() as talk:
                await talk.send(get("/", "a", "Content-Length: 0", method="POST"))
                await until(lambda: proxy.server.routes.shared.open)
                (proxy.folder / "shared").unlink()
                second = await asyncio.start_unix_server(answer_once, path)
                first.close()  # with the connection in its backlog
                assert await talk.answer() == (200, b"hi")
                second.close()


async def answer_once(reader, writer):
    await read_head(reader)
    writer.write(ok())
    writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_a_response_that_is_cut_is_seen_to_be_cut(data):
    async with proxying({"shared": answering(data)}) as proxy:
        answer = await proxy.ask(get())
    assert b"hello" in answer
    assert b"0\r\n\r\n" not in answer.split(b"\r\n\r\n", 1)[1]


async def test_an_answer_that_is_none_is_told():
    async with proxying({"shared": answering(b"SSH-2.0-OpenSSH\r\n\r\n")}) as proxy:
        assert (await proxy.fetch())[0] == 502


async def test_an_instance_learns_at_once_that_its_client_has_left():
    left = []

    async def instance(reader, writer):
        await read_head(reader)
        left.append(await reader.read())

    async with proxying({"shared": instance}) as proxy:
        async with proxy.talk() as talk:
            await talk.send(get())
            await until(lambda: proxy.server.routes.shared.open)
        await until(lambda: left)
        assert proxy.server.routes.shared.open == 0


async def test_a_flood_on_one_instance_leaves_the_others_alone():
    release = asyncio.Event()

    async def stuck(reader, writer):
        await read_head(reader)
        await release.wait()
        writer.write(ok())

    instances = {"shared": answering(ok()), "one": stuck, "two": answering(ok(b"two"))}
    async with proxying(instances, per_instance=20, clients=200) as proxy:
        asked = [asyncio.create_task(proxy.fetch()) for _ in range(60)]
        await until(lambda: sum(task.done() for task in asked) == 40)
        assert await proxy.fetch(host="two.example") == (200, b"two")
        release.set()
        statuses = [status for status, _ in await asyncio.gather(*asked)]
    assert (statuses.count(200), statuses.count(503)) == (20, 40)


async def test_clients_that_wait_for_nothing_make_room():
    async with proxying({"shared": answering(ok())}, clients=10, per_instance=5) as proxy:
        idle = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(10)]
        await until(lambda: len(proxy.server.clients) == 10)
        assert await proxy.fetch() == (200, b"hi")
        assert len(proxy.server.clients) <= 10
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()


async def test_who_has_just_come_is_not_closed_to_make_room():
    async with proxying({"shared": answering(ok())}, clients=10, per_instance=5) as proxy:
        opened = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(10)]
        await until(lambda: len(proxy.server.clients) == 10)
        assert await proxy.fetch() == (200, b"hi")
        await until(lambda: sum(reader.at_eof() for reader, _ in opened) == 5)
        assert [reader.at_eof() for reader, _ in opened] == [True] * 5 + [False] * 5
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize("drip", [b"X: a\r\n", b"\r\n"], ids=["headers", "empty lines"])
async def test_a_client_that_never_ends_its_head_is_given_up(drip):
    async with proxying({"shared": answering(ok())}, head=0.6) as proxy, proxy.talk() as talk:
        if drip != b"\r\n":
            await talk.send(get().removesuffix(b"\r\n"))
        reading = asyncio.create_task(talk.all())
        while not reading.done():
            talk.writer.write(drip)
            await asyncio.sleep(0.1)
        answer = await reading
    assert answer.startswith(b"HTTP/1.1 408 " if drip != b"\r\n" else b"HTTP/1.1 400 ")


@pytest.mark.parametrize("sent", [2, 70_000], ids=["first", "later"])
async def test_a_body_that_stalls_is_given_up(sent):
    async def instance(reader, writer):
        await reader.read()

    async with proxying({"shared": instance}, stalled=0.3) as proxy:
        head = get("/", "a", "Content-Length: 70001", method="POST")
        answer = await proxy.ask(head + b"x" * sent)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert proxy.server.take_count()[0] == (sent > 2)


async def test_a_server_that_takes_no_connection_is_not_waited_for_for_ever():
    async with proxying({"shared": None}) as proxy:
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(str(proxy.folder / "shared"))
            held.listen()
            proxy.server.routes.shared.patience = 0.3
            assert (await proxy.ask(get())).startswith(b"HTTP/1.1 504 ")
            upload = get("/", "a", "Content-Length: 9000000", method="POST") + b"x" * 2_000_000
            async with proxy.talk() as talk:
                sending = asyncio.create_task(talk.send(upload))
                assert (await talk.head()).startswith(b"HTTP/1.1 504 ")
                await asyncio.gather(sending, return_exceptions=True)


async def test_who_leaves_unnoticed_costs_nobody_their_time():
    """Nothing is read of a client whose instance takes nothing, not even that it has left."""
    async with proxying({"shared": None}, head=0.6) as proxy:
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(str(proxy.folder / "shared"))
            held.listen()
            proxy.server.routes.shared.patience = 0.3
            upload = get("/", "a", "Content-Length: 9000000", method="POST") + b"x" * 2_000_000
            async with proxy.talk() as talk:
                talk.writer.write(upload)
                await until(lambda: any(not one._is_reading for one in proxy.server.clients))
                talk.writer.transport.abort()
            await until(lambda: not proxy.server.clients)
        assert (await proxy.ask(b"GET")).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("factory", [None, loop_factory()], ids=["asyncio", "installed"])
def test_a_long_answer_to_what_was_not_read_arrives_whole(factory):
    """The loop may tell once that a connection was reset, and much can be left to read then."""
    body = b"x" * 100_000

    async def refuse():
        loop = asyncio.get_running_loop()
        async with proxying({"shared": None}) as proxy, proxy.talk() as talk:
            with socket.socket(socket.AF_UNIX) as held:
                held.bind(str(proxy.folder / "shared"))
                held.listen()
                held.setblocking(False)
                head = get("/", "a", "Content-Length: 60000", method="POST")
                await talk.send(head + b"y" * 60_000)
                made, _ = await loop.sock_accept(held)
                with made:
                    made.recv(100)
                    made.sendall(b"HTTP/1.1 413 Too Large\r\n\r\n" + body)
            return await talk.all()

    with asyncio.Runner(loop_factory=factory) as runner:
        answer = runner.run(refuse())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"\r\n\r\n" + body)


async def test_an_idle_connection_is_closed_in_the_end():
    async with proxying({"shared": answering(ok())}, idle=0.3) as proxy, proxy.talk() as talk:
        await talk.send(get())
        assert await talk.answer() == (200, b"hi")
        assert await talk.all() == b""


async def test_a_client_that_takes_nothing_holds_the_instance_and_is_given_up():
    written = []

    async def endless(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            written.append(65536)

    async with proxying({"shared": endless}, stalled=1.0) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.sendall(get())
            await until(lambda: proxy.server.routes.shared.open)
            await until(lambda: not proxy.server.routes.shared.open)
    assert sum(written) < 20_000_000  # buffers of the kernel, and a little of the router's


async def test_a_slow_instance_holds_an_upload_and_all_of_it_arrives():
    size, release, counted = 30_000_000, asyncio.Event(), []

    async def instance(reader, writer):
        await read_head(reader)
        await release.wait()
        while sum(counted) < size:
            counted.append(len(await reader.read(1 << 20)))
        writer.write(ok())

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        await talk.send(get("/", "a", f"Content-Length: {size}", method="POST"))
        sending = asyncio.create_task(talk.send(b"x" * size))
        await asyncio.sleep(0.3)
        buffered = max(len(client._buffer) for client in proxy.server.clients)
        assert buffered < 1_000_000
        assert not sending.done()
        release.set()
        await sending
        assert await talk.answer() == (200, b"hi")


async def test_requests_under_way_are_answered_when_the_router_stops():
    release = asyncio.Event()

    async def instance(reader, writer):
        await read_head(reader)
        await release.wait()
        writer.write(ok())

    async with proxying({"shared": instance}, last_call=0.0) as proxy, proxy.talk() as talk:
        await talk.send(get())
        await until(lambda: proxy.server.routes.shared.open)
        stopping = asyncio.create_task(proxy.server.stop())
        await asyncio.sleep(0.1)
        release.set()
        assert b"Connection: close" in await talk.head()
        assert await talk.all() == b"hi"
        await stopping
