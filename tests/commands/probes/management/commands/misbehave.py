import os
import sys

from django.core.management.base import BaseCommand, CommandError

from sitefleet import get_current_site


class Command(BaseCommand):
    """Print, write, and end in some way on the site that is named."""

    def add_arguments(self, parser):
        parser.add_argument("name")
        parser.add_argument("way", default="", nargs="?")

    def handle(self, **options):
        site = get_current_site()
        print(f"printed on {site.name}")  # noqa: T201 - what people's commands do
        self.stdout.write("written\nin two lines")
        self.stderr.write("warned")
        if options["name"] in (site.name, "every"):
            ways[options["way"]]()


def fail():
    message = "on purpose"
    raise RuntimeError(message)


def refuse():
    message = "refused"
    raise CommandError(message, returncode=7)


ways = {
    "": lambda: None,
    "raise": fail,
    "refuse": refuse,
    "exit": lambda: sys.exit(3),
    "exit-text": lambda: sys.exit("last words"),
    "exit-nothing": sys.exit,
    "die": lambda: os._exit(9),
}
