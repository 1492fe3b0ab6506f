"""The test project with Channels."""

from tests.settings import *  # noqa: F403 - a project of its own

ASGI_APPLICATION = "tests.acceptance.socket_asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
SITEFLEET = {"FRESHNESS": 1.0}
