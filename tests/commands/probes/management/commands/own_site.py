from django.core.management.base import BaseCommand

from sitefleet.current import active_site_id


class Command(BaseCommand):
    """A command that had a --site before sitefleet came."""

    def add_arguments(self, parser):
        parser.add_argument("--site", default="none")

    def handle(self, **options):
        self.stdout.write(f"own {options['site']}, current {active_site_id()}")
