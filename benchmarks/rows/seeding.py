"""Rows for each site, written by the database itself."""

from __future__ import annotations

from django.db import connection

from benchmarks.seeding import NUMBERS

AUTHORS, COMMENTS, COUNTRIES = 10, 5, 100
#: Row ``i`` belongs to site ``(i - 1) % sites + 1``; a story has an author of its own site.
STATEMENTS = (
    (
        AUTHORS,
        "INSERT INTO rows_author (id, site_id, name) {numbers}"
        " SELECT i, (i - 1) % {sites} + 1, 'Author ' || i FROM numbers",
    ),
    (
        None,
        "INSERT INTO rows_story (id, site_id, title, body, section, published, author_id)"
        " {numbers} SELECT i, (i - 1) % {sites} + 1,"
        " 'Story ' || i || ' of site-' || ((i - 1) % {sites} + 1) || '.example.org',"
        " 'What has happened, and what is said about it. Most of it is true.',"
        " (i / {sites}) % 10, i / {sites},"
        " (i - 1) % {sites} + 1 + {sites} * ((i / {sites}) % {authors}) FROM numbers",
    ),
    (
        COMMENTS,
        "INSERT INTO rows_comment (id, site_id, story_id, text) {numbers}"
        " SELECT i, (i - 1) % {sites} + 1, (i - 1) % {sites} + 1, 'Comment ' || i FROM numbers",
    ),
)
COUNTRY = "INSERT INTO rows_country (id, name) {numbers} SELECT i, 'Country ' || i FROM numbers"


def seed(sites: int, each: int) -> None:
    """Give each site ``each`` stories, and what goes with them; the sites are there already."""
    numbers = NUMBERS[connection.vendor]
    with connection.cursor() as cursor:
        for times, statement in STATEMENTS:
            count = sites * (times or each)
            written = {"numbers": numbers.format(sites=count), "sites": sites}
            cursor.execute(statement.format(**written, authors=AUTHORS))
        cursor.execute(COUNTRY.format(numbers=numbers.format(sites=COUNTRIES)))
        if connection.vendor == "postgresql":
            # As autovacuum would within a minute.
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("ANALYZE")
