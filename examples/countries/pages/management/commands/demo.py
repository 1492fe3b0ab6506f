import json
import os
import socket
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from pages.models import Article
from sitefleet.addresses import site_url
from sitefleet.lookup import get_site
from sitefleet.populate import populate
from sitefleet.registry import set_state

ADDRESS = "localhost"  # what runserver prints is to lead to the portal
PORT = 8000
USER = PASSWORD = "admin"
NEWS = Path(__file__).parents[2] / "news.json"  # made up, by the slug of the site


class Command(BaseCommand):
    help = "Set up the demo, as often as you like, and serve it."
    requires_system_checks = ()  # runserver makes them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=PORT)
        parser.add_argument("--prepare-only", action="store_true", help="Set up, do not serve.")
        parser.add_argument("--noreload", action="store_true", help="Do not watch the source.")

    def handle(self, *, port: int, prepare_only: bool, noreload: bool, **_: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo has a public password. It runs with DEBUG only.")
        # The environment goes before the settings, and the reloader's child process inherits it.
        os.environ["SITEFLEET_DOMAIN_FORMAT"] = f"{{slug}}.localhost:{port}"
        is_child = os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"
        if not is_child:
            if not prepare_only:
                ensure_port_is_free(port)
            self.prepare()
        if not prepare_only:
            if not is_child:
                self.say_what_to_open(port)
            call_command("runserver", f"{ADDRESS}:{port}", use_reloader=not noreload)

    def prepare(self) -> None:
        call_command("migrate", verbosity=0)
        report = populate()
        if "br" in report.created:
            set_state(get_site("br"), "maintenance")
        for slug, articles in json.loads(NEWS.read_text("utf-8")).items():
            site = get_site(slug)
            if not Article.objects.filter(site=site).exists():
                Article.objects.bulk_create(Article(site=site, **article) for article in articles)
        users = get_user_model().objects
        if not users.filter(username=USER).exists():
            users.create_superuser(USER, "admin@countries.example", PASSWORD)

    def say_what_to_open(self, port: int) -> None:
        lines = [
            ("", "One process, one SQLite file, five sites:"),
            (f"http://localhost:{port}/", "the fleet - start here"),
            *((site_url(get_site(slug)), note) for slug, note in NOTES.items()),
            ("", ""),
            (site_url(get_site("de"), "/admin/"), f"the admin, login {USER} / {PASSWORD}"),
            (f"http://america.localhost:{port}/", "an alias: redirects to the USA"),
            (f"http://127.0.0.1:{port}/", "a host that leads to no site"),
            ("", ""),
        ]
        width = max(len(url) for url, _ in lines)
        for url, note in lines:
            line = f"  {self.style.SUCCESS(url.ljust(width))}  {note}" if url else note
            self.stdout.write(line)


NOTES = {
    "de": "Germany, in German",
    "gh": "Ghana, in English",
    "us": "the USA, in American English",
    "br": "Brazil, in Portuguese; in maintenance, staff may preview it",
}


def ensure_port_is_free(port: int) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as runserver does
        try:
            server.bind((ADDRESS, port))
        except (OSError, OverflowError) as error:
            other = PORT + 1 if port == PORT else PORT
            raise CommandError(
                f"Port {port} cannot be used ({getattr(error, 'strerror', None) or error})."
                f" Choose another one: make demo PORT={other}"
            ) from None
