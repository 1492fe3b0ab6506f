"""A client that asks one server for one page: what comes back, how long it took, by whom."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where nothing, or no answer, did."""

    status: int
    seconds: float
    headers: dict[str, str]
    body: bytes = b""

    @property
    def good(self) -> bool:
        """Whether the page was served."""
        return self.status == HTTPStatus.OK

    @property
    def process(self) -> int:
        """The process that gave it, as `benchmarks.serving.told` says."""
        return int(self.headers.get("x-process", 0))


def ask(address: str, host: str, path: str = "/", patience: float = PATIENCE) -> Answer:
    """Ask for a page at ``unix:/path`` or ``host:port``, over a connection of its own."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    begin = time.perf_counter()
    try:
        with _connect(address, patience) as connection:
            connection.sendall(request)
            data = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        data = b""
    seconds = time.perf_counter() - begin
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - HTTP/1.1 200
        return Answer(0, seconds, {})
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(words[1]), seconds, headers, body)


def _connect(address: str, patience: float) -> socket.socket:
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(patience)
        try:
            made.connect(address.removeprefix("unix:"))
        except OSError:
            made.close()
            raise
        return made
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=patience)


def ask_many(clients: int, questions: list[tuple[str, str, str]]) -> list[Answer]:
    """Ask with so many clients at once, each question once; answers are in that order."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda question: ask(*question), questions))


def wait_until(
    good: Callable[[], Answer], patience: float = PATIENCE, pause: float = 0.002
) -> Answer:
    """Ask until the page is served. Raises TimeoutError."""
    end = time.monotonic() + patience
    while not (answer := good()).good:
        if time.monotonic() > end:
            message = f"no page after {patience:.0f} s, but status {answer.status}"
            raise TimeoutError(message)
        time.sleep(pause)
    return answer


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
