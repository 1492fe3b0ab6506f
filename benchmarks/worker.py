"""One process of one configuration. It does what it is told, line by line of JSON, and reports.

Run as ``python -m benchmarks.worker SPEC``, by the interpreter of any environment that has Django.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import time
from http import HTTPStatus
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What comes before Django is imported is not Django's time.
BEGIN = time.perf_counter(), time.process_time()

import django  # noqa: E402
from django.conf import settings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class Worker:
    """The commands that a worker knows."""

    def __init__(self, spec: dict[str, Any]) -> None:
        project = import_module("benchmarks.project")
        settings.configure(**project.settings_for(spec))
        self.environ = {**ENVIRON, "PATH_INFO": project.PATHS.get(spec["page"], "/")}
        if spec["page"] == "islands":
            self.environ["wsgi.url_scheme"] = "https"
            logging.disable(logging.NOTSET)
        django.setup(set_prefix=False)
        self.handler = import_module("django.core.wsgi").get_wsgi_application()
        self.hosts: list[str] = []
        self.jar: dict[str, str] = {}

    def migrate(self) -> None:
        """Create the tables."""
        import_module("django.core.management").call_command("migrate", verbosity=0)

    def seed(self, sites: int) -> None:
        """Fill the tables (see `benchmarks.seeding`)."""
        import_module("benchmarks.seeding").seed(sites)

    def call(self, function: str, **what: Any) -> Any:
        """Call a function of a module, ``package.module.function``; return what it returns."""
        module, _, name = function.rpartition(".")
        return getattr(import_module(module), name)(**what)

    def go(self, path: str) -> None:
        """Ask for another page from here on."""
        self.environ["PATH_INFO"] = path

    def first(self, host: str) -> dict[str, float]:
        """Answer the first request; return what has passed since the start of the program."""
        status, _ = self.answer(host)
        assert status == HTTPStatus.OK
        return {
            "wall": time.perf_counter() - BEGIN[0],
            "cpu": time.process_time() - BEGIN[1],
        }

    def answer(self, host: str) -> tuple[int, str]:
        """Answer one request; return status and body."""
        response = self.handler({**self.environ, "HTTP_HOST": host}, lambda *_: None)
        response.close()
        self.jar |= {name: morsel.value for name, morsel in response.cookies.items()}
        self.environ["HTTP_COOKIE"] = "; ".join(f"{name}={self.jar[name]}" for name in self.jar)
        return response.status_code, response.content.decode()

    def visit(self, hosts: list[str], *, fixed: bool) -> None:
        """Make ``hosts`` those of the batches, and visit each once; the answers must be right."""
        self.hosts = hosts
        for host in hosts:
            status, body = self.answer(host)
            assert status == HTTPStatus.OK
            assert (hosts[0] if fixed else host) in body

    def batch(self, count: int) -> dict[str, float]:
        """Answer ``count`` requests for random hosts out of those of `visit`."""
        hosts = random.choices(self.hosts, k=count)  # noqa: S311 - no secret
        return self._timed(hosts)

    def once(self, hosts: list[str]) -> dict[str, float]:
        """Answer one request for each host."""
        return self._timed(hosts)

    def last(self, seconds: float) -> dict[str, float]:
        """Answer requests for the first host for some time."""
        hosts, total = self.hosts[:1] * 200, {"cpu": 0.0, "wall": 0.0, "count": 0}
        while total["wall"] < seconds:
            for key, value in self._timed(hosts).items():
                total[key] += value
        return total

    def _timed(self, hosts: list[str]) -> dict[str, float]:
        handler, environ, start_response = self.handler, self.environ, lambda *_: None
        wall, cpu = time.perf_counter(), time.process_time()
        for host in hosts:
            handler({**environ, "HTTP_HOST": host}, start_response).close()
        return {
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - wall,
            "count": len(hosts),
        }

    def queries(self, count: int) -> int:
        """Answer requests as `batch` does; return how many queries they made."""
        return self._count(lambda: self.batch(count))

    def queries_once(self, hosts: list[str]) -> int:
        """Answer requests as `once` does; return how many queries they made."""
        return self._count(lambda: self.once(hosts))

    def _count(self, work: Callable[[], object]) -> int:
        connection = import_module("django.db").connection
        found = []

        def note(execute: Any, sql: str, *rest: Any) -> Any:
            found.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(note):
            work()
        # Reading the generation is a matter of time, not of requests: `polling` measures it.
        return sum("sitefleet_generation" not in sql for sql in found)

    def rows(self, keys: list[int]) -> list[float]:
        """Get sites by their primary keys; return the seconds that each took."""
        get = import_module("django.contrib.sites.models").Site.objects.get
        return _each(lambda pk: get(pk=pk), keys)

    def found(self, hosts: list[str]) -> list[float]:
        """Let the resolver find hosts; return the seconds that each took."""
        return _each(import_module("sitefleet.resolver").resolver.find, hosts)

    def flood(self, count: int, pattern: str) -> None:
        """Let the resolver find many hosts."""
        find = import_module("sitefleet.resolver").resolver.find
        for number in range(count):
            find(pattern.format(number))

    def memory(self) -> int:
        """Return the resident memory of this process, in bytes."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * import_module("resource").getpagesize()

    def polls(self, count: int) -> list[float]:
        """Look at the generation; return the seconds that each look took."""
        resolver = import_module("sitefleet.resolver").resolver

        def look(_: int) -> None:
            resolver.announced()
            resolver.find(self.hosts[0])

        return _each(look, range(count))

    def watch(self, host: str, status: int, seconds: float) -> float | None:
        """Ask until the status is this one; return when, by the clock of the machine."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.answer(host)[0] == status:
                return time.monotonic()
            time.sleep(0.003)
        return None

    def change(self, how: str, pk: int, state: str) -> float:
        """Change a site; return when that was done, by the clock of the machine."""
        import_module("benchmarks.changes").CHANGES[how](pk, state)
        return time.monotonic()


def _each(work: Callable[[Any], object], items: Any) -> list[float]:
    taken = []
    for item in items:
        begin = time.perf_counter()
        work(item)
        taken.append(time.perf_counter() - begin)
    return taken


def main() -> None:
    """Obey until the input ends."""
    # What libraries print must not end up among the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    # A site in maintenance is what `freshness` waits for.
    logging.disable(logging.ERROR)
    worker = Worker(json.loads(sys.argv[1]))
    for line in sys.stdin:
        order = json.loads(line)
        result = getattr(worker, order.pop("do"))(**order)
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
