"""What a project with Channels has in its `asgi.py`."""

import asyncio
import random

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path, reverse

django = get_asgi_application()

from sitefleet import get_current_site_id  # noqa: E402 - Django is set up from here on
from sitefleet.current import active_site_id  # noqa: E402
from sitefleet.persite.websockets import SiteWebSocketMiddleware, group  # noqa: E402


class Consumer(AsyncJsonWebsocketConsumer):
    left = []

    async def connect(self):
        await self.channel_layer.group_add(group("room"), self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(group("room"), self.channel_name)
        self.left.append([get_current_site_id(), code])

    async def receive_json(self, content):
        if "shout" in content:
            message = {"type": "heard", "text": content["shout"]}
            await self.channel_layer.group_send(group("room"), message)
            return
        seen = {self.scope["site"].pk}
        for _ in range(3):
            await asyncio.sleep(random.random() / 100)  # noqa: S311 - a wait, no secret
            seen |= {get_current_site_id(), settings.SITE_ID}
        seen.add(await database_sync_to_async(get_current_site_id)())
        seen.add(await asyncio.to_thread(active_site_id))
        user = self.scope["user"].get_username()
        await self.send_json({"seen": sorted(seen), "user": user, "link": reverse("site")})

    async def heard(self, event):
        await self.send_json({"heard": event["text"], "on": get_current_site_id()})


class Left(AsyncJsonWebsocketConsumer):
    """Tell which sockets are gone."""

    async def receive_json(self, content):
        await self.send_json(Consumer.left)


routes = [path("ws/", Consumer.as_asgi()), path("left/", Left.as_asgi())]
application = ProtocolTypeRouter(
    {
        "http": django,
        "websocket": SiteWebSocketMiddleware(AuthMiddlewareStack(URLRouter(routes))),
    }
)
