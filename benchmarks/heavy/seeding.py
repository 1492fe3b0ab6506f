"""The rows of the heavy project: its sites, a flat page of each, and some pages of Wagtail.

Run as ``python -m benchmarks.heavy.seeding SITES``, in the environment of that project.
"""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

PAGES = 10


def fill(sites: int) -> None:
    """Create the tables and the rows."""
    from django.contrib.flatpages.models import FlatPage  # noqa: PLC0415 - needs the settings
    from wagtail.models import Page  # noqa: PLC0415

    from benchmarks.seeding import seed  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    seed(sites)
    terms = FlatPage.objects.create(url="/terms/", title="Terms", content="<p>None.</p>")
    terms.sites.set(range(1, sites + 1))
    home = Page.objects.get(depth=2)
    for number in range(PAGES):
        home.add_child(instance=Page(title=f"Page {number}", slug=f"page-{number}"))


if __name__ == "__main__":
    django.setup()
    fill(int(sys.argv[1]))
