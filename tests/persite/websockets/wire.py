"""WebSockets as they are on the wire: clients, servers, and small applications."""

import asyncio
from contextlib import asynccontextmanager

from asgiref.sync import async_to_sync

from sitefleet import get_current_site_id
from sitefleet.current import active_site_id
from sitefleet.persite.websockets import SiteWebSocketMiddleware, watching

ONE, TWO = "one.example.org", "two.example.org"
#: Seconds in which open sockets are looked after a few times.
LOOKS = 0.06
IN_MEMORY = "django.core.files.storage.InMemoryStorage"
LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


class Socket:
    """A client together with its server: what a WebSocket is on the wire."""

    def __init__(self, app, host, path="/ws/", *, extensions=True, headers=(), **scope):
        self.incoming, self.outgoing = asyncio.Queue(), asyncio.Queue()
        self.scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", host.encode()), *headers],
            "extensions": {"websocket.http.response": {}} if extensions else {},
            **scope,
        }
        self.app = app
        self.accepted = False
        self.code = self.reason = None

    async def open(self):
        """Shake hands; return the answer of the application."""
        self.task = asyncio.create_task(self.app(self.scope, self.incoming.get, self._sent))
        await self.incoming.put({"type": "websocket.connect"})
        return await self.get()

    async def _sent(self, message):
        assert self.code is None, "nothing is sent after a close"
        self.accepted = self.accepted or message["type"] == "websocket.accept"
        if message["type"] == "websocket.close":
            self.code, self.reason = message.get("code"), message.get("reason")
            # As the specification has it: the application hears of it, whoever closed.
            await self.incoming.put({"type": "websocket.disconnect", "code": self.code})
        await self.outgoing.put(message)

    async def get(self):
        return await asyncio.wait_for(self.outgoing.get(), 2)

    async def say(self, text):
        await self.incoming.put({"type": "websocket.receive", "text": text})
        return (await self.get())["text"]

    async def leave(self):
        await self.incoming.put({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self.task, 2)


@asynccontextmanager
async def opened(app, host, *arguments, **options):
    socket = Socket(app, host, *arguments, **options)
    assert (await socket.open())["type"] == "websocket.accept"
    yield socket
    await socket.leave()


def refusal(host, *arguments, **options):
    """Return how a handshake is refused: its status, its headers, its body."""

    async def shake_hands():
        socket = Socket(SiteWebSocketMiddleware(never), host, *arguments, **options)
        start = await socket.open()
        if start["type"] == "websocket.close":
            return start
        assert socket.incoming.empty(), "a server waits for whoever takes the connection first"
        body = await socket.get()
        await socket.task
        assert body["type"] == "websocket.http.response.body"
        assert active_site_id() is None
        return start["status"], dict(start["headers"]), body["body"]

    return async_to_sync(shake_hands)()


async def never(scope, receive, send):
    message = "an application that is not to be reached"
    raise AssertionError(message)


async def echo(scope, receive, send):
    """Tell the site for each message."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": str(get_current_site_id())})


def run(scenario):
    """Run a scenario to its end; nothing of it is left over."""

    async def to_the_end():
        await scenario()
        assert active_site_id() is None
        assert watching.watch().sockets == set()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async_to_sync(to_the_end)()
