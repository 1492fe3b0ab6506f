"""The asyncio router on real sockets: messages come through whole, and piece by piece."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import unix_serve

from sitefleet.hosting.proxy.client import FIRST
from tests.acceptance.proxies import PATIENCE, answering, get, ok, proxying, read_head, until
from tests.hosting.test_proxy_requests import REFUSED

pytestmark = pytest.mark.acceptance


async def echo(reader, writer):
    """Answer with what came: the head, and the body of a Content-Length."""
    head = await read_head(reader)
    writer.write(ok(head))


async def test_each_host_leads_to_its_instance_and_others_to_the_shared_one():
    instances = {"shared": answering(ok(b"shared")), "one": answering(ok(b"one"))}
    async with proxying(instances) as proxy:
        assert await proxy.fetch(host="ONE.example.:8000") == (200, b"one")
        assert await proxy.fetch(host="two.example") == (200, b"shared")


async def test_instances_see_the_host_as_it_came_and_who_asks():
    async with proxying({"shared": echo}) as proxy:
        _, head = await proxy.fetch("/a?b=c", "One.Example.:8000", "X-Forwarded-For: 1.2.3.4")
    lines = head.decode().split("\r\n")
    assert lines[:2] == ["GET /a?b=c HTTP/1.1", "Host: One.Example.:8000"]
    assert "X-Forwarded-For: 127.0.0.1" in lines


async def test_a_trusted_proxy_is_believed():
    async with proxying({"shared": echo}, trusted=["127.0.0.0/8"]) as proxy:
        _, head = await proxy.fetch("/", "a", "X-Forwarded-For: 1.2.3.4")
    assert b"X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" in head


async def test_no_attack_of_the_table_reaches_an_instance():
    reached = []

    async def instance(reader, writer):
        reached.append(await read_head(reader))
        writer.write(ok())

    async with proxying({"shared": instance}) as proxy:
        for name, (status, data) in REFUSED.items():
            answer = await proxy.ask(data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 %d " % status), name
            assert answer.count(b"Content-Length: ") == 1, name
    assert reached == []


@pytest.mark.parametrize("first", [0, 70_000], ids=["first", "later"])
@pytest.mark.parametrize(
    "body",
    [b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello!\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n"],
    ids=repr,
)
async def test_a_bad_chunk_ends_the_request(body, first):
    seen = []

    async def instance(reader, writer):
        seen.append(b"")
        await read_head(reader)
        seen[0] = await reader.read()

    async with proxying({"shared": instance}) as proxy:
        head = get("/", "a", "Transfer-Encoding: chunked", method="POST")
        async with proxy.talk() as talk:
            if first:
                await talk.send(head + b"%x\r\n%b\r\n" % (first, b"x" * first))
                await until(lambda: seen)
            await talk.send((b"" if first else head) + body + get("/smuggled"))
            assert (await talk.all()).startswith(b"HTTP/1.1 400 ")
        await until(lambda: bool(first) == any(seen))
    assert len(seen) == bool(first)
    assert not any(b"smuggled" in data or data.endswith(b"0\r\n\r\n") for data in seen)


async def test_a_request_that_hides_in_the_body_of_another_stays_there():
    async def instance(reader, writer):
        head = await read_head(reader)
        body = await reader.readuntil(b"0\r\n\r\n") if b"chunked" in head else b"-"
        writer.write(ok(body))

    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        head = get("/", "a", "Transfer-Encoding: chunked", method="POST")
        await talk.send(head + chunked + get("/", "a"))
        assert await talk.answer() == (200, chunked)
        assert await talk.answer() == (200, b"-")


async def test_requests_on_one_connection_are_answered_in_order():
    async def instance(reader, writer):
        head = await read_head(reader)
        path = head.split()[1]
        await asyncio.sleep(0.1 if path == b"/0" else 0)
        writer.write(ok(path))

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        await talk.send(b"".join(get(f"/{number}") for number in range(5)))
        assert [await talk.answer() for _ in range(5)] == [
            (200, b"/%d" % number) for number in range(5)
        ]
        await talk.send(get("/last"))
        assert await talk.answer() == (200, b"/last")


async def test_http_1_0_is_answered_without_chunks_to_the_end_of_the_connection():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    async with proxying({"shared": answering(chunked)}) as proxy:
        answer = await proxy.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nhi")
    assert b"Connection: close" in answer


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"], ids=bytes.decode)
async def test_a_response_without_a_body_is_followed_by_the_next_one(status):
    data = b"HTTP/1.1 " + status + b"\r\nETag: a\r\n\r\n"
    async with proxying({"shared": answering(data)}) as proxy, proxy.talk() as talk:
        for _ in range(2):
            await talk.send(get())
            assert (await talk.head()).startswith(b"HTTP/1.1 " + status)


async def test_head_has_no_body_whatever_the_length_says():
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    async with proxying({"shared": answering(data)}) as proxy, proxy.talk() as talk:
        for _ in range(2):
            await talk.send(get(method="HEAD"))
            assert b"Content-Length: 1000" in await talk.head()


async def test_a_stream_arrives_piece_by_piece():
    step = asyncio.Event()

    async def instance(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            writer.write(b"8\r\ndata: x\n\r\n")
            await step.wait()
            step.clear()
        writer.write(b"0\r\n\r\n")

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        await talk.send(get())
        await talk.head()
        for _ in range(3):
            assert await talk.exactly(13) == b"8\r\ndata: x\n\r\n"
            step.set()
        assert await talk.exactly(5) == b"0\r\n\r\n"


async def test_an_instance_is_asked_when_all_of_a_small_body_is_there():
    async def instance(reader, writer):
        await read_head(reader)
        writer.write(ok(await reader.readexactly(5)))

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        await talk.send(get("/", "a", "Content-Length: 5", method="POST") + b"hell")
        await until(lambda: [client for client in proxy.server.clients if client.request])
        assert proxy.server.take_count()[0] == 0
        await talk.send(b"o" + get("/", "a", "Content-Length: 5", method="POST") + b"again")
        assert await talk.answer() == (200, b"hello")
        assert await talk.answer() == (200, b"again")


async def test_a_large_body_is_passed_on_while_it_comes():
    release = asyncio.Event()

    async def instance(reader, writer):
        await read_head(reader)
        count = len(await reader.readexactly(FIRST))
        release.set()
        count += len(await reader.readexactly(FIRST))
        writer.write(ok(b"%d" % count))

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        await talk.send(get("/", "a", f"Content-Length: {2 * FIRST}", method="POST"))
        await talk.send(b"x" * FIRST)
        async with asyncio.timeout(PATIENCE):
            await release.wait()
        await talk.send(b"x" * FIRST)
        assert await talk.answer() == (200, b"%d" % (2 * FIRST))


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked():
    async def instance(reader, writer):
        assert b"Expect" not in await read_head(reader)
        writer.write(ok(await reader.readexactly(5)))

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        lines = ("Expect: 100-continue", "Content-Length: 5")
        await talk.send(get("/", "a", *lines, method="POST"))
        assert (await talk.head()).startswith(b"HTTP/1.1 100 ")
        await talk.send(b"hello")
        assert await talk.answer() == (200, b"hello")


async def test_an_upload_that_is_refused_gets_its_answer():
    async def instance(reader, writer):
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")

    async with proxying({"shared": instance}) as proxy, proxy.talk() as talk:
        await talk.send(get("/", "a", "Content-Length: 20000000", method="POST"))
        sending = asyncio.create_task(talk.send(b"x" * 2_000_000))
        assert await talk.answer() == (413, b"big")
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_websocket_speaks_both_ways():
    async def instance(socket):
        async for text in socket:
            await socket.send(f"{text}!")

    async with proxying({"shared": None}) as proxy:
        uri = f"ws://one.example:{proxy.port}/"
        async with (
            unix_serve(instance, f"{proxy.folder}/shared"),
            connect(uri, host="127.0.0.1", port=proxy.port, proxy=None) as client,
        ):
            for text in ("hi", "x" * 200_000):
                await client.send(text)
                assert await client.recv() == f"{text}!"


async def test_a_websocket_is_told_when_the_router_ends():
    codes = []

    async def instance(socket):
        await socket.wait_closed()
        codes.append(socket.close_code)

    async with proxying({"shared": None}, stop=0.1, last_call=0.0) as proxy:
        uri = f"ws://one.example:{proxy.port}/"
        async with unix_serve(instance, f"{proxy.folder}/shared"):
            client = await connect(uri, host="127.0.0.1", port=proxy.port, proxy=None)
            await proxy.server.stop()
            await client.wait_closed()
            await until(lambda: codes)
            assert [client.close_code, *codes] == [1001, 1001]


async def test_a_change_of_protocol_that_nobody_asked_for_is_refused():
    data = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    async with proxying({"shared": answering(data)}) as proxy:
        assert (await proxy.fetch())[0] == 502
