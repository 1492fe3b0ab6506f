"""An application of Channels, whose sockets are looked after often enough for tests."""

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter

from sitefleet.persite.websockets import SiteWebSocketMiddleware, watching
from tests.persite.websockets.consumers import ROUTES
from tests.persite.websockets.wire import LAYERS


@pytest.fixture(autouse=True)
def frequent_looks(monkeypatch):
    monkeypatch.setattr(watching, "SHORTEST", 0.01)


@pytest.fixture
def channels(settings):
    settings.CHANNEL_LAYERS = LAYERS
    return SiteWebSocketMiddleware(
        ProtocolTypeRouter({"websocket": AuthMiddlewareStack(URLRouter(ROUTES))})
    )
