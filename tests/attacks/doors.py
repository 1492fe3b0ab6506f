"""The front doors: what a server does, WSGI and ASGI, and visitors who come in there."""

import sys
from functools import cached_property
from http.cookies import SimpleCookie
from io import BytesIO
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from tests.asgi import Answer, ask

FORM = "application/x-www-form-urlencoded"


class WSGI:
    """A server of WSGI. What stands in capitals in ``wire`` goes into its environment."""

    #: In front of the names of pages that stream as this server likes it.
    streams = ""
    #: Whether visitors take one chunk and leave, and whether the server tells the application.
    leaves_early, closes = False, True

    @cached_property
    def handler(self):
        return WSGIHandler()  # at the first request: tests change settings ahead of it

    def __call__(self, host, path, *, method="GET", headers, body=b"", wire):
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "192.0.2.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": host,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            **{name: value for name, value in wire.items() if name.isupper()},
        }
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        answer = Answer()

        def start(status, headers, exc_info=None):
            answer.status = int(status[:3])
            answer.headers = [(key.encode(), value.encode("latin-1")) for key, value in headers]

        response = self.handler(environ, start)
        try:
            answer.chunks = [next(iter(response))] if self.leaves_early else list(response)
        finally:
            if self.closes:
                response.close()
        return answer


class ASGI:
    """A server of ASGI. What stands in small letters in ``wire`` goes into its scope."""

    streams = "async-"
    leaves_early = False

    @cached_property
    def handler(self):
        return Handler()

    def __call__(self, host, path, *, method="GET", headers, body=b"", wire):
        sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        sent += [(b"content-length", str(len(body)).encode())] if body else []
        self.handler.body = body
        self.handler.more = {name: value for name, value in wire.items() if name.islower()}
        early = (lambda answer: len(answer.chunks) > 0) if self.leaves_early else None
        return async_to_sync(ask)(
            host, path, handler=self.handler, method=method, headers=sent, until=early
        )


class Handler(ASGIHandler):
    """Django's, for what `ask` has no arguments for: a body, and more in the scope."""

    async def handle(self, scope, receive, send):
        async def receive_body():
            message = await receive()
            return {**message, "body": self.body} if "body" in message else message

        try:
            await super().handle({**scope, **self.more}, receive_body, send)
        finally:
            self.file.close()  # Django does not, where a stream fails.

    async def read_body(self, receive):
        self.file = await super().read_body(receive)
        return self.file


class Visitor:
    """A browser at one site, by HTTPS: it keeps cookies, and posts from the pages of that site."""

    def __init__(self, door, host, prefix="", mark=""):
        self.door, self.host, self.prefix = door, host, prefix
        #: What the names of cookies end in, below a path prefix.
        self.mark = mark
        #: By the names that they have on the way.
        self.cookies = {}
        #: All that was ever set, as it came.
        self.set_cookies = []
        #: What servers tell besides.
        self.wire = {}
        #: Whether a proxy is in between that tells the host in another header.
        self.forwarded = False
        self.secure = True

    def ask(self, path, *, method="GET", headers=None, body=b""):
        """Ask for a path within the site, which is decoded already."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"cookie": cookie} if cookie else {}
        sent |= {"x-forwarded-proto": "https"} if self.secure else {}
        sent |= {"x-forwarded-host": self.host} if self.forwarded else {}
        inside = path.removeprefix(self.prefix) if path.startswith(f"{self.prefix}/") else path
        answer = self.door(
            "10.0.0.1" if self.forwarded else self.host,
            f"{self.prefix}{inside}",
            method=method,
            headers={**sent, **(headers or {})},
            body=body,
            wire=self.wire,
        )
        answer.text = answer.body.decode("utf-8", "replace")
        for name, value in answer.headers:
            if name.lower() == b"set-cookie":
                self.set_cookies.append(value.decode("latin-1").strip())
                for key, morsel in SimpleCookie(value.decode("latin-1")).items():
                    self.cookies[key] = morsel.coded_value
        return answer

    get = ask

    def post(self, path, data=(), *, files=(), body=b"", headers=None):
        """Post a form from a page of the site, with the token that the site has given."""
        if self.name_of("csrftoken") not in self.cookies:
            self.ask("/form/")
        own = {
            "origin": f"{'https' if self.secure else 'http'}://{self.host}",
            "x-csrftoken": self.cookies.get(self.name_of("csrftoken"), ""),
            "content-type": MULTIPART_CONTENT if files else FORM,
        }
        fields = {**dict(data), **dict(files)}
        if not body:
            body = encode_multipart(BOUNDARY, fields) if files else urlencode(fields).encode()
        return self.ask(path, method="POST", headers={**own, **(headers or {})}, body=body)

    def name_of(self, name):
        """Return the name that a cookie of Django has on the way."""
        return f"{'__Host-' if self.secure else ''}{name}{self.mark}"

    def log_in(self, name="anna"):
        return self.post("/login/", {"username": name, "password": "secret"})

    @property
    def user(self):
        """Who the site takes this visitor for."""
        return self.ask("/who/").json()["user"]
