"""A router in front of small servers that say who they are, in a thread of the test."""

import asyncio
import hashlib
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from sitefleet.hosting.context import Context
from sitefleet.hosting.planning.fleet import DEDICATED, Fleet, Serving, Site
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets
from sitefleet.hosting.routers import make_router
from tests.acceptance.processes import ROOT

PIECES, PAUSE = 4, 0.3


def plan_of(sites, **serving):
    """Return a plan with a dedicated instance for each site, given by id and hosts."""
    made = tuple(
        Site(number, f"s{number}", f"S{number}", "active", DEDICATED, f"http://{names[0]}/", names)
        for number, names in sites.items()
    )
    return make_plan(Fleet(1, made, 0, Serving(**{"bind": "127.0.0.1:0", **serving})))


@dataclass
class Answer:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    @property
    def told(self):
        """What the server has seen, and which it is."""
        return json.loads(self.body)

    @property
    def seen(self):
        """The headers that the server has seen, each once, as WSGI joins them."""
        found = {}
        for given, value in self.told["headers"]:
            name = given.lower()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found


class Routed:
    """A router, its servers, and requests to it."""

    def __init__(self, name, plan):
        self.name, self.plan = name, plan
        self.folder = tempfile.mkdtemp(prefix="sf", dir="/tmp")
        run_dir = RunDir(self.folder)
        run_dir.make()
        self.said, self.begun, self.kept = [], [], []
        logs = Logs(run_dir, lambda who, line: self.said.append(f"{who}: {line}"))
        self.sockets = Sockets(run_dir, tcp=name == "traefik")
        self.context = Context(Project(ROOT, "tests.settings"), run_dir, self.sockets, logs)
        self.router = make_router(name, self.context)
        self.servers = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error):
        self.close()

    def start(self):
        self.serve(self.plan)
        self.run(self.router.start(self.plan))
        self.port = self.router.address[1]

    def serve(self, plan):
        """Have a server on the socket of each instance."""
        for instance in plan.instances:
            if instance.key not in self.servers:
                self.servers[instance.key] = self.run(self._serve(instance.key))

    def apply(self, plan):
        """Change routes as the supervisor does: servers, routes, then what is left over."""
        self.serve(plan)
        self.run(self.router.apply(plan))
        self.plan = plan

    def withdraw(self, key):
        """Leave nothing that listens, as if a site's socket were gone."""
        self.loop.call_soon_threadsafe(self.servers.pop(key).close)
        self.sockets._held.pop(key).close()
        self._until(lambda: not self._is_listening(key))

    def _is_listening(self, key):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.context.run_dir.socket(key)))
            except OSError:
                return False
        return True

    def _until(self, condition, patience=10):
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it has not come to pass in time"
            time.sleep(0.02)

    def close(self):
        try:
            self.run(self.router.stop())
        finally:
            self.run(self._end())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            self.loop.close()
            self.sockets.close()
            shutil.rmtree(self.folder)

    async def _end(self):
        for server in self.servers.values():
            server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # for transports, which close one round later

    # Requests

    @contextmanager
    def connected(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            yield client

    def raw(self, text, body=b""):
        """Send bytes, and return the first answer to them."""
        with self.connected() as client:
            client.sendall(text.encode("latin-1") + body)
            return read_answer(client, head=text.startswith("HEAD"))

    def get(self, host, path="/", method="GET", headers=(), body=b""):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.raw("\r\n".join(lines) + "\r\n\r\n", body)

    # Servers

    async def _serve(self, key):
        held = self.sockets.get(key)
        own = socket.socket(held.family, held.type, fileno=os.dup(held.fileno()))
        return await asyncio.start_server(
            lambda reader, writer: self._answer(key, reader, writer), sock=own
        )

    async def _answer(self, key, reader, writer):
        self.begun.append(key)
        try:
            if await answer(key, reader, writer):
                async with asyncio.timeout(1):
                    await reader.read()
        except TimeoutError:
            self.kept.append(key)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def answer(key, reader, writer):
    """Answer one request, by its path; by default say what has come, and to whom.

    Returns whether the connection could be used again.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines]
    named = {name.lower(): value for name, value in headers}
    if path == "/crash" and key != "shared":
        return False
    if path == "/socket":
        start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(start.encode() + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        while data := await reader.read(65536):
            writer.write(key.encode() + b":" + data)
            await writer.drain()
        return False
    if path.startswith("/stream"):
        chunked = path == "/stream"
        how = "Transfer-Encoding: chunked" if chunked else "Connection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{how}\r\n\r\n".encode())
        for number in range(PIECES):
            writer.write(b"6\r\npiece%d\r\n" % number if chunked else b"piece%d" % number)
            await writer.drain()
            await asyncio.sleep(PAUSE)
        writer.write(b"0\r\n\r\n" if chunked else b"")
        await writer.drain()
        return False
    if path == "/unchanged":
        writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
        await writer.drain()
        return False
    digest, length = hashlib.sha256(), 0
    async for data in body_of(reader, named):
        digest.update(data)
        length += len(data)
    told = {"server": key, "method": method, "path": path, "headers": headers, "length": length}
    text = json.dumps({**told, "digest": digest.hexdigest()}).encode()
    start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    writer.write(start.encode() + b"X-Served-By: " + key.encode() + b"\r\n\r\n")
    if method != "HEAD":
        writer.write(text)
    await writer.drain()
    return True


async def body_of(reader, named):
    if named.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    left = int(named.get("content-length", 0))
    while left:
        data = await reader.read(min(left, 65536))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
        yield data


def read_answer(client, *, head=False):
    file = client.makefile("rb")
    first = file.readline().decode("latin-1")
    if not first:
        return Answer(0)
    status, headers = int(first.split()[1]), {}
    while line := file.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if head or status in {101, 204, 304}:
        return Answer(status, headers)
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(file.readline(), 16):
            body += file.read(size)
            file.readline()
        return Answer(status, headers, body)
    length = headers.get("content-length")
    return Answer(status, headers, file.read(int(length)) if length else file.read())
