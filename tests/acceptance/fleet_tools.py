"""What tests of running fleets need beside them."""

import http.client
import json
import os
import socket
import time
from dataclasses import dataclass


def environment(**variables):
    env = {name: value for name, value in os.environ.items() if not name.startswith("SITEFLEET_")}
    for name in ("DJANGO_SETTINGS_MODULE", "SITE_ID", "TEST_DATABASE_NAME"):
        env.pop(name, None)
    return env | {"NO_COLOR": "1"} | variables


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def wait_for(what, seconds=20, every=0.05):
    """Call `what` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(every)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)
