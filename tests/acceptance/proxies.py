"""A router in the loop of a test, in front of instances that are functions on raw streams."""

import asyncio
import shutil
import socket
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sitefleet.hosting.proxy.server import Server
from sitefleet.hosting.proxy.state import Limits

PATIENCE = 10


def ok(body=b"hi", *headers):
    lines = (b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path="/", host="one.example", *headers, method="GET"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


async def read_head(reader):
    return await reader.readuntil(b"\r\n\r\n")


def answering(data):
    """Return an instance that answers each request with these bytes, and closes."""

    async def instance(reader, writer):
        await read_head(reader)
        writer.write(data)

    return instance


class Talk:
    """One connection of a client."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        async with asyncio.timeout(PATIENCE):
            return await read_head(self.reader)

    async def exactly(self, count):
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def all(self):
        """Return what comes until the other side closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def answer(self):
        """Return status and body of one response with a Content-Length."""
        head = (await self.head()).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), await self.exactly(length)


class Proxy:
    """A router, and what the test may ask of it."""

    def __init__(self, server, port, folder):
        self.server = server
        self.port = port
        self.folder = folder

    @asynccontextmanager
    async def talk(self, **options):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        try:
            yield Talk(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def ask(self, data):
        """Return all that comes back for these bytes, until the router closes."""
        async with self.talk() as talk:
            await talk.send(data)
            return await talk.all()

    async def fetch(self, *arguments, **options):
        """Return status and body of one request."""
        async with self.talk() as talk:
            await talk.send(get(*arguments, **options))
            return await talk.answer()


@asynccontextmanager
async def proxying(instances, names=None, trusted=(), **limits):
    """Route to instances by key; ``one.example`` leads to ``one``, if there is one.

    An instance that is None has an address where nobody listens.
    """
    folder = Path(tempfile.mkdtemp(prefix="sf", dir="/tmp"))
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(listening, Limits(**limits))
    addresses = {key: f"unix:{folder}/{key}" for key in instances}
    named = {f"{key}.example": key for key in instances if key != "shared"}
    server.routes.replace({"addresses": addresses, "names": names or named, "trusted": trusted})
    behind = [
        await asyncio.start_unix_server(closing(instance), f"{folder}/{key}")
        for key, instance in instances.items()
        if instance is not None
    ]
    server.start()
    try:
        yield Proxy(server, listening.getsockname()[1], folder)
    finally:
        server.limits.stop = server.limits.last_call = 0.0
        await server.stop()
        for one in behind:
            one.close()
        shutil.rmtree(folder)


def closing(instance):
    async def serve(reader, writer):
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await instance(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    return serve


async def until(condition):
    """Wait until something is the case."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)
