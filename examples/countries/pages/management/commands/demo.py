import json
import os
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from pages.models import Article, Hotline, Office
from sitefleet import override_site
from sitefleet.addresses import site_url
from sitefleet.lookup import get_site
from sitefleet.populate import populate
from sitefleet.registry import set_state
from sitefleet.scoping import cross_site

ADDRESS = "localhost"  # what runserver prints is to lead to the portal
PORT = 8000
USER = PASSWORD = "admin"
DATA = Path(__file__).parents[2]  # made up, by the slug of the site


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
        for slug, articles in _read("news").items():
            site = get_site(slug)
            if not Article.objects.filter(site=site).exists():
                Article.objects.bulk_create(Article(site=site, **article) for article in articles)
        for slug, offices in _read("offices").items():
            with override_site(get_site(slug)):  # their site is the current one
                if not Office.objects.exists():
                    Office.objects.bulk_create(Office(**office) for office in offices)
        with cross_site("a line that all countries share"):
            Hotline.objects.get_or_create(site=None, name="SOS 24/7", phone="+800 0000 0112")
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
        self.stdout.write("Rows belong to a site. In another terminal, in examples/countries:")
        python = os.path.relpath(sys.executable, Path(__file__).parents[3])  # has sitefleet
        for command, note in COMMANDS.items():
            self.stdout.write(
                f"  {self.style.SUCCESS(f'{python} manage.py {command}')}\n    {note}"
            )
        self.stdout.write("")


NOTES = {
    "de": "Germany, in German",
    "gh": "Ghana, in English",
    "us": "the USA, in American English",
    "br": "Brazil, in Portuguese; in maintenance, staff may preview it",
}
COMMANDS = {
    'shell --site=gh -c "print(*Office.objects.all())"': "Ghana's alone: nobody wrote a filter",
    'shell -c "print(*Office.objects.all())"': "refused: for which site?",
    'shell --cross-site="a look at all" -c "print(*Office.objects.all())"': "all, and it is logged",
    "sites clone gh tg --name Togo --domain example.tg --state active": "a new site, at once",
    "sites export gh ghana.jsonl.gz": "all that belongs to it, in one file",
}


def _read(name: str) -> dict[str, list[dict[str, str]]]:
    """Return the rows of each site."""
    rows: dict[str, list[dict[str, str]]] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return rows


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
