"""Consumers that tell the site, one async and one not."""

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from django.urls import path

from sitefleet import get_current_site, get_current_site_id
from sitefleet.persite.websockets import group


class AsyncConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add(group("room"), self.channel_name)
        await self.accept()

    async def receive_json(self, content):
        if content == "who":
            user = self.scope["user"]
            await self.send_json([user.get_username(), self.scope["session"].session_key])
        elif content == "where":
            own = get_current_site_id()
            await self.send_json([own, await database_sync_to_async(get_current_site_id)()])
        else:
            message = {"type": "told", "text": content}
            await self.channel_layer.group_send(group("room"), message)

    async def told(self, event):
        await self.send_json([event["text"], get_current_site_id()])


class BlockingConsumer(JsonWebsocketConsumer):
    def connect(self):
        async_to_sync(self.channel_layer.group_add)(group("room"), self.channel_name)
        self.accept()

    def receive_json(self, content):
        self.send_json([get_current_site_id(), get_current_site().pk])

    def told(self, event):
        self.send_json([event["text"], get_current_site_id()])


ROUTES = [
    path("async/", AsyncConsumer.as_asgi()),
    path("sync/", BlockingConsumer.as_asgi()),
]
