"""A process that serves an inherited socket by a gunicorn worker: argv is descriptor and options.

Its application answers what it was asked by, sleeps where told, and echoes WebSockets.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time

from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.servers import workers


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/sleep/"):
        say("slow")
        time.sleep(float(path.removeprefix("/sleep/")))
    seen = [environ["wsgi.url_scheme"], environ["REMOTE_ADDR"], environ["SCRIPT_NAME"]]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps([os.getpid(), *seen]).encode()]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("Django has none either")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})
        say("closed")
        return
    if scope["path"].startswith("/sleep/"):
        say("slow")
        await asyncio.sleep(float(scope["path"].removeprefix("/sleep/")))
    seen = [scope["scheme"], "", scope["root_path"]]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([os.getpid(), *seen]).encode()})


def main():
    listener = socket.socket(fileno=int(sys.argv[1]))
    wanted = json.loads(sys.argv[2])
    interface = wanted.get("interface", "wsgi")
    workers.preload(interface)
    loaded = set(sys.modules)
    tempfile.tempdir = "/nowhere"  # a full disk has no room for a file either
    # As in a process forked by a parent that is careful.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = workers.serve(
        listener,
        {"wsgi": wsgi, "asgi": asgi}[interface],
        Options(**wanted),
        interface=interface,
        name="site-1",
        on_ready=lambda: say("ready"),
    )
    later = {name for name in set(sys.modules) - loaded if name.startswith("gunicorn")}
    say(" ".join(sorted(later)))
    os._exit(status)


main()
