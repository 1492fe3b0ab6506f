"""Drivers without a supervisor: in the event loop of a test, on the sockets that it would hold."""

import asyncio
import http.client
import json
import socket
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sitefleet.hosting.context import Context
from sitefleet.hosting.planning.fleet import Fleet, Serving, Site
from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets

SLUGS = ("one", "two", "three")


@dataclass
class Running:
    driver: object
    context: Context
    folder: Path
    said: list = field(default_factory=list)

    async def ask(self, key, path="/", slug="one", **headers):
        """Ask an instance under the host of a site; return status and what its JSON holds."""
        return await asyncio.to_thread(self.ask_now, key, path, slug, headers)

    def ask_now(self, key, path, slug, headers):
        connection = http.client.HTTPConnection(f"{slug}.localhost:8000", timeout=20)
        with closing(connection):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(20)
            connection.sock.connect(str(self.context.run_dir.socket(key)))
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        return answer.status, json.loads(body) if answer.status == 200 else body.decode()

    async def row(self, key):
        return next(row for row in await self.driver.status() if row.instance == key)

    async def until(self, what, seconds=20):
        """Wait until `what()` gives something true; return that."""
        async with asyncio.timeout(seconds):
            while not (found := await what()):  # noqa: ASYNC110 - is about other processes
                await asyncio.sleep(0.05)
        return found

    @property
    def log(self):
        return "\n".join(self.said)


@asynccontextmanager
async def running(kind, project, *, tcp=False):
    run_dir = RunDir(project.folder / "r")
    run_dir.make()
    environment = {"SITEFLEET_DOMAIN_FORMAT": "{slug}.localhost:8000"}
    known = Project(project.folder, "project.settings", environment=environment)
    said = []
    logs = Logs(run_dir, lambda name, line: said.append(f"{name}: {line}"))
    context = Context(known, run_dir, Sockets(run_dir, tcp=tcp), logs)
    made = Running(kind(context), context, project.folder, said)
    try:
        yield made
    finally:
        await made.driver.stop()
        context.sockets.close()


def shared(server="gunicorn", asgi=(), **options):
    """Return a plan of shared sites; `asgi` are those that want that."""
    sites = tuple(site(slug, mode="shared", interface="asgi") for slug in asgi)
    serving = Serving(server=server, shared=options)
    return make_plan(Fleet(1, sites, 3, serving, has_asgi=bool(asgi)))


def dedicated(*slugs, **options):
    return make_plan(Fleet(1, tuple(site(slug, **options) for slug in slugs), 0, Serving()))


def site(slug, mode="dedicated", **options):
    known = {"one": 2, "two": 3, "three": 4}  # `zero` has been there before
    host = f"{slug}.localhost"
    url = f"http://{host}:8000/"
    return Site(known[slug], slug, slug, "active", mode, url, (host,), options=Options(**options))


class Load:
    """Asks all the time while the block runs, and counts what came of it."""

    def __init__(self, fleet, *targets):
        self.fleet, self.targets = fleet, targets
        self.answers, self.failures = [], []

    async def __aenter__(self):
        self.task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def run(self):
        while True:
            for key, slug in self.targets:
                try:
                    status, answer = await self.fleet.ask(key, slug=slug)
                except (OSError, http.client.HTTPException) as error:  # an answer cut short, too
                    status, answer = 0, repr(error)
                (self.answers if status == 200 else self.failures).append((key, answer))


async def says(fleet, text):
    return text in fleet.log
