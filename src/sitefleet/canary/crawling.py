"""Crawling: every page of a site that can be found, and all that comes out of asking for it."""

from __future__ import annotations

import gzip
import logging
from collections import Counter
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from django.core import mail
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from sitefleet.test import client_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.contrib.sites.models import Site

SERVER_ERROR = 500
#: Of one site; a calendar that goes on for ever is a site like any other.
PAGES = 1000
#: Of one path, with other queries: lists can be sorted and filtered in very many ways.
VARIANTS = 5
LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "form": "action"}
#: To log out is the end of a crawl.
ENDING = ("logout",)


class Page(NamedTuple):
    """What one request brought."""

    path: str
    status: int
    text: str


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a tag refers to."""
        value = dict(attrs).get(LINKS.get(tag, ""))
        if value:
            self.found.append(value)


class Crawler:
    """Asks one site for pages, as one visitor."""

    def __init__(
        self,
        site: Site,
        sign_in: Callable[[Any, Site], None] | None = None,
        skip: tuple[str, ...] = (),
    ) -> None:
        self.skip = skip
        self.client = client_for(site, raise_request_exception=False)
        self.host = self.client.address.host
        if sign_in is not None:
            sign_in(self.client, site)

    def crawl(self, paths: Iterable[str]) -> Iterator[Page]:
        """Yield the pages at ``paths`` and all that they lead to on this host."""
        waiting = [path for path in dict.fromkeys(paths) if not path.startswith(self.skip)]
        known = set(waiting)
        variants: Counter[str] = Counter()
        asked = 0
        while waiting and asked < PAGES:
            page = self.ask(waiting.pop(0))
            asked += 1
            yield page
            for path in self._links(page):
                bare = path.partition("?")[0]
                if path in known or variants[bare] >= VARIANTS or not self._is_wanted(path):
                    continue
                known.add(path)
                variants[bare] += 1
                waiting.append(path)

    def _is_wanted(self, path: str) -> bool:
        return not path.startswith(self.skip) and not any(word in path for word in ENDING)

    def ask(self, path: str) -> Page:
        """Return the page at a path within the site."""
        response: Any = self.client.get(path)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        if response.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        head = "\n".join(f"{name}: {value}" for name, value in response.items())
        cookies = response.cookies.output()
        text = f"{head}\n{cookies}\n\n{body.decode('utf-8', 'replace')}"
        return Page(path, response.status_code, text)

    def _links(self, page: Page) -> Iterator[str]:
        head, _, body = page.text.partition("\n\n")
        parser = _Links()
        if "text/html" in head or "xml" in head:
            parser.feed(body.replace("<loc>", '<a href="').replace("</loc>", '"></a>'))
        location = [line[10:] for line in head.splitlines() if line.startswith("Location: ")]
        for link in [*location, *parser.found]:
            parts = urlsplit(urljoin(f"//{self.host}{page.path}", link))
            if parts.netloc == self.host and parts.scheme in ("", "http", "https"):
                yield unquote(parts.path) + (f"?{parts.query}" if parts.query else "")


def plain_paths(patterns: Iterable[Any] | None = None, name_space: str = "") -> Iterator[str]:
    """Yield the paths of the URLconf of the current site that need no arguments."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{name_space}{pattern.namespace}:" if pattern.namespace else name_space
            yield from plain_paths(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern) and pattern.name:
            try:
                yield reverse(f"{name_space}{pattern.name}")
            except NoReverseMatch:
                continue  # Needs arguments: links of other pages have them.


@contextmanager
def overheard() -> Iterator[list[tuple[str, str]]]:
    """Collect what is logged and mailed meanwhile, as pairs of where and text."""
    heard: list[tuple[str, str]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append((f"log of {record.name}", self.format(record)))

    listener = Listener()
    outbox: list[Any] = getattr(mail, "outbox", [])
    before = len(outbox)
    logging.getLogger().addHandler(listener)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(listener)
        outbox = getattr(mail, "outbox", [])
        heard += [
            (f"mail to {', '.join(message.recipients())}", message.message().as_string())
            for message in outbox[before:]
        ]
