"""Rows for each site, written by the database itself."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command
from django.db import connection

from benchmarks.seeding import NUMBERS

AUTHORS, COMMENTS, COUNTRIES = 10, 5, 100
#: Row ``i`` belongs to site ``(i - 1) % sites + 1``; a story has an author of its own site.
AUTHOR = (
    "INSERT INTO rows_author (id, site_id, name) {numbers}"
    " SELECT i, (i - 1) % {sites} + 1, 'Author ' || i FROM numbers"
)
STORY = (
    "INSERT INTO rows_story (id, site_id, title, body, section, published, author_id) {numbers}"
    " SELECT i, (i - 1) % {sites} + 1,"
    " 'Story ' || i || ' of site-' || ((i - 1) % {sites} + 1) || '.example.org',"
    " 'What has happened, and what is said about it. Most of it is true.',"
    " (i / {sites}) % 10, i / {sites},"
    " (i - 1) % {sites} + 1 + {sites} * ((i / {sites}) % {authors}) FROM numbers"
)
COMMENT = (
    "INSERT INTO rows_comment (id, site_id, story_id, text) {numbers}"
    " SELECT i, (i - 1) % {sites} + 1, (i - 1) % {sites} + 1, 'Comment ' || i FROM numbers"
)
COUNTRY = "INSERT INTO rows_country (id, name) {numbers} SELECT i, 'Country ' || i FROM numbers"


def seed(sites: int, each: int) -> None:
    """Give each site ``each`` stories, and what goes with them; the sites are there already."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    counts = {AUTHOR: AUTHORS * sites, STORY: each * sites, COMMENT: COMMENTS * sites}
    with connection.cursor() as cursor:
        for statement, count in (counts | {COUNTRY: COUNTRIES}).items():
            numbers = NUMBERS[connection.vendor].format(sites=count)
            cursor.execute(statement.format(numbers=numbers, sites=sites, authors=AUTHORS))
        # As autovacuum would within a minute.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def command(name: str, arguments: list[str]) -> None:
    """Run a command of manage.py."""
    call_command(name, *arguments, stdout=StringIO())
