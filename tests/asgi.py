"""A small ASGI client. Django's own appends a second Host header where one is given."""

import asyncio
import json
from dataclasses import dataclass, field

from django.core.handlers.asgi import ASGIHandler


@dataclass
class Answer:
    status: int = 0
    headers: list = field(default_factory=list)
    chunks: list = field(default_factory=list)

    def __getitem__(self, name):
        found = [value for key, value in self.headers if key.lower() == name.lower().encode()]
        return b", ".join(found).decode()

    @property
    def body(self):
        return b"".join(self.chunks)

    def json(self):
        return json.loads(self.body)


async def ask(
    host, path="/site/", *, handler=None, method="GET", headers=(), root_path="", until=None
):
    """Ask as a server would. `until(answer)` tells when the client has seen enough and leaves."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": root_path,
        "query_string": query.encode(),
        "headers": [(b"host", host if isinstance(host, bytes) else host.encode()), *headers],
        "server": ("192.0.2.1", 80),
    }
    answer, gone = Answer(), asyncio.Event()
    received = iter([{"type": "http.request", "body": b""}])

    async def receive():
        for message in received:
            return message
        while not (until and until(answer)):  # noqa: ASYNC110 - the answer grows meanwhile
            await asyncio.sleep(0.001 if until else 3600)
        gone.set()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], message["headers"]
        else:
            answer.chunks.append(message.get("body", b""))
        while until and until(answer):  # noqa: ASYNC110 - a client that left takes nothing more
            await asyncio.sleep(3600)

    # Not `handler(...)`: that would put the views into a thread without the test's transaction.
    await (handler or ASGIHandler()).handle(scope, receive, send)
    return answer
