"""A process that watches a site and writes a line each time it sees something else.

``find`` asks the resolver, as requests do. ``current`` asks Django's own `get_current()` and
nothing else, as a worker does that serves no requests. ``forked`` is ``find`` in a forked child.
"""

import json
import os
import sys
import time
from importlib import import_module

import django
from django.apps import apps
from django.db import connections

from sitefleet import override_site
from tests import settings

HOSTS = ("one.example.org", "two.example.org", "new.example.org", "b.example.org")
PAUSE = 0.02


def main(mode, pk, sitefleet):
    settings.SITEFLEET = json.loads(sitefleet)
    django.setup()
    Site = apps.get_model("sites.Site")  # noqa: N806 - a model
    resolver = import_module("sitefleet.resolver").resolver

    def find():
        matches = {host: resolver.find(host).root for host in HOSTS}
        return {host: match and [match.site.pk, match.state] for host, match in matches.items()}

    def current():
        try:
            return {"domain": Site.objects.get_current().domain}
        except Site.DoesNotExist:
            return {"domain": None}

    look = current if mode == "current" else find
    parent = os.getppid()
    with override_site(int(pk)):
        if mode == "forked":
            look()
            connections.close_all()
            parent = os.getpid()
            if child := os.fork():
                os.waitpid(child, 0)
                return
        before = None
        while os.getppid() == parent:
            seen = look()
            if seen != before:
                sys.stdout.write(json.dumps([time.time(), seen]) + "\n")
                sys.stdout.flush()
                before = seen
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
