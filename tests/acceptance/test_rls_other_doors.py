"""What is no statement of every day, and obeys too or is refused."""

import subprocess

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from sitefleet import override_site
from tests.acceptance.postgres import program
from tests.acceptance.rls import both_modes, sql

pytestmark = [pytest.mark.acceptance, both_modes]

ROOMS = "SELECT name FROM rooms_room ORDER BY name"


def test_copy_obeys(sites):
    a, b = sites
    for site, name in ((a, b"a\n"), (b, b"b\n"), (a, b"a\n")):
        for block in (transaction.atomic(), override_site(site)):
            with override_site(site), block, connection.cursor() as cursor:
                copying = cursor.copy("COPY rooms_building (name) TO STDOUT")
                with copying as copy:
                    assert b"".join(copy) == name
    with override_site(a), connection.cursor() as cursor:
        copying = cursor.copy("COPY rooms_building (name, site_id) FROM STDIN")
        with pytest.raises(psycopg.Error, match="COPY FROM not supported"), copying:
            pass


def test_row_security_cannot_be_switched_off(sites):
    with override_site(sites[0]), transaction.atomic():
        sql("SET LOCAL row_security = off")
        with pytest.raises(DatabaseError, match="would be affected"), transaction.atomic():
            sql(ROOMS)


def test_truncate_is_refused(sites):
    with override_site(sites[0]), pytest.raises(DatabaseError, match="permission denied"):
        sql("TRUNCATE rooms_room CASCADE")


def test_one_site_is_dumped(sites):
    raw = connection.settings_dict
    command = [program("pg_dump"), "-h", raw["HOST"], "-U", "fleet_app", "--enable-row-security"]
    command += ["--data-only", "--table", "rooms_room", raw["NAME"]]
    environment = {"PGOPTIONS": f"-c sitefleet.site_id={sites[1].pk}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "hall b" in done.stdout
    assert "hall a" not in done.stdout
