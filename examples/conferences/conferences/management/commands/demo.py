import os
from argparse import ArgumentParser
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from conferences.demo import PROGRAMMES, fill
from sitefleet.addresses import site_url
from sitefleet.lookup import get_site
from sitefleet.populate import populate

ADDRESS = "localhost"
PORT = 8000
USER = PASSWORD = "admin"


class Command(BaseCommand):
    help = "Set up three conferences, as often as you like, and serve them."
    requires_system_checks = ()  # runserver makes them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=PORT)
        parser.add_argument("--prepare-only", action="store_true", help="Set up, do not serve.")

    def handle(self, *, port: int, prepare_only: bool, **_: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo has a public password. It runs with DEBUG only.")
        # The environment goes before the settings, and the reloader's child process inherits it.
        os.environ["SITEFLEET_DOMAIN_FORMAT"] = f"{{slug}}.localhost:{port}"
        if os.environ.get(DJANGO_AUTORELOAD_ENV) != "true":
            self.prepare()
            self.say_what_to_open()
        if not prepare_only:
            call_command("runserver", f"{ADDRESS}:{port}")

    def prepare(self) -> None:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        with redirect_stdout(StringIO()):  # it prints, whatever the verbosity
            call_command("wafer_add_default_groups")
        populate()
        for slug, programme in PROGRAMMES.items():
            fill(get_site(slug), programme)
        users = get_user_model().objects
        if not users.filter(username=USER).exists():
            users.create_superuser(USER, "admin@fleetconf.example", PASSWORD)

    def say_what_to_open(self) -> None:
        self.stdout.write("One process, one SQLite file, three conferences:")
        for slug in PROGRAMMES:
            self.stdout.write(f"  {self.style.SUCCESS(site_url(get_site(slug)))}")
        self.stdout.write(f"Log in at /accounts/login/ or /admin/ as {USER} / {PASSWORD}.")
