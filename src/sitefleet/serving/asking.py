"""Requests to an application without a server: what warm-up asks with."""

from __future__ import annotations

import asyncio
import io
import signal
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings

from sitefleet.hybrid import in_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Key in the environ of WSGI and in the scope of ASGI; no client can set it.
MARK = "sitefleet.warm_up"
AGENT = "sitefleet warm-up"
#: Redirects that are followed, on the same host.
REDIRECTS = 3
DEFAULT_PORTS = {"http": 80, "https": 443}


class TimeIsUp(BaseException):
    """A request took too long. No Exception, so that a view which catches those cannot keep it."""


def ask_wsgi(application: Callable[..., Any], url: str, path: str) -> int:
    """Ask for a path under the host of ``url``; return the status of the answer."""
    return _follow(lambda target: _ask_wsgi(application, target), url, path)


def ask_asgi(application: Callable[..., Any], url: str, path: str) -> int:
    """Ask an ASGI application: see `ask_wsgi`."""
    return _follow(lambda target: _in_loop(application, target), url, path)


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp in a block that takes longer; outside of the main thread nothing can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # None stands for one that the server has set in C.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


def _follow(ask: Callable[[str], tuple[int, str]], url: str, path: str) -> int:
    target = url.rstrip("/") + path
    status = 0
    for _ in range(REDIRECTS + 1):
        status, location = ask(target)
        there = urljoin(target, location)
        if not location or urlsplit(there)[:2] != urlsplit(target)[:2]:
            break
        target = there
    return status


def _ask_wsgi(application: Callable[..., Any], target: str) -> tuple[int, str]:
    parts = urlsplit(target)
    answer: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or DEFAULT_PORTS[parts.scheme]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        MARK: True,
        **{_meta_name(name): value for name, value in _headers(parts.netloc, parts.scheme)},
    }

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        answer[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]
        return lambda _data: None

    body = application(environ, start_response)
    try:
        for _ in body:
            pass
    finally:
        getattr(body, "close", lambda: None)()
    return answer[0], answer[1].get("location", "")


async def _ask_asgi(application: Callable[..., Any], target: str) -> tuple[int, str]:
    parts = urlsplit(target)
    answer: dict[str, Any] = {}
    ended = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:  # A client that stays until it has the whole answer.
            await ended.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
        elif not message.get("more_body"):
            ended.set()

    headers = _headers(parts.netloc, parts.scheme)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": parts.scheme,
        "path": unquote_to_bytes(parts.path).decode(errors="replace"),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]),
        MARK: True,
    }
    await application(scope, receive, send)
    found = {name.lower(): value for name, value in answer.get("headers", ())}
    return answer.get("status", 0), found.get(b"location", b"").decode("latin-1")


def _in_loop(application: Callable[..., Any], target: str) -> tuple[int, str]:
    """Ask from code that is not async, so that what waits does so in this very thread."""
    ask = async_to_sync(_ask_asgi)
    if not in_event_loop():
        return ask(application, target)
    answer: Future[tuple[int, str]] = Future()

    def run() -> None:
        try:
            answer.set_result(ask(application, target))
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            answer.set_exception(error)

    # No pool: when the time is up, that would wait for its thread; so would Python at its end.
    threading.Thread(target=run, name="sitefleet-asking", daemon=True).start()
    return answer.result()


def _headers(host: str, scheme: str) -> Iterator[tuple[str, str]]:
    yield "Host", host
    yield "User-Agent", AGENT
    yield "Accept", "text/html,*/*"
    trusted = settings.SECURE_PROXY_SSL_HEADER
    if trusted and scheme == "https":
        # Where Django believes a proxy what the scheme is: what that one says.
        yield trusted[0].removeprefix("HTTP_").replace("_", "-").title(), trusted[1]


def _meta_name(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"
