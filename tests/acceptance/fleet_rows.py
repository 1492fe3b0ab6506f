"""Sites in the databases of the projects that `tests.acceptance.fleets` makes."""

import json
import sqlite3


def add_sites(project, slugs, modes=None, options=None, first=None):
    """Add sites by SQL: a thousand take no longer than one."""
    modes, options = modes or {}, options or {}
    with sqlite3.connect(project.database, timeout=20) as connection:
        start = first or connection.execute("SELECT MAX(id) FROM django_site").fetchone()[0] + 1
        rows = list(enumerate(slugs, start))
        connection.executemany(
            "INSERT INTO django_site (id, domain, name) VALUES (?, ?, ?)",
            [(pk, f"{slug}.example", slug.title()) for pk, slug in rows],
        )
        template = columns_of_config(connection)
        values = [
            template
            | {"site_id": pk, "slug": slug, "domain": f"{slug}.example"}
            | ({"mode": modes[slug]} if slug in modes else {})
            | ({"serving": json.dumps(options[slug])} if slug in options else {})
            for pk, slug in rows
        ]
        names = list(values[0]) if values else []
        marks = ", ".join(f":{name}" for name in names)
        connection.executemany(
            f"INSERT INTO sitefleet_siteconfig ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
            values,
        )
    connection.close()


def columns_of_config(connection):
    """Return the columns of a configured site with the values of one that has nothing special."""
    cursor = connection.execute("SELECT * FROM sitefleet_siteconfig ORDER BY site_id LIMIT 1")
    names = [column[0] for column in cursor.description]
    return {
        name: value for name, value in zip(names, cursor.fetchone(), strict=True) if name != "id"
    }


def add_by_command(project, slugs, modes, options):
    """Add sites to any database, a second for each."""
    for slug in slugs:
        project.manage("sites", "add", slug, "--domain", f"{slug}.example")
        words = [f"--mode={modes[slug]}"] if slug in modes else []
        words += [f"{name}={value}" for name, value in options.get(slug, {}).items()]
        if words:
            project.manage("sites", "serving", slug, *words)
