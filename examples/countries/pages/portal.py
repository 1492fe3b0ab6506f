"""What the portal shows beside the sites: things to try."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.urls import reverse

from pages.sites import Entry

PAGES = {
    "alias": (
        "An alias that redirects",
        "america.localhost is a further name of the USA. It leads, by 301, to the site's own host.",
    ),
    "maintenance": (
        "A site in maintenance",
        "Brasil answers 503 with Retry-After. Log in to its admin, and you may preview it.",
    ),
    "admin": (
        "The admin of one site",
        "On its host it speaks German and lists German articles. Log in with admin / admin.",
    ),
    "unknown": (
        "A host that leads nowhere",
        "127.0.0.1 is no site of this fleet. The answer says what was asked, and what to do.",
    ),
}


@dataclass(frozen=True)
class Link:
    url: str
    text: str
    note: str


def things_to_try(fleet: list[Entry]) -> list[Link]:
    urls = {entry.slug: entry.url.rstrip("/") for entry in fleet}
    port = urlsplit(urls["portal"]).port or 80
    addresses = {
        "alias": f"http://america.localhost:{port}/",
        "maintenance": f"{urls['br']}/",
        "admin": urls["de"] + reverse("admin:index"),
        "unknown": f"http://127.0.0.1:{port}/",
    }
    return [Link(addresses[name], *texts) for name, texts in PAGES.items()]
