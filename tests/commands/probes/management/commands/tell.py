"""Tell under which site this runs, here and in a thread."""

import json
import os
import threading

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from sitefleet import get_current_site
from sitefleet.addresses import site_url


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("words", nargs="*")
        parser.add_argument("--thread", action="store_true", help="with a connection of its own")

    def handle(self, **options):
        told = {"words": options["words"], "setting": getattr(settings, "SITE_ID", None)}
        if told["setting"] is not None:
            told |= {"site": get_current_site().name, "reverse": reverse("site")}
            told["url"] = site_url(get_current_site())
        if options["thread"]:
            thread = threading.Thread(target=lambda: told.update(thread=get_current_site().name))
            thread.start()
            thread.join()
        told["environment"] = os.environ.get("SITEFLEET_SITE")
        self.stdout.write(json.dumps(told))
